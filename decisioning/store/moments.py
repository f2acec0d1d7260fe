"""The ledger's latest decisions in; how well each content did at such moments (device=mobile, hours=18-23 …), out.

For somebody nobody knows, the moment is all there is. Rates are drawn towards the content's own, the more the less the
moments differ (see `learning.shrinking`), and only the commonest values of each fact of the moment are kept.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from django.db import connection

from ..engine.context import context_facts, moments
from ..engine.types import PlacementItem
from ..learning.shrinking import shrunken, strength
from ..models import Decision, Outcome
from .statistics import CLICK

RECENT: Final = 10_000  # decisions kept whole, the newest of all placements
VALUES: Final = 20  # of one fact of the moment, the commonest
TRIALS: Final = 50  # a moment with fewer showings says nothing
LONGEST: Final = 120  # characters of a moment's name; a context says what its caller likes

IN_TIME: Final = """
SELECT o.decision_id, o.content, o.kind FROM decisioning_outcome o JOIN decisioning_decision d ON d.id = o.decision_id
WHERE d.id = ANY(%s) AND decisioning_in_time(d.windows, o.kind, d.at, o.at)
"""

Followed = dict[tuple[UUID, str], frozenset[str]]
Counts = dict[str, dict[str, tuple[int, int]]]


def moment_rates(
    placements: Sequence[PlacementItem], known: frozenset[str], rates: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """{moment: {content: rate}} over all placements; `rates` are the contents' own, `known` those in use.

    Trials and successes are those of `statistics.posteriors`: what was seen, or, where a placement reports no
    impressions, what was chosen; clicks or conversions by the placement's objective.
    """
    counts = {name: found for name, found in _counts(placements).items() if _trials(found) >= TRIALS}
    kept = _commonest(counts)
    groups = [(yes, n, rates[key]) for name in kept for key, (yes, n) in counts[name].items() if key in rates]
    weight = strength(groups)
    found = {
        name: {
            key: shrunken(yes, n, rates[key], weight)
            for key, (yes, n) in sorted(counts[name].items())
            if key in known and key in rates
        }
        for name in kept
    }
    return {name: each for name, each in found.items() if each}


def followed(decisions: Sequence[UUID]) -> Followed:
    """The kinds of outcomes of each content of these decisions, as far as they came within their windows."""
    found: Followed = {}
    with connection.cursor() as cursor:
        cursor.execute(IN_TIME, [list(decisions)])
        rows = cursor.fetchall()
    for decision_id, content, kind in rows:
        found[decision_id, content] = found.get((decision_id, content), frozenset()) | {kind}
    return found


def wanted(item: PlacementItem) -> str:
    """The kind of outcome that is a success there."""
    return Outcome.Kind.CLICK if item.objective == CLICK else Outcome.Kind.CONVERSION


def _counts(placements: Sequence[PlacementItem]) -> Counts:
    """(successes, trials) by moment and content."""
    success = {item.key: wanted(item) for item in placements}
    rows: Any = Decision.objects.filter(whole=True, placement__in=success).exclude(source=Decision.Source.IMPORT)
    decisions = list(rows.order_by("-at", "-id").values_list("id", "at", "placement", "items", "context")[:RECENT])
    outcomes = followed([row[0] for row in decisions])
    tells = {
        placement
        for pk, _, placement, items, _ in decisions
        if any(Outcome.Kind.IMPRESSION in outcomes.get((pk, item["key"]), ()) for item in items)
    }
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for pk, at, placement, items, context in decisions:
        names = [name for name in moments(context_facts(context, at)) if len(name) <= LONGEST]
        for key in dict.fromkeys(item["key"] for item in items):
            kinds = outcomes.get((pk, key), frozenset())
            if kinds or placement not in tells:
                for name in names:
                    found[name][key][0] += success[placement] in kinds
                    found[name][key][1] += 1
    return {name: {key: (yes, n) for key, (yes, n) in each.items()} for name, each in found.items()}


def _trials(counts: Mapping[str, tuple[int, int]]) -> int:
    return sum(n for _, n in counts.values())


def _commonest(counts: Counts) -> list[str]:
    """Of each fact the values with most showings, in the order of their names."""
    ranked: Iterable[str] = sorted(counts, key=lambda name: (-_trials(counts[name]), name))
    seen: Counter[str] = Counter()
    kept = []
    for name in ranked:
        fact = name.partition("=")[0]
        seen[fact] += 1
        if seen[fact] <= VALUES:
            kept.append(name)
    return sorted(kept)
