"""Registers the customers room with Django."""

from django.apps import AppConfig


class Customers(AppConfig):
    name = "decisioning.customers"
    label = "customers"
