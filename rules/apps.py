"""Registers segments and rules with Django."""

from django.apps import AppConfig


class Rules(AppConfig):
    name = "rules"
    verbose_name = "Rules and segments"
