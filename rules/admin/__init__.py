"""The pages where marketers write segments and rules."""

from . import rules, segments

__all__ = ["rules", "segments"]
