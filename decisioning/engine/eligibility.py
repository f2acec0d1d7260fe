"""A placement's contents and the moment in; those that may be shown now, and why the others may not, out."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
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


def turning_points(items: Iterable[ContentItem | RuleItem]) -> tuple[datetime, ...]:
    """Every moment at which a date begins or ends, in order."""
    return tuple(sorted({m for item in items for m in (item.starts_at, item.ends_at) if m is not None}))


def next_change(moments: Sequence[datetime], now: datetime) -> datetime | None:
    """The first turning point after `now`, so that a cached reply never outlives it."""
    place = bisect_right(moments, now)
    return moments[place] if place < len(moments) else None
