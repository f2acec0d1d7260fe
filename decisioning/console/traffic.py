"""A span of time and a placement in; how decisions came to their rungs in it, as a chart, shares and counts, out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet, Sum

from ..engine.resolver import LADDER
from ..models import Decision, Traffic
from ..store import statistics

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# The chart, in its own units: shares above, how many below, the axis at the left, room for the last time at the right.
WIDTH, LEFT, RIGHT, TOP, SHARES, GAP, COUNTS, FOOT = 900, 60, 16, 8, 200, 16, 60, 22
HEIGHT: Final = TOP + SHARES + GAP + COUNTS + FOOT
# Room between two columns, as a part of a column.
AIR: Final = 0.15
LABELS: Final = 8
# The style sheet has so many.
COLOURS: Final = 9
# Whoever is held out gets default contents on purpose: no rung that something was missing for.
HELD, HELD_REASON = "held out", "HOLDOUT"
ENDS: Final = (*LADDER, HELD)


class Span(NamedTuple):
    """How far back the page looks, and what one column of its chart is."""

    words: str
    back: timedelta
    step: timedelta


SPANS: Final = {
    "day": Span("24 hours", DAY, HOUR),
    "week": Span("7 days", 7 * DAY, 6 * HOUR),
    "month": Span("30 days", 30 * DAY, DAY),
    "quarter": Span("90 days", 90 * DAY, 3 * DAY),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a column: the rung's colour, and where it stands."""

    colour: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """The decisions of one step of time."""

    begins: datetime
    counts: dict[str, int]
    x: float
    width: float
    parts: list[Part]
    y: float
    height: float
    title: str

    @property
    def total(self) -> int:
        """How many there were."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything a template needs to draw it; `most` is the tallest column's number of decisions."""

    columns: list[Column]
    rungs: list[str]
    most: int
    labels: list[tuple[float, str]]
    levels: list[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    ground: int = TOP + SHARES + GAP + COUNTS
    floor: int = TOP + SHARES


def begin_of(span: Span, now: datetime) -> datetime:
    """The beginning of the span's first column: columns begin at whole steps of UTC, the last one holds `now`."""
    step = int(span.step.total_seconds())
    last = int(now.timestamp()) // step * step
    return datetime.fromtimestamp(last, UTC) - span.back + span.step


def chart_of(span: Span, now: datetime, placement: str = "") -> Chart:
    """How decisions of API calls and campaigns came to their rungs, from one step of time to the next."""
    since = begin_of(span, now)
    rows = statistics.traffic(since, now + HOUR, placement).values_list("hour", "rung", "reason")
    counts: list[Counter[str]] = [Counter() for _ in range(int(span.back / span.step))]
    for hour, rung, reason, count in rows.annotate(count=Sum("decisions")):
        counts[min(int((hour - since) / span.step), len(counts) - 1)][end_of(rung, reason)] += int(count)
    rungs = ordered({rung for each in counts for rung in each})
    most = max((each.total() for each in counts), default=0)
    columns = [_column(number, len(counts), since, span, each, rungs, most) for number, each in enumerate(counts)]
    return Chart(
        columns, rungs, most, _labels(columns, span), [(_level(share), f"{share} %") for share in (0, 50, 100)]
    )


def end_of(rung: str, reason: str) -> str:
    """What a decision came to, as pages tell it: its rung, or that its customer was held out."""
    return HELD if reason == HELD_REASON else rung


def ordered(rungs: set[str]) -> list[str]:
    """The best rung first, then who was held out; rungs of former versions last."""
    return [rung for rung in ENDS if rung in rungs] + sorted(rungs - set(ENDS))


def colour_of(rung: str) -> int:
    """The number of its colour: the same whatever else is drawn."""
    return min(ENDS.index(rung), COLOURS - 1) if rung in ENDS else COLOURS - 1


def _column(
    number: int, count: int, since: datetime, span: Span, counts: Counter[str], rungs: Sequence[str], most: int
) -> Column:
    room = (WIDTH - LEFT - RIGHT) / count
    begins, total = since + number * span.step, counts.total()
    parts, below = [], float(TOP + SHARES)
    for rung in filter(counts.__getitem__, rungs):
        height = SHARES * counts[rung] / total
        below -= height
        parts.append(Part(colour_of(rung), round(below, 2), round(height, 2)))
    tall = COUNTS * total / most if most else 0.0
    ground = TOP + SHARES + GAP + COUNTS
    shares = [f"{rung} {counts[rung] / total:.1%}" for rung in rungs if counts[rung]]
    title = f"{said(begins, span)}: {total:,} decisions" + (f" ({', '.join(shares)})" if shares else "")
    x = round(LEFT + number * room + room * AIR / 2, 2)
    width = round(room * (1 - AIR), 2)
    return Column(begins, dict(counts), x, width, parts, round(ground - tall, 2), round(tall, 2), title)


def said(begins: datetime, span: Span) -> str:
    """The beginning of a column in words."""
    return f"{begins:%-d %b}" if span.step >= DAY else f"{begins:%-d %b, %H:%M}"


def _labels(columns: Sequence[Column], span: Span) -> list[tuple[float, str]]:
    """Hours of a day, or days: not more than fit, and each once."""
    form = "%H:%M" if span.back <= DAY else "%-d %b"
    firsts = [one for one in columns if span.back <= DAY or span.step >= DAY or one.begins.hour < span.step / HOUR]
    every = -(-len(firsts) // LABELS)
    return [(round(one.x + one.width / 2, 2), one.begins.strftime(form)) for one in firsts[::every]]


def _level(share: int) -> float:
    return TOP + SHARES * (1 - share / 100)


def _shares(rows: QuerySet[Traffic]) -> dict[str, statistics.Share]:
    counts: Counter[str] = Counter()
    for rung, reason, count in rows.values_list("rung", "reason").annotate(count=Sum("decisions")):
        counts[end_of(rung, reason)] += int(count)
    return {rung: statistics.Share(count, count / counts.total()) for rung, count in counts.items() if count}


def figures(span: Span, now: datetime, placement: str = "") -> dict[str, Any]:
    """What the span adds up to; what processes counted without a row of the ledger is of all placements."""
    since = begin_of(span, now)
    rows = statistics.traffic(since, now + HOUR, placement)
    sums = rows.aggregate(decisions=Sum("decisions"), whole=Sum("whole"))
    shares = _shares(rows)
    written = statistics.tallies("written", since).get("", (0, 0.0))
    answers = {name: count for name, (count, _) in statistics.tallies("answers", since).items()}
    dropped = {name: count for name, (count, _) in statistics.tallies("dropped", since).items()}
    outcomes = {name: count for name, (count, _) in statistics.tallies("outcomes", since).items()}
    imported = Traffic.objects.filter(source=Decision.Source.IMPORT, hour__gte=since, hour__lt=now + HOUR)
    return {
        "decisions": sums["decisions"] or 0,
        "whole": sums["whole"] or 0,
        "rungs": [(rung, shares[rung]) for rung in ordered(set(shares))],
        "reasons": sorted(
            statistics.reason_shares(since, now + HOUR, placement).items(), key=lambda pair: -pair[1].decisions
        ),
        "sources": dict(rows.values_list("source").annotate(count=Sum("decisions"))),
        "slowest": written[1],
        "written": written[0],
        "answers": answers,
        "hits": answers.get("hit", 0) / total if (total := sum(answers.values())) else None,
        "dropped": dropped,
        "dropped_all": sum(dropped.values()),
        "lost": outcomes.get("lost", 0),
        "late": outcomes.get("late", 0),
        "early": outcomes.get("early", 0),
        "bad_token": outcomes.get("bad_token", 0),
        "imported": imported.aggregate(count=Sum("decisions"))["count"] or 0,
    }
