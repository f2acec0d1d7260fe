"""Moves between segments and reactions that set traits in; identify events that say so in the log, out.

Through the log, because then a replay and a rebuild find the trait again, and whatever reads events learns of it. A
trait may move its customer on, and that may set the next one: so often an hour one reaction tells one customer
something (`MOST_TOLD`); what is held back then is made up for later, where it was the last word (`catch_up`).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec
from django.db import connection, transaction

from campaigns.models import Reaction
from rules.models import How, Segment

from ..customers.identity.evidence import STRENGTH
from ..customers.intake import ingest
from ..customers.intake.incoming import Checked
from ..customers.plan import planning

MOST_TOLD: Final = 10
WITHIN: Final = timedelta(hours=1)
LOOKED_BACK: Final = 3 * WITHIN  # hourly, and once more in case an hour was missed
LONGEST_SOURCE: Final = 100
COLUMNS: Final = {str(Reaction.Moment.ENTRY): "entered", str(Reaction.Moment.EXIT): "left"}
NAMED: Final = """
SELECT c.id, c.key, i.kind, i.value FROM customers_customer c LEFT JOIN LATERAL (
    SELECT kind, value FROM customers_identity WHERE customer_id = c.id
    ORDER BY array_position(%s::text[], kind::text), id LIMIT 1
) AS i ON true WHERE c.id = ANY(%s)
"""
# A merge moves nobody.
TOO_OFTEN: Final = """
SELECT m.segment_id, m.customer_id, count(*), max(m.{moment}_at) FROM rules_membership m
WHERE m.segment_id = ANY(%s) AND (%s::bigint[] IS NULL OR m.customer_id = ANY(%s))
  AND m.{moment}_at > %s AND m.{moment}_at <= %s AND m.{moment}_how <> %s
GROUP BY m.segment_id, m.customer_id HAVING count(*) > %s
"""
_encode = msgspec.json.Encoder().encode


class Person(NamedTuple):
    """What a customer is named by: the key that clients use, and the strongest identifier (kind, value)."""

    key: str
    identifier: tuple[str, str] | None


class Asked(NamedTuple):
    """A reaction, the customer who moved, and when."""

    reaction: Reaction
    customer: int
    at: datetime


class Often(NamedTuple):
    """A customer who moved often: how many times, and when last."""

    segment: int
    customer: int
    times: int
    last: datetime


class Telling(NamedTuple):
    """An event to be stored, and the source it comes from."""

    source: str
    event: Checked


@dataclass(frozen=True, slots=True)
class Held:
    """How often a reaction was held back within the last hour, and for how many customers."""

    times: int = 0
    customers: int = 0


def named(customers: Collection[int]) -> dict[int, Person]:
    """Who these customers (ids) are."""
    strongest_first = sorted(STRENGTH, key=STRENGTH.__getitem__)
    with connection.cursor() as cursor:
        cursor.execute(NAMED, [strongest_first, sorted(customers)])
        return {pk: Person(key, (kind, value) if kind else None) for pk, key, kind, value in cursor.fetchall()}


def occasion_of(segment: Segment, at: datetime) -> str:
    """What names a move: the segment and the moment."""
    return f"{segment.key}@{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def told(asked: Sequence[Asked], people: Mapping[int, Person]) -> tuple[tuple[Telling, ...], int]:
    """The events that set the traits; and how many were held back because their customers move too often."""
    often = _too_often(asked)
    free = [one for one in asked if (str(one.reaction.moment), one.reaction.segment_id, one.customer) not in often]
    return tuple(_tellings(free, people)), len(asked) - len(free)


def store(telling: Iterable[Telling], now: datetime) -> int:
    """Write the events into the log, in the caller's transaction; how many it did not hold yet."""
    by_source: dict[str, list[Checked]] = {}
    for source, event in telling:
        by_source.setdefault(source, []).append(event)
    return sum(ingest.store(events, now, source, planning.keeps()).added for source, events in by_source.items())


def catch_up(reactions: Iterable[Reaction], now: datetime) -> int:
    """Tell now what was held back of late and still is its customer's last word; how many traits. Once an hour.

    What was told then is not told again: the log knows the message id of each move.
    """
    late: list[Asked] = []
    for reaction in reactions:
        if reaction.kind == Reaction.Kind.TRAIT:
            segment, moment = {reaction.segment_id}, str(reaction.moment)
            restless = _moved_often(moment, segment, now - LOOKED_BACK, now)
            still = {one.customer for one in _moved_often(moment, segment, now - WITHIN, now)}
            late += [Asked(reaction, one.customer, one.last) for one in restless if one.customer not in still]
    people = named({one.customer for one in late}) if late else {}
    with transaction.atomic():
        return store(_tellings(late, people), now)


def held_back(reaction: Reaction, now: datetime) -> Held:
    """How often this reaction was held back within the last hour."""
    found = _moved_often(str(reaction.moment), {reaction.segment_id}, now - WITHIN, now)
    return Held(sum(one.times - MOST_TOLD for one in found), len(found))


def _too_often(asked: Sequence[Asked]) -> set[tuple[str, int, int]]:
    """Moment, segment and customer of those moves that are one too many."""
    found: set[tuple[str, int, int]] = set()
    for moment in COLUMNS:
        mine = [one for one in asked if one.reaction.moment == moment]
        if mine:
            segments, customers = {one.reaction.segment_id for one in mine}, {one.customer for one in mine}
            at = max(one.at for one in mine)
            often = _moved_often(moment, segments, at - WITHIN, at, customers)
            found |= {(moment, one.segment, one.customer) for one in often}
    return found


def _moved_often(
    moment: str, segments: Collection[int], since: datetime, until: datetime, customers: Collection[int] | None = None
) -> list[Often]:
    """Who (of these customers, or all) made this move more than `MOST_TOLD` times after `since`, up to `until`."""
    chosen = None if customers is None else sorted(customers)
    values = [sorted(segments), chosen, chosen, since, until, str(How.MERGE), MOST_TOLD]
    with connection.cursor() as cursor:
        cursor.execute(TOO_OFTEN.format(moment=COLUMNS[moment]), values)
        return [Often(*row) for row in cursor.fetchall()]


def _tellings(asked: Iterable[Asked], people: Mapping[int, Person]) -> Iterator[Telling]:
    """Of each an identify event that sets the trait. Its message id is that of the move, so it is taken in once."""
    for reaction, customer, at in asked:
        identifier = people[customer].identifier if customer in people else None
        if identifier is None:
            continue  # known by nothing: there is nobody to tell it of
        message_id = f"reaction:{reaction.pk}:{customer}:{occasion_of(reaction.segment, at)}"
        traits = _encode({reaction.trait: reaction.value}).decode()
        event = Checked(message_id, "identify", "identify", (identifier,), traits, "{}", at)
        yield Telling(f"segment {reaction.segment.key}"[:LONGEST_SOURCE], event)
