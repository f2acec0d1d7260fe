"""A span of time in; what everybody saw and did in it, customer by customer, as attribution wants it, out.

Rows come through a server-side cursor in the order of customers, so what is held is one customer and the report.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from math import inf
from operator import itemgetter
from time import monotonic
from typing import Any, Final, Literal
from uuid import UUID

from django.db import connection
from django.db.models import Max

from campaigns.models import Placement
from campaigns.models.windows import USUAL, usual

from ..learning.attribution import HALF_LIFE_HOURS, MOST_TOUCHES, Conversion, Report, Touch
from ..models import Statistic
from ..models.decisions import TOLERANCE
from .limiting import OutOfTime, until
from .whose import WHOSE

By = Literal["content", "placement", "campaign", "rule"]
Seen = Literal["shown", "clicked"]
NOTHING: Final = "(none)"
AT_ONCE: Final = 5000
CHANNELS: Final[dict[str, str]] = {
    "content": "o.content",
    "placement": "d.placement",
    "campaign": """coalesce((SELECT c.key FROM campaigns_message m JOIN campaigns_campaign c ON c.id = m.campaign_id
 WHERE m.decision_id = d.id ORDER BY m.id LIMIT 1), '')""",
    "rule": """coalesce((SELECT r.value ->> 'key' FROM jsonb_array_elements(
 CASE jsonb_typeof(d.explanation -> 'rules') WHEN 'array' THEN d.explanation -> 'rules' ELSE '[]' END)
 WITH ORDINALITY AS r(value, place) WHERE r.value ->> 'matched' = 'true' ORDER BY r.place LIMIT 1), '')""",
}
# Who somebody turned out to be; whom nobody knows is known by what they called themselves, or by the decision alone.
ROWS: Final = f"""
SELECT coalesce(coalesce(c.merged_into_id, c.id)::text, 'k' || nullif(d.customer_key, ''), 'd' || d.id) AS who,
       o.decision_id, o.content, o.kind, extract(epoch FROM o.at)::float8,
       extract(epoch FROM d.at)::float8, coalesce(d.windows[3], p.window_hours)::float8, o.value, {{channel}}
FROM decisioning_outcome o
JOIN decisioning_decision d ON d.id = o.decision_id
LEFT JOIN campaigns_placement p ON p.key = d.placement
LEFT JOIN customers_customer c ON c.id = {WHOSE}
WHERE o.at >= %s AND o.at < %s
AND (o.kind = 'conversion' OR decisioning_in_time(d.windows, o.kind, d.at, o.at)) {{also}}
ORDER BY who, o.at, o.kind = 'conversion', o.id
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is about. Conversions from `since` on, before `until`; `hours` replaces the placements' windows."""

    since: datetime
    until: datetime
    by: By = "content"
    seen: Seen = "shown"
    hours: float | None = None
    placement: str = ""
    half_life: float = HALF_LIFE_HOURS


def known(placement: str) -> bool:
    """Whether there is such a placement, or was when something that counted was decided for it."""
    return Placement.objects.filter(key=placement).exists() or Statistic.objects.filter(placement=placement).exists()


def attributed(asked: Asked, deadline: float = inf) -> Report:
    """The report; takes the time of one pass over the outcomes of the span and of the longest window before it.

    Raises OutOfTime when the deadline (by `monotonic`) comes first.
    """
    report = Report(asked.half_life)
    for _, rows in groupby(_rows(asked, deadline), key=itemgetter(0)):
        report.take(_events(rows, asked))
    return report


def _rows(asked: Asked, deadline: float) -> Iterator[tuple[Any, ...]]:
    longest = asked.hours
    if longest is None:
        own = Placement.objects.aggregate(longest=Max("window_hours"))["longest"] or 0.0
        longest = max(own, usual()["conversion"])
    words: list[Any] = [asked.since - timedelta(hours=longest), asked.until]
    also = ""
    if asked.placement:
        also = "AND d.placement = %s"
        words.append(asked.placement)
    statement = ROWS.format(channel=CHANNELS[asked.by], also=also)
    with until(deadline), connection.chunked_cursor() as cursor:
        cursor.execute(statement, words)
        while some := cursor.fetchmany(AT_ONCE):
            yield from some
            # PostgreSQL looks at the clock while it works, and only at that of one fetch.
            if monotonic() > deadline:
                raise OutOfTime


def _events(rows: Iterable[tuple[Any, ...]], asked: Asked) -> Iterator[Touch | Conversion]:
    """A content is touched once a decision: when it was first seen, or by its first click where clicks are asked.

    A conversion that is dated before its decision is no touch of it: another content may have led to it.
    """
    begin, known = asked.since.timestamp(), dict[tuple[UUID, str], None]()
    for _, decision, content, kind, at, decided, window, value, channel in rows:
        follows = at >= decided - TOLERANCE.total_seconds()
        if follows and (decision, content) not in known and (asked.seen == "shown" or kind == "click"):
            known[decision, content] = None
            if len(known) > MOST_TOUCHES:
                del known[next(iter(known))]
            hours = asked.hours if asked.hours is not None else USUAL["conversion"] if window is None else window
            # The window opens with the decision, as where scorers learn from it.
            yield Touch(channel or NOTHING, at, decided + 3600 * hours)
        if kind == "conversion" and at >= begin:
            yield Conversion(at, value)
