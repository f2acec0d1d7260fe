"""A placement's decisions in; how many customers succeeded who were held out there, and how many of the others, out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from campaigns.models import Placement

from ..engine.holdout import HELD, TREATED
from ..experiments.statistics import Difference, Group, difference
from .statistics import CLICK

DAYS: Final = timedelta(days=28)
NEWEST: Final = 100_000  # decisions that are looked at, so that a page never waits long
# A customer who was on both sides (the share was raised) belongs to neither.
COMPARE: Final = """
WITH latest AS MATERIALIZED (
    SELECT d.id, d.at, d.windows, d.customer_key, d.explanation -> 'arms' ? %(held)s AS held FROM decisioning_decision d
    WHERE d.placement = %(placement)s AND d.at > %(since)s AND d.at <= %(now)s AND d.source <> 'import'
    AND d.explanation -> 'arms' ?| %(arms)s ORDER BY d.at DESC LIMIT %(newest)s
), customers AS (
    SELECT bool_or(held) AS held, bool_or(EXISTS (
        SELECT FROM decisioning_outcome o WHERE o.decision_id = l.id AND o.kind = %(kind)s
        AND decisioning_in_time(l.windows, o.kind, l.at, o.at))) AS succeeded
    FROM latest l GROUP BY customer_key HAVING bool_or(held) = bool_and(held)
)
SELECT held, count(*), count(*) FILTER (WHERE succeeded) FROM customers GROUP BY held
"""


@dataclass(frozen=True, slots=True)
class Effect:
    """Both sides, and the rate of the treated less that of the held out."""

    held: Group
    treated: Group
    gain: Difference
    kind: str


def effect(placement: Placement, now: datetime) -> Effect:
    """What deciding gains there, by customers of the last 28 days. A success is a click or conversion, once a customer.

    Whoever was asked for counts, whatever they were shown (intention to treat).
    """
    kind = "click" if placement.objective == CLICK else "conversion"
    with connection.cursor() as cursor:
        cursor.execute(
            COMPARE,
            {
                "held": HELD,
                "arms": [HELD, TREATED],
                "placement": placement.key,
                "kind": kind,
                "since": now - DAYS,
                "now": now,
                "newest": NEWEST,
            },
        )
        found = {held: Group(customers, successes) for held, customers, successes in cursor.fetchall()}
    held, treated = found.get(True, Group(0, 0)), found.get(False, Group(0, 0))
    return Effect(held, treated, difference(treated, held), kind)
