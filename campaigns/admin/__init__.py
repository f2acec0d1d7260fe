"""The pages for what is shown and sent."""

from . import calls, editing, filters, outbox, reactions, webhooks
from .reactions import ReactionInline

__all__ = ["ReactionInline", "calls", "editing", "filters", "outbox", "reactions", "webhooks"]
