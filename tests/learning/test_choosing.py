"""Which kind of scorer learns a log where nobody names one."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from decisioning.learning.bench import Question
from decisioning.learning.choosing import chosen_kind, of_slates
from decisioning.learning.scorer import Order, Prior, Scorer, Trees
from decisioning.learning.training import Ingredients

START, SIZE, SLATES = datetime(2026, 1, 1, tzinfo=UTC), 6, 600
CONTENTS = [SimpleNamespace(key=f"c{n:02}", attributes={"price": n}, tags=()) for n in range(24)]
PARTS = Ingredients({"mood": "number"}, {}, CONTENTS)


def log(*, by_slate: bool = True, seed: int = 0) -> pl.DataFrame:
    """Of neighbours in price the cheapest is taken most: what a price is worth hangs on what stands beside it."""
    dice = np.random.default_rng(seed)
    which = np.concatenate([start + dice.permutation(SIZE) for start in dice.integers(0, 24 - SIZE, SLATES)])
    slate = np.repeat(np.arange(SLATES), SIZE)
    beside = which - np.repeat(which.reshape(-1, SIZE).min(axis=1), SIZE)
    mood = dice.normal(size=SLATES)[slate]
    yes = dice.random(len(which)) < 1 / (1 + beside)
    at = [START + timedelta(hours=int(n) if by_slate else place) for place, n in enumerate(slate)]
    return pl.DataFrame(
        {
            "customer_id": slate + 1 if by_slate else np.arange(len(which)) + 1,
            "content_key": [CONTENTS[n].key for n in which],
            "shown_at": at,
            "closes_at": [moment + timedelta(minutes=5) for moment in at],
            "converted_at": [moment if one else None for moment, one in zip(at, yes, strict=True)],
            "group": slate if by_slate else np.arange(len(which)),
            "mood": mood,
        }
    )


def question(objective: str = "conversion", split: datetime = START + timedelta(days=3650)) -> Question:
    return Question(split, split, objective, Prior)


def test_slates_are_ordered_where_that_is_surely_better() -> None:
    frame = log()
    assert of_slates(frame)
    assert chosen_kind(frame, frame, PARTS, question()) is Order


@pytest.mark.parametrize("case", ["single contents", "money", "too little"])
def test_chances_are_learned(case: str) -> None:
    frame = log(by_slate=case != "single contents")
    asked = question("value" if case == "money" else "conversion")
    if case == "too little":
        asked = question(split=START + timedelta(hours=30))
    assert chosen_kind(frame, frame, PARTS, asked) is Trees


def test_what_comes_after_the_split_is_not_looked_at() -> None:
    frame, split = log(), START + timedelta(hours=SLATES // 2)
    poisoned = frame.with_columns(
        converted_at=pl.when(pl.col("shown_at") < split).then("converted_at").otherwise("shown_at"),
        mood=pl.when(pl.col("shown_at") < split).then("mood").otherwise(99.0),
    )
    seen: list[type[Scorer]] = [chosen_kind(one, one, PARTS, question(split=split)) for one in (frame, poisoned)]
    assert seen[0] is seen[1]
