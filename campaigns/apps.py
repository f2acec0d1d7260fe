"""Registers contents, placements and campaigns with Django."""

from django.apps import AppConfig


class Campaigns(AppConfig):
    name = "campaigns"
    verbose_name = "Contents and campaigns"
