"""A span of time in; the outcomes that count for nothing in it, why, where they came from and what to do, out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from campaigns.models import Placement

from ..flows.follow import EVENTS
from ..flows.pixel import PIXEL
from ..flows.take import DUPLICATE, TOKENS, UNKNOWN_TYPE
from ..models import ApiKey
from ..store import statistics
from ..store.tokens import FORGED, UNREADABLE

LATE, EARLY, LOST, EXPIRED = "late", "early", "lost", "expired"
# In the order of the page: what it is, and what to do about it.
REASONS: Final[dict[str, tuple[str, str]]] = {
    LATE: (
        "Came after their window",
        "Send outcomes as they happen. Where people take longer, widen the window, in the placement or under Windows.",
    ),
    EARLY: (
        "Are dated before their decision",
        "Something else led to them, or a clock is wrong. Send when it happened, with its zone, or no timestamp.",
    ),
    EXPIRED: (
        "Their decision is of a month that was dropped",
        "Old letters and pages still report. Keep more months (LEDGER_MONTHS), or let them go.",
    ),
    LOST: (
        "Name a decision that is not in the ledger",
        "Report no outcomes of dry runs. Otherwise a process was killed before it wrote; see “Not kept”.",
    ),
    UNREADABLE: (
        "The token cannot be read",
        "It was cut or altered on its way. Send it back exactly as the decision gave it, percent-encoded in addresses.",
    ),
    FORGED: (
        "The token was not signed here",
        "Another installation gave it, or SECRET_KEY has changed. Send an outcome to where its decision came from.",
    ),
    UNKNOWN_TYPE: (
        "The type is none",
        "Use impression, click or conversion; other events go to /v1/track.",
    ),
    DUPLICATE: (
        "Their message_id is another outcome’s",
        "They were answered with 409 and not stored. Give each outcome an id of its own.",
    ),
}
DOORS: Final = {PIXEL: "by the pixel", EVENTS: "in events", "": "by an unknown key"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """So many outcomes that came to nothing for one reason, from one place."""

    what: str
    whence: str
    count: int
    cure: str


def refusals(since: datetime, placement: str = "") -> list[Refusal]:
    """The reasons in the order of `REASONS`, the most frequent place first.

    Of one placement only what came late or too early is known: a token that is none names nothing.
    """
    found = [_refusal(why, name, count) for why in (LATE, EARLY) for name, count in _named(why, since, placement)]
    if not placement:
        sums = _counts("outcomes", since)
        found += [_refusal(why, "", sums[why]) for why in (EXPIRED, LOST) if why in sums]
        found += [_refusal(why, by, count) for why, by, count in _tokens(since)]
    order = [what for what, _ in REASONS.values()]
    return sorted(found, key=lambda one: (order.index(one.what), -one.count, one.whence))


def _refusal(why: str, whence: str, count: int) -> Refusal:
    what, cure = REASONS[why]
    return Refusal(what, whence, count, cure)


def _counts(what: str, since: datetime) -> dict[str, int]:
    return {name: count for name, (count, _) in statistics.tallies(what, since).items()}


def _named(why: str, since: datetime, placement: str) -> Iterable[tuple[str, int]]:
    """The placements by their names; what was counted before placements were told apart has none."""
    counts = _counts(why, since)
    names = dict(Placement.objects.filter(key__in=counts).values_list("key", "name"))
    for key, count in counts.items():
        if placement in ("", key):
            yield names.get(key, key), count
    rest = _counts("outcomes", since).get(why, 0) - sum(counts.values())
    if rest > 0 and not placement:
        yield "", rest


def _tokens(since: datetime) -> Iterable[tuple[str, str, int]]:
    """Why, by whom, how many."""
    names = dict(ApiKey.objects.values_list("prefix", "name"))
    for name, count in _counts(TOKENS, since).items():
        why, _, by = name.partition(" ")
        if why in REASONS:
            yield why, DOORS[by] if by in DOORS else f"with the key {names.get(by, '')} ({by}…)", count
