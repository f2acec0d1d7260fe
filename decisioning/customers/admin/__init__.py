"""The pages of customers, events and identity, and those of the tracking plan and the dead letters."""

from . import explorer, letters, people, plan, proposals

__all__ = ["explorer", "letters", "people", "plan", "proposals"]
