"""A customer's facts and some supposed otherwise in; each content's chance now and then, and why, out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from campaigns.models import Content

from ..learning.contributions import Contributions, contributions
from ..learning.schema import Column
from ..learning.scorer import Scorer
from ..models import Artefact
from ..store import artefacts
from .score import loaded

MOST_CONTENTS: Final = 500


@dataclass(frozen=True, slots=True)
class Chance:
    """One content: the chance with the facts as they are, with those supposed, and the place it has in each order."""

    content: Content
    now: float
    then: float
    rank_now: int
    rank_then: int


@dataclass(frozen=True, slots=True)
class Supposed:
    """Every content, the best of what is supposed first, and what makes the best one's chance there."""

    scorer: int
    chances: Sequence[Chance]
    why: Contributions | None


def asked() -> tuple[Artefact, list[Column]] | None:
    """The active scorer and the facts it reads, those it leans on most first (as its card says); None without one."""
    artefact = artefacts.active(Artefact.Kind.SCORER)
    if artefact is None:
        return None
    order = {row["name"]: place for place, row in enumerate(artefact.metrics.get("card", {}).get("importance", []))}
    columns = list({column.key: column for column in loaded(artefact.pk).schema.fact_columns}.values())
    return artefact, sorted(columns, key=lambda column: order.get(column.name, len(order)))


def suppose(artefact: int, facts: Mapping[str, Any], changes: Mapping[str, Any]) -> Supposed:
    """Score every content that can be shown twice; a change to None takes the fact away. Nothing is stored."""
    scorer = loaded(artefact)
    contents = list(Content.objects.filter(active=True).order_by("key")[:MOST_CONTENTS])
    then = {name: value for name, value in {**facts, **changes}.items() if value is not None}
    before, after = _scored(scorer, facts, contents), _scored(scorer, then, contents)
    ranks = [_ranks(values) for values in (before, after)]
    chances = [
        Chance(content, before[at], after[at], ranks[0][at], ranks[1][at]) for at, content in enumerate(contents)
    ]
    chances.sort(key=lambda one: one.rank_then)
    return Supposed(artefact, chances, contributions(scorer, then, chances[0].content) if chances else None)


def _scored(scorer: Scorer, facts: Mapping[str, Any], contents: Sequence[Content]) -> list[float]:
    return scorer.score_contents(facts, contents) if contents else []


def _ranks(values: Sequence[float]) -> list[int]:
    """1 for the greatest; equal ones in their order."""
    order = sorted(range(len(values)), key=lambda at: -values[at])
    ranks = [0] * len(values)
    for rank, at in enumerate(order, start=1):
        ranks[at] = rank
    return ranks
