"""The pages for what is shown and sent."""

from . import calls, contacts, editing, filters, holdout, outbox, reactions, webhooks, windows
from .reactions import ReactionInline

__all__ = [
    "ReactionInline",
    "calls",
    "contacts",
    "editing",
    "filters",
    "holdout",
    "outbox",
    "reactions",
    "webhooks",
    "windows",
]
