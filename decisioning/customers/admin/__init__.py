"""The pages of customers, events and identity, and those of the tracking plan and the dead letters."""

from .. import admin_letters, admin_plan
from . import explorer, people, proposals

__all__ = ["admin_letters", "admin_plan", "explorer", "people", "proposals"]
