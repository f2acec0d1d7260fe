"""The ledger's latest decisions in; how well each content did at such moments (device=mobile, hours=18-23 …), out.

For somebody nobody knows, the moment is all there is. Rates are drawn towards the content's own, the more the less the
moments differ (see `learning.shrinking`), and only the commonest values of each fact of the moment are kept.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
from django.db import connection

from ..engine.context import PATHS, TELLING, context_facts, moments
from ..engine.types import PlacementItem
from ..learning.shrinking import shrunken, strength
from ..models import Outcome
from .statistics import CLICK

RECENT: Final = 10_000  # decisions kept whole, the newest of all placements
VALUES: Final = 20  # of one fact of the moment, the commonest
TRIALS: Final = 50  # a moment with fewer showings says nothing
ANY_DAY: Final = datetime(2000, 1, 1, tzinfo=UTC)  # no moment is named by its day
LONGEST: Final = 120  # characters of a moment's name; a context says what its caller likes

IN_TIME: Final = """
SELECT o.decision_id, o.content, o.kind FROM decisioning_outcome o JOIN decisioning_decision d ON d.id = o.decision_id
WHERE d.id = ANY(%s) AND decisioning_in_time(d.windows, o.kind, d.at, o.at)
"""


def _told() -> str:
    """Of a context what moments are named by, as it was sent; the rest would only tell apart what counts alike."""
    steps: dict[str, list[str]] = {}
    for root, *rest in map(PATHS.__getitem__, TELLING):
        steps.setdefault(root, []).extend(rest)
    members = []
    for root, names in steps.items():
        held = f"context -> '{root}'"
        own = ", ".join(f"'{name}', {held} -> '{name}'" for name in names)
        cut = f"CASE jsonb_typeof({held}) WHEN 'object' THEN jsonb_build_object({own}) ELSE {held} END"
        members.append(f"'{root}', {cut if names else held}")
    return f"jsonb_strip_nulls(jsonb_build_object({', '.join(members)}))"


# Decisions whose moments are named alike are one row a content: of the times it was chosen, those that anything, an
# impression, a click and a conversion followed.
STATEMENT: Final = f"""
WITH latest AS MATERIALIZED (
    SELECT id, at, placement, windows, {_told()}::text AS context,
           extract(hour FROM at AT TIME ZONE 'UTC')::int AS hour,
           ARRAY(SELECT DISTINCT value ->> 'key' FROM jsonb_array_elements(items)) AS contents
    FROM decisioning_decision
    WHERE whole AND placement = ANY(%s) AND source <> 'import' ORDER BY at DESC, id DESC LIMIT %s
), followed AS MATERIALIZED (
    SELECT o.decision_id, o.content, bool_or(o.kind = 'impression') AS seen, bool_or(o.kind = 'click') AS clicked,
           bool_or(o.kind = 'conversion') AS converted
    FROM decisioning_outcome o JOIN latest d ON d.id = o.decision_id
    WHERE decisioning_in_time(d.windows, o.kind, d.at, o.at) GROUP BY 1, 2
)
SELECT d.placement, d.context, d.hour, c.content, count(*), count(f.content), count(*) FILTER (WHERE f.seen),
       count(*) FILTER (WHERE f.clicked), count(*) FILTER (WHERE f.converted)
FROM latest d
CROSS JOIN LATERAL unnest(d.contents) AS c(content)
LEFT JOIN followed f ON f.decision_id = d.id AND f.content = c.content
GROUP BY d.placement, d.context, d.hour, c.content
"""  # noqa: S608


_decode = msgspec.json.Decoder().decode

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
    groups = [(yes, n, rates[key]) for name in kept for key, (yes, n) in sorted(counts[name].items()) if key in rates]
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
    with connection.cursor() as cursor:
        cursor.execute(STATEMENT, [list(success), RECENT])
        rows: list[tuple[str, str, int, str, int, int, int, int, int]] = cursor.fetchall()
    tells = {placement for placement, _, _, _, _, _, seen, _, _ in rows if seen}
    clicks = {key for key, kind in success.items() if kind == Outcome.Kind.CLICK}
    # Few moments in many rows: each is named once.
    alike: dict[tuple[str, int], dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for placement, context, hour, content, chosen, anything, _, clicked, converted in rows:
        sums = alike[context, hour][content]
        sums[0] += clicked if placement in clicks else converted
        sums[1] += anything if placement in tells else chosen
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for (context, hour), contents in alike.items():
        for name in _names(context, hour):
            for key, (yes, n) in contents.items():
                found[name][key][0] += yes
                found[name][key][1] += n
    return {name: {key: (yes, n) for key, (yes, n) in each.items() if n} for name, each in found.items()}


def _names(context: str, hour: int) -> list[str]:
    names = moments(context_facts(_decode(context), ANY_DAY.replace(hour=hour)))
    return [name for name in names if len(name) <= LONGEST]


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
