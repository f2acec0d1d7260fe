"""What the ledger adds up to in; rates, posteriors and shares of traffic for those who decide and those who look, out.

`counting` keeps the statistics, a few seconds behind the ledger; `recounting` counts them anew.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Max, Q, QuerySet, Sum

from campaigns.models import Placement

from ..models import Decision, Statistic, Tally, Traffic

CLICK = "click"
COUNTS = ("decisions", "impressions", "shown", "clicks", "conversions", "value")
# What is shown to nobody by this product says nothing about it.
OURS = ~Q(source=Decision.Source.IMPORT)


@dataclass(frozen=True, slots=True)
class Rate:
    """Of how many trials how many succeeded, and the mean value of one success (0 where none told one)."""

    trials: int
    successes: int
    value: float = 0.0

    @property
    def failures(self) -> int:
        """Trials without a success."""
        return self.trials - self.successes


@dataclass(frozen=True, slots=True)
class Share:
    """How many decisions came to a rung or reason, and their part of all, in [0, 1]."""

    decisions: int
    share: float


def posteriors(since: date | None = None) -> dict[str, dict[str, tuple[int, int]]]:
    """For each placement and content: successes and failures by the placement's objective, from `since` on.

    A Beta posterior on a uniform prior is Beta(successes + 1, failures + 1). A trial is a content that was seen,
    clicked or converted; where a placement reports no impressions, one that was chosen. A success is a click, or a
    conversion, once a decision.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for (placement, content, _), rate in _rates(Statistic.Part.ALL, since).items():
        found.setdefault(placement, {})[content] = (rate.successes, rate.failures)
    return found


def group_rates(part: Statistic.Part, since: date | None = None) -> dict[str, dict[str, dict[str, Rate]]]:
    """{placement: {key of a segment, a rule that matched, or an arm: {content: rate}}}, as in `posteriors`."""
    found: dict[str, dict[str, dict[str, Rate]]] = {}
    for (placement, content, name), rate in _rates(part, since).items():
        found.setdefault(placement, {}).setdefault(name, {})[content] = rate
    return found


def _rates(part: str, since: date | None) -> dict[tuple[str, str, str], Rate]:
    rows = Statistic.objects.filter(**({"day__gte": since} if since else {}))
    telling = set(rows.filter(impressions__gt=0).values_list("placement", flat=True).distinct())
    objectives = dict(Placement.objects.values_list("key", "objective"))
    sums: Any = rows.filter(part=part).values("placement", "content", "name")
    found: dict[tuple[str, str, str], Rate] = {}
    for row in sums.annotate(**{f"{name}_sum": Sum(name) for name in COUNTS}):
        decisions, _, shown, clicks, conversions, value = (row[f"{name}_sum"] for name in COUNTS)
        placement = row["placement"]
        successes = clicks if objectives.get(placement) == CLICK else conversions
        # What was seen was chosen, but its decision may have been dropped, or not be counted yet.
        trials = shown if placement in telling else max(decisions, shown)
        worth = float(value) / conversions if conversions else 0.0
        found[placement, row["content"], row["name"]] = Rate(int(trials), int(successes), worth)
    return found


def rung_shares(since: datetime, until: datetime | None = None, placement: str = "") -> dict[str, Share]:
    """{rung: decisions and their share} of API calls and campaigns, in one placement or all; imports are left out."""
    return _shares(traffic(since, until, placement), "rung")


def reason_shares(since: datetime, until: datetime | None = None, placement: str = "") -> dict[str, Share]:
    """The same by the reason that was answered."""
    return _shares(traffic(since, until, placement), "reason")


def traffic(since: datetime, until: datetime | None = None, placement: str = "") -> QuerySet[Traffic]:
    """The rows of traffic from the hour of `since` on, before `until`."""
    rows = Traffic.objects.filter(OURS, hour__gte=since.replace(minute=0, second=0, microsecond=0))
    rows = rows.filter(hour__lt=until) if until else rows
    return rows.filter(placement=placement) if placement else rows


def _shares(rows: QuerySet[Traffic], by: str) -> dict[str, Share]:
    counts = {row[by]: int(row["count"]) for row in rows.values(by).annotate(count=Sum("decisions"))}
    total = sum(counts.values())
    return {name: Share(count, count / total) for name, count in counts.items() if total}


def tallies(what: str, since: datetime, until: datetime | None = None) -> dict[str, tuple[int, float]]:
    """{name: how many, and the largest figure} of what processes counted: dropped, written, answers, outcomes."""
    rows = Tally.objects.filter(what=what, hour__gte=since.replace(minute=0, second=0, microsecond=0))
    rows = rows.filter(hour__lt=until) if until else rows
    found = rows.values("name").annotate(total=Sum("count"), largest=Max("most"))
    return {row["name"]: (int(row["total"]), float(row["largest"])) for row in found}


def by_content(placement: str, since: date, until: date) -> dict[str, dict[str, float]]:
    """{content: its decisions, impressions, shown, clicks, conversions and value} in a placement over some days."""
    rows = Statistic.objects.filter(part=Statistic.Part.ALL, placement=placement, day__gte=since, day__lte=until)
    found: Any = rows.values("content").annotate(**{f"{name}_sum": Sum(name) for name in COUNTS})
    return {row["content"]: {name: float(row[f"{name}_sum"]) for name in COUNTS} for row in found}
