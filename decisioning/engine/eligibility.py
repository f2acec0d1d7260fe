"""A placement's contents and the moment in; those that may be shown now, and why the others may not, out.

The checks stand in one order, and the first that fails is the reason given: placement, dates, stock, consent, cap,
excluded, taken, filter.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rules.language import matches

from .contents import content_facts
from .types import Ask, ContentItem, RuleItem

CONSENTS = "consents"  # the fact that lists the channels a customer consented to
CAP = "its cap: "
ELSEWHERE = "not for this placement"


def in_schedule(item: ContentItem | RuleItem, now: datetime) -> bool:
    """Whether `now` lies in [starts_at, ends_at); an open end is open."""
    return (item.starts_at is None or item.starts_at <= now) and (item.ends_at is None or now < item.ends_at)


def eligible(
    pool: Iterable[ContentItem],
    ask: Ask,
    facts: Mapping[str, Any],
    now: datetime,
    always: frozenset[str] = frozenset(),
    anywhere: bool = False,
) -> tuple[dict[str, ContentItem], dict[str, str]]:
    """Contents by key that may be shown, and the drop reason of each that may not.

    `always` are the keys of contents that only the question can speak against (see `unconditional`), so that nothing
    else is looked at; `anywhere` leaves out the check of the placement: a default content was chosen for it by name.
    """
    consents = facts.get(CONSENTS)
    allowed = frozenset(map(str, consents)) if isinstance(consents, list | tuple) else frozenset()
    kept: dict[str, ContentItem] = {}
    dropped: dict[str, str] = {}
    always = frozenset() if ask.exclude or ask.taken or ask.filter is not None else always
    for content in pool:
        if content.key in always:
            kept[content.key] = content
        elif content.placements and not anywhere and ask.placement not in content.placements:
            dropped[content.key] = ELSEWHERE
        elif reason := _why_not(content, ask, allowed, now):
            dropped[content.key] = reason
        else:
            kept[content.key] = content
    return kept, dropped


def unconditional(content: ContentItem) -> bool:
    """Whether neither dates nor stock, consent or a cap can ever speak against it."""
    dated = content.starts_at is not None or content.ends_at is not None
    limited = content.cap_count is not None or stock_of(content) is not None
    return not (dated or limited or content.needs_consent)


def _why_not(content: ContentItem, ask: Ask, allowed: frozenset[str], now: datetime) -> str:
    """The first check that fails, in the operator's words; nothing when all hold."""
    if not in_schedule(content, now):
        return "outside its dates"
    if (stock := stock_of(content)) is not None and stock <= 0:
        return "out of stock"
    if content.needs_consent and content.needs_consent not in allowed:
        return f"customer has not consented to {content.needs_consent}"
    if content.cap_count is not None and (times := _times(content, ask, now)) >= content.cap_count:
        most = f"{content.cap_count} {'is' if content.cap_count == 1 else 'are'}"
        return f"{CAP}shown {_many(times, 'time')} in {_many(content.cap_hours, 'hour')}, at most {most} allowed"
    if content.key in ask.exclude:
        return "excluded by the request"
    if content.key in ask.taken:
        return "already in another placement of the page"
    if ask.filter is not None and not matches(ask.filter, content_facts(content), now):
        return "does not meet the request's filter"
    return ""


def _many(number: float, word: str) -> str:
    return f"{number:g} {word}{'' if number == 1 else 's'}"


def stock_of(content: ContentItem) -> float | None:
    """How many there are: the attribute `stock`, which a caller may send fresh, before the field; None is unlimited."""
    told = content.attributes.get("stock")
    return told if isinstance(told, int | float) and not isinstance(told, bool) else content.stock


def _times(content: ContentItem, ask: Ask, now: datetime) -> int:
    """How often the customer saw it within its cap's window."""
    moments = ask.shown.get(content.key, ())
    since = now - timedelta(hours=content.cap_hours)
    return sum(1 for moment in moments if moment > since)


def all_capped(dropped: Mapping[str, str]) -> bool:
    """Whether there were contents and nothing but caps stood against them."""
    return bool(dropped) and all(reason.startswith(CAP) for reason in dropped.values())


def turning_points(items: Iterable[ContentItem | RuleItem]) -> tuple[datetime, ...]:
    """Every moment at which a date begins or ends, in order."""
    return tuple(sorted({m for item in items for m in (item.starts_at, item.ends_at) if m is not None}))


def next_change(moments: Sequence[datetime], now: datetime) -> datetime | None:
    """The first turning point after `now`, so that a cached reply never outlives it."""
    place = bisect_right(moments, now)
    return moments[place] if place < len(moments) else None
