"""Showings that may be learned from come in; the kind of scorer that orders later ones of them best comes out.

Asked where nobody names a kind. A log of single contents is learned as chances. Where most decisions show several,
chances and an order are both taught by the earlier four fifths and held against each other on the later fifth by
nDCG at 10; chances stay unless the order is surely better, for a chance says more than an order. Nothing that a
scorer is judged by afterwards has been looked at.
"""

from typing import Final

import numpy as np
import polars as pl

from decisioning.learning.bench import Question
from decisioning.learning.dataset import VALUE, closed, outcome, split_by_time
from decisioning.learning.folding import Fold, prepared
from decisioning.learning.gains import Slates, ndcg
from decisioning.learning.scorer import Order, Scorer, Trees
from decisioning.learning.slicing import LATE
from decisioning.learning.tempering import surely
from decisioning.learning.training import FEWEST_CONVERSIONS, Ingredients

FEWEST_SLATES: Final = 100  # with something and nothing taken, in the later fifth


def chosen_kind(showings: pl.DataFrame, judged: pl.DataFrame, parts: Ingredients, question: Question) -> type[Scorer]:
    """`Order` or `Trees`, by what of `judged` had closed by the question's split; `question.kind` is not looked at."""
    known = closed(judged, question.split, question.since, question.objective)
    if question.objective == VALUE or not of_slates(known):
        return Trees
    moment = known["shown_at"].sort()[int(LATE * (known.height - 1))]
    sides = split_by_time(known, moment, question.objective)
    hits = [int((outcome(side, question.objective) > 0).sum()) for side in (sides.train, sides.test)]
    if min(hits) < FEWEST_CONVERSIONS:
        return Trees
    fold = prepared(showings, sides.train, sides.test, parts, question)
    chances, order = (_figures(kind, fold, question) for kind in (Trees, Order))
    gains = order.figures - chances.figures
    enough = len(gains) >= FEWEST_SLATES
    return Order if enough and surely(gains, np.full(len(gains), 1 / len(gains))) else Trees


def of_slates(known: pl.DataFrame) -> bool:
    """Whether most decisions showed more than one content."""
    if known.is_empty():
        return False
    return bool((known.group_by("group").len()["len"] > 1).mean() > 0.5)  # type: ignore[operator]


def _figures(kind: type[Scorer], fold: Fold, question: Question) -> Slates:
    """nDCG of each later slate by a scorer of the earlier ones."""
    asked = fold.asked
    return ndcg(asked.y, fold.scores(kind, question), asked.groups, asked.customers)
