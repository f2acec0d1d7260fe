"""What is to be learned comes in, with a budget; the same with settings that earlier showings bear out comes out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl

from ..learning.bench import Question
from ..learning.contest import sides
from ..learning.dataset import closed
from ..learning.spending import Budget, Meter
from ..learning.training import Ingredients
from ..learning.tuning import tuned


def tuned_for(
    question: Question,
    budget: Budget | None,
    known: pl.DataFrame,
    judged: pl.DataFrame,
    parts: Ingredients,
    tell: Callable[[str], None],
) -> tuple[Question, dict[str, Any]]:
    """The question with its settings, and the metrics that say how they were found; without a budget as it is.

    Searched in what the challenger is taught by, never in what it is judged by. `tell` hears how far it is.
    """
    if budget is None:
        return question, {}
    taught = sides(closed(judged, question.now, question.since, question.objective), question).train
    settings, found = tuned(known, taught, parts, question, Meter(budget), lambda done, of, words: tell(words))
    return replace(question, settings=settings), {"tuning": {**found.to_dict(), "words": found.words}}
