"""A placement's contents and the moment in; those that may be shown now, and why the others may not, out."""

from collections.abc import Iterable
from datetime import datetime

from .types import ContentItem, RuleItem


def in_schedule(item: ContentItem | RuleItem, now: datetime) -> bool:
    """Whether `now` lies in [starts_at, ends_at); an open end is open."""
    return (item.starts_at is None or item.starts_at <= now) and (item.ends_at is None or now < item.ends_at)


def eligible(
    pool: Iterable[ContentItem], now: datetime, exclude: frozenset[str]
) -> tuple[dict[str, ContentItem], dict[str, str]]:
    """Contents by key that may be shown, and the drop reason of each that may not."""
    kept: dict[str, ContentItem] = {}
    dropped: dict[str, str] = {}
    for content in pool:
        if content.key in exclude:
            dropped[content.key] = "excluded by the request"
        elif in_schedule(content, now):
            kept[content.key] = content
        else:
            dropped[content.key] = "outside its dates"
    return kept, dropped


def next_change(items: Iterable[ContentItem | RuleItem], now: datetime) -> datetime | None:
    """The first moment after `now` at which a date begins or ends, so that a cached reply never outlives it."""
    moments = [m for item in items for m in (item.starts_at, item.ends_at) if m is not None and m > now]
    return min(moments, default=None)
