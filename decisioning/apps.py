"""Registers the engine's own models with Django."""

from django.apps import AppConfig


class Decisioning(AppConfig):
    name = "decisioning"
    verbose_name = "Decisions and learning"
