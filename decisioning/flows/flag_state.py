"""A snapshot, a flag client's question and the customer in; a text that stays the same as long as all flags do, out.

It costs one look at Redis where deciding all flags costs as many decisions as there are. "" where nobody can tell
without deciding: where the moment itself is asked for, or Redis is away.
"""

from bisect import bisect_right
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec

from rules.language.terms import asked_facts, uses_clock

from ..engine.context import BANDS
from ..engine.prepare import Prepared
from ..store.profiles import Profiles
from .asking import ANONYMOUS, CUSTOMER, OfSnapshot, caps_of
from .flag_questions import Question

# Facts that the clock moves, and what templates call it.
HOURLY: Final = frozenset({"hour", "weekday"})
CLOCK_WORDS: Final = (b"now", b"today")
TEMPLATES: Final = (b"{{", b"{%")
_canonical = msgspec.json.Encoder(order="deterministic").encode


def state_of(prepared: Prepared, question: Question, place: str, profiles: Profiles, now: datetime) -> str:
    """16 characters for everything that the flags follow from: question, place, snapshot, dates, and the customer."""
    if not is_steady(prepared):
        return ""
    [(kind, value)] = question.who.items()
    # Whom nobody knows by this id is asked for as somebody anonymous.
    names = [(kind, value), (ANONYMOUS, value)] if kind == CUSTOMER else [(kind, value)]
    found = profiles.find_any(names, "")
    if not (found.reachable and found.complete):
        return ""
    passed = bisect_right(prepared.turning_points, now)
    told: list[Any] = [question, place, prepared.number, passed, found.profile, _band(prepared, now)]
    return blake2b(_canonical(told), digest_size=8).hexdigest()


def _band(prepared: Prepared, now: datetime) -> str:
    """The part of the day that rates are counted under, where a stranger's flags may follow from them."""
    band = BANDS[now.astimezone(UTC).hour // 6]
    return band if any(name in prepared.data.segment_priors for name in BANDS) else ""


def _steady(prepared: Prepared) -> bool:
    if caps_of(prepared) or any(slot.item.freshness_half_life_days for slot in prepared.slots.values()):
        return False
    conditions: list[Any] = [rule.condition for slot in prepared.slots.values() for rule in slot.rules]
    conditions += [slot.audience for slot in prepared.slots.values() if slot.audience is not None]
    if any(uses_clock(one) or asked_facts(one) & HOURLY for one in conditions):
        return False
    read = {column.key for column in prepared.scorer.schema.fact_columns} if prepared.scorer else set()
    read |= {fact for slot in prepared.slots.values() for fact in slot.item.bandit_facts}
    return not read & HOURLY and not any(_tells_time(content.body) for content in prepared.data.contents)


def _tells_time(body: Any) -> bool:
    """Whether a template in it may show the time; one that only seems to is no more than decided again."""
    text = msgspec.json.encode(body)
    return any(mark in text for mark in TEMPLATES) and any(word in text for word in CLOCK_WORDS)


# Whether no flag of a snapshot can change from one moment to the next but at its turning points.
is_steady = OfSnapshot(_steady)
