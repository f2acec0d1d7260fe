"""Events that carry a decision's token in; the outcomes they stand for, kept with the events, out.

"Order Completed" with a token is a conversion and its value, "Product Clicked" a click. Which event is what stands in
`USUAL` and can be changed in the admin. Such an outcome is told to facts as any other is (`respond`), unless the event
itself is what it would be told as; of what is history nothing is told, for events that are told may trigger something.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec

from ..customers.intake.pending import Row
from ..models import EventOutcome, Outcome
from ..store import tokens
from ..store.tallies import add_now
from .respond import NAMES
from .take import count_refused, row_of

# Of the Segment Spec: https://segment.com/docs/connections/spec/ecommerce/v2/
USUAL: Final[Mapping[str, str]] = {
    "Promotion Viewed": "impression",
    "Promotion Clicked": "click",
    "Product Clicked": "click",
    "Order Completed": "conversion",
}
TOKENS: Final = ("decision_token", "token")
VALUES: Final = ("revenue", "total", "value")
MOST: Final = 1e9
EVENTS: Final = "events"
_decode = msgspec.json.decode


def follow_events(rows: Sequence[Row]) -> int:
    """Keep the outcomes of these events, in the caller's transaction; how many events told one.

    An event counts once by its `messageId`, however often and late it comes; robots' count nothing. A token that
    is none is counted as `bad_token`, where the event would have been an outcome.
    """
    carrying = [row for row in rows if not row.bot and row.type == "track" and 'token"' in row.properties]
    if not carrying:
        return 0
    kinds = mapping()
    found: list[Outcome] = []
    for row in carrying:
        told = _decode(row.properties)
        token = next((told[name] for name in TOKENS if told.get(name)), None)
        kind = kinds.get(row.name)
        if token is None or not kind:
            continue
        try:
            value = value_of(told) if kind == Outcome.Kind.CONVERSION else 0.0
            outcome = row_of(str(token), kind, _name(row.message_id), row.timestamp, value)
        except (tokens.BadToken, UnicodeError) as error:
            count_refused(error, EVENTS, row.timestamp, _count)
            continue
        outcome.told = row.historical or row.name == NAMES[kind]  # facts know of it, or shall not
        found.append(outcome)
    Outcome.objects.bulk_create(found, ignore_conflicts=True)
    return len(found)


def mapping() -> dict[str, str]:
    """{name of an event: the kind of outcome it is, or "" for none}."""
    return {**USUAL, **dict(EventOutcome.objects.values_list("event", "kind"))}


def value_of(properties: Mapping[str, Any]) -> float:
    """What a conversion was worth: the first of revenue, total and value that is an amount; 0 without one."""
    for name in VALUES:
        told = properties.get(name)
        try:
            amount = float(told) if isinstance(told, int | float | str) and not isinstance(told, bool) else -1.0
        except (ValueError, OverflowError):
            continue
        if 0 <= amount <= MOST:
            return amount
    return 0.0


def _count(what: str, name: str, at: datetime) -> None:
    add_now(what, name, at, 1)


def _name(message_id: str) -> str:
    return f"event-{blake2b(message_id.encode(), digest_size=20).hexdigest()}"
