"""The pages for what is shown and sent."""

from . import editing, outbox

__all__ = ["editing", "outbox"]
