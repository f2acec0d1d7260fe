"""The pages of customers, events and identity, and those of the tracking plan and the dead letters."""

from . import custom, explorer, letters, people, plan, proposals, quality

__all__ = ["custom", "explorer", "letters", "people", "plan", "proposals", "quality"]
