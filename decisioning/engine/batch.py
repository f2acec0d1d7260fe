"""Many questions in; the same answers as the resolver gives one by one, out, with the scorer asked once for all.

What is shared is what costs most: a matrix of all customers of a placement with all contents that any of them may see
goes through the scorer at once. A row's score does not depend on the rows around it, so the answers are equal.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np

from ..learning.family import Chances, Scorer, keys_of
from ..learning.features import ContentBlock, design_matrix
from .prepare import Prepared
from .resolver import Narrowed, narrow, rank
from .scoring import Live, wants_scorer
from .types import Ask, ContentItem, Resolution

ROWS: Final = 100_000  # of the matrix at a time


def resolve_many(prepared: Prepared, asks: Sequence[Ask], now: datetime) -> list[Resolution]:
    """One answer a question, in their order. Raises KeyError for a placement that the snapshot does not hold."""
    narrowed = [narrow(prepared, ask, now) for ask in asks]
    live = _live(prepared, [each for each in narrowed if isinstance(each, Narrowed)])
    return [
        each if isinstance(each, Resolution) else rank(prepared, each, now, live.get(id(each))) for each in narrowed
    ]


def _live(prepared: Prepared, narrowed: Sequence[Narrowed]) -> dict[int, Live]:
    """The scorer's scores of each question that it can be asked for, by the question's identity."""
    by_placement: dict[str, list[Narrowed]] = {}
    for each in narrowed:
        # Candidates of the caller's own have attributes of their own; such a question is scored alone.
        if each.ask.candidates is None and wants_scorer(prepared, each.slot, each.ask.customer):
            by_placement.setdefault(each.ask.placement, []).append(each)
    found: dict[int, Live] = {}
    for group in by_placement.values():
        wanted = {key for each in group for key in each.state.kept}
        contents = [content for content in group[0].slot.pool if content.key in wanted]
        size = max(1, ROWS // len(contents))
        for start in range(0, len(group), size):
            found.update(_scored(prepared, group[start : start + size], contents))
    return found


def _scored(prepared: Prepared, group: Sequence[Narrowed], contents: Sequence[ContentItem]) -> dict[int, Live]:
    """Scores for some customers of one placement; nothing for whom it failed, so that each is tried alone."""
    scorer = prepared.scorer
    assert scorer is not None
    try:
        chances = _chances(scorer, [each.facts for each in group], contents)
    except ValueError:
        return {}
    found: dict[int, Live] = {}
    for each, row in zip(group, chances.tolist(), strict=True):
        scores = {content.key: value for content, value in zip(contents, row, strict=True)}
        own = {key: scores[key] for key in each.state.kept}
        if math.isfinite(sum(own.values())):
            found[id(each)] = own
    return found


def _chances(scorer: Scorer, facts: Sequence[Mapping[str, Any]], contents: Sequence[ContentItem]) -> Chances:
    """(customers, contents) what `score_contents` says of each."""
    if type(scorer).score_contents is not Scorer.score_contents:
        # It reads no rows, as the best constant does.
        return np.array([scorer.score_contents(each, contents) for each in facts])
    treated = scorer.treatment.many(facts)
    rows = design_matrix(scorer.schema, treated, ContentBlock(scorer.schema, contents, scorer.kept))
    return scorer.score(rows, scorer.schema.hash, keys_of(contents)).reshape(len(facts), len(contents))
