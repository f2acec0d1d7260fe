"""The ledger's statistics and its latest decisions in; the counts, rates and bandits that a snapshot decides with, out.

They are made anew with every snapshot, from what stands in the database, so that nothing has to be kept in step. Only
what some placement reads is put into a snapshot: a site that samples nothing gets no new snapshot for new counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from django.db.models import F, Max

from ..engine.context import context_facts
from ..engine.policies import BANDIT, POLICIES, POSTERIORS
from ..engine.types import ContentItem, PlacementItem
from ..learning.bandit import LinearBandit
from ..learning.family import PRIOR_STRENGTH
from ..learning.sharing import shared
from ..learning.shrinking import shrunken
from ..models import Change, Decision, Outcome, Statistic
from . import statistics
from .moments import followed, moment_rates, wanted

DAYS: Final = 90  # before the newest day that was counted; what is older says little about today
DECISIONS: Final = 5_000  # the newest of a placement, for its bandit

Rates = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a snapshot holds of the ledger; see `SnapshotData`."""

    priors: Mapping[str, float]
    posteriors: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    bandits: dict[str, bytes] = field(default_factory=dict)
    segment_priors: Rates = field(default_factory=dict)


def counted(
    placements: Sequence[PlacementItem], contents: Sequence[ContentItem], priors: Mapping[str, float]
) -> Counts:
    """Counts for these placements and contents; `priors` are the scorer's rates, and counted where it has none."""
    newest = Statistic.objects.aggregate(newest=Max("day"))["newest"]
    since = newest - timedelta(days=DAYS) if newest else None
    bandits = {item.key: _bandit(item, contents).to_bytes() for item in placements if _reads(item) == BANDIT}
    if since is None:
        return Counts(priors, bandits=bandits)
    known = frozenset(content.key for content in contents)
    found = statistics.posteriors(since)
    popularity = priors or _rates(found.values(), known, {})
    posteriors = {
        item.key: {key: (float(yes), float(no)) for key, (yes, no) in found[item.key].items() if key in known}
        for item in placements
        if item.key in found and (_reads(item) == POSTERIORS or item.new_share > 0)
    }
    groups = {**_segment_priors(since, known, popularity), **moment_rates(placements, known, popularity)}
    return Counts(popularity, posteriors, bandits, groups)


def recount() -> None:
    """Let the next snapshot take new counts; one equal to the last is not made."""
    Change.objects.update(number=F("number") + 1)


def _reads(item: PlacementItem) -> str:
    return POLICIES[item.policy].reads if item.policy in POLICIES else ""


def _segment_priors(since: date, known: frozenset[str], priors: Mapping[str, float]) -> Rates:
    """Rates by segment and content over all placements, drawn towards the content's rate among all."""
    by_segment: dict[str, list[dict[str, tuple[int, int]]]] = {}
    for segments in statistics.group_rates(Statistic.Part.SEGMENT, since).values():
        for segment, rates in segments.items():
            counts = {key: (rate.successes, rate.failures) for key, rate in rates.items()}
            by_segment.setdefault(segment, []).append(counts)
    found = {segment: _rates(counts, known, priors) for segment, counts in sorted(by_segment.items())}
    return {segment: rates for segment, rates in found.items() if rates}


def _rates(
    many: Iterable[Mapping[str, tuple[int, int]]], known: frozenset[str], priors: Mapping[str, float]
) -> dict[str, float]:
    """{content: (successes + m × rate) / (trials + m)}, m = `PRIOR_STRENGTH`; the common rate where none is known."""
    sums: dict[str, tuple[int, int]] = {}
    for counts in many:
        for key, (yes, no) in counts.items():
            before = sums.get(key, (0, 0))
            sums[key] = (before[0] + yes, before[1] + no)
    good, bad = sum(yes for yes, _ in sums.values()), sum(no for _, no in sums.values())
    common = (good + 1.0) / (good + bad + 2.0)
    return {
        key: shrunken(yes, yes + no, priors.get(key, common), PRIOR_STRENGTH)
        for key, (yes, no) in sorted(sums.items())
        if key in known
    }


def _bandit(item: PlacementItem, contents: Sequence[ContentItem]) -> LinearBandit:
    """Each content's own, or what contents with common tags tell of each other."""
    bandit = _learned(item)
    if not item.bandit_shared:
        return bandit
    here = (content for content in contents if not content.placements or item.key in content.placements)
    return shared(bandit, {content.key: content.tags for content in here if content.key not in item.defaults})


def _learned(item: PlacementItem) -> LinearBandit:
    """Learned from the placement's newest decisions that were kept whole, the oldest of them first."""
    rows = Decision.objects.filter(placement=item.key, whole=True).exclude(source=Decision.Source.IMPORT)
    newest = rows.order_by("-at", "-id").values_list("id", "at", "items", "facts", "context")[:DECISIONS]
    decisions = list(newest)[::-1]
    success, outcomes = wanted(item), followed([row[0] for row in decisions])
    tells = any(Outcome.Kind.IMPRESSION in kinds for kinds in outcomes.values())
    bandit = LinearBandit(item.bandit_facts)
    for decision_id, at, items, facts, context in decisions:
        x = bandit.features({**facts, **context_facts(context, at)})
        for key in _keys(items):
            kinds = outcomes.get((decision_id, key), frozenset())
            if kinds or not tells:
                bandit.update(key, x, float(success in kinds))
    return bandit


def _keys(items: Sequence[Mapping[str, Any]]) -> list[str]:
    return [item["key"] for item in items]
