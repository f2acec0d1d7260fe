"""Everybody in; facts, segments, triggers and profiles anew, or some segments anew, out.

Time alone moves facts, and what is published asks for new ones. Customers are taken by a few hundred, each few in a
transaction of their own, so that nobody's events wait longer than for one of those.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from campaigns import outbox
from rules import segments
from rules.models import How, Segment
from rules.segments import Because

from ..customers import profile
from ..customers.facts import streams
from ..store import profiles
from . import trigger
from .placing import Placed, place
from .react import Reacted, settle, summed
from .standing import standing

AT_ONCE: Final = 500
NEXT = """
SELECT id FROM customers_customer WHERE merged_into_id IS NULL AND id > %s ORDER BY id LIMIT %s FOR NO KEY UPDATE
"""


def refresh_all(now: datetime) -> Reacted:
    """Everybody's facts, segments and triggers anew: after an import, and hourly because time alone moves facts.

    The vocabulary is learned first, and kept from then on: whoever is handled meanwhile is cut by the new one.
    """
    profile.keep(profile.learn(now), now)
    done = summed(_sweep(now))
    known = standing()
    profile.hold(known.histories)
    kinds = (Segment.Kind.CLUSTER, Segment.Kind.CONDITION)
    waiting = {one.id for one in known.audiences if not one.histories <= known.histories.keys()}
    computed = Segment.objects.filter(active=True, kind__in=kinds).exclude(pk__in=waiting)
    segments.measure(list(computed.values_list("pk", flat=True)), now)
    profiles.mark_complete()
    return done


def _sweep(now: datetime) -> Iterator[Reacted]:
    last = 0
    while True:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(NEXT, [last, AT_ONCE])
                ids = [pk for (pk,) in cursor.fetchall()]
            if not ids:
                return
            known = standing()
            found = streams.load(ids, known.histories)
            everybody = {pk: found.get(pk, []) for pk in ids}
            names = {stream.identity for mine in found.values() for stream in mine}
            yield settle(everybody, (), now, known, names, Because(How.REFRESH))
        last = ids[-1]


def refresh_segments(segment_ids: Sequence[int], now: datetime) -> Placed:
    """Some segments anew for everybody, from the facts as stored."""
    with transaction.atomic():
        hold_everybody()
        known = standing()
        facts = profile.stored_frame()
        moves = place(facts, facts["customer_id"].to_list(), now, only=segment_ids)
        outbox.owe(trigger.by_entries_of_all(moves, facts, now, known))
        segments.measure(moves.computed, now)
        moved = sorted({customer for _, customer in moves.entered + moves.left})
        profile.touch(moved)
        profiles.publish(moved)
    return moves


def hold_everybody() -> None:
    """Lock every customer until the transaction ends, so that no event is handled on facts about to be replaced."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM (SELECT id FROM customers_customer ORDER BY id FOR NO KEY UPDATE) AS held")
