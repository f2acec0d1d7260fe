"""Comes in: nothing. Goes out: seconds for many conditions, and for one, over a frame of a million customers."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import polars as pl

from rules.language import matching_frame, parse
from rules.language.frames import matching_frames
from tests.bench.measure import Result, best
from tests.bench.workload import FLAGS, LISTS, NUMBERS, TEXTS, rules, text

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MILLION = 1_000_000
SEGMENTS = 200
RUNS = 3


@lru_cache(maxsize=1)
def frame() -> pl.DataFrame:
    """A million customers of 60 facts, one in twenty values missing."""
    dice = np.random.default_rng(3)
    columns = [pl.Series(name, dice.random(MILLION) * 1000) for name in NUMBERS[:15]]
    columns += [pl.Series(name, dice.integers(0, 1000, MILLION)) for name in NUMBERS[15:]]
    columns += [_drawn(name, [f"value {n}" for n in range(30)], dice) for name in TEXTS]
    columns += [pl.Series(name, dice.random(MILLION) < 0.5) for name in FLAGS]
    columns += [_lists(name, dice) for name in LISTS]
    return pl.DataFrame([_holed(column, dice) for column in columns])


def _drawn(name: str, words: list[str], dice: np.random.Generator) -> pl.Series:
    return pl.Series(name, words).gather(dice.integers(0, len(words), MILLION))


def _lists(name: str, dice: np.random.Generator) -> pl.Series:
    """Four items each."""
    items = _drawn(name, [f"item {n}" for n in range(50)], dice)
    shifted = [items.gather((np.arange(MILLION) + shift) % MILLION) for shift in (0, 7, 77, 777)]
    return pl.select(pl.concat_list(shifted).alias(name)).to_series()


def _holed(column: pl.Series, dice: np.random.Generator) -> pl.Series:
    holes = pl.Series(dice.random(MILLION) < 0.05)
    return pl.select(pl.when(~holes).then(column).alias(column.name)).to_series()


def segments_200x1m() -> Iterator[Result]:
    """Who is in which of 200 segments."""
    conditions = {f"segment {number}": parse(text(rule)) for number, rule in enumerate(rules(SEGMENTS, seed=4))}
    people = frame()
    seconds = best(lambda: matching_frames(conditions, people, NOW), runs=RUNS)
    yield Result("segments_200x1m", round(seconds, 3), "s", runs=RUNS)


def count_1m() -> Iterator[Result]:
    """How many one condition is true for."""
    condition = parse(
        'number_1 >= 250 AND text_1 IN ("value 1", "value 2", "value 3") AND flag_1 = TRUE'
        ' AND NOT list_1 CONTAINS "item 5" AND (number_20 < 500 OR text_2 = "value 7")'
    )
    people = frame()
    seconds = best(lambda: matching_frame(condition, people, NOW).sum(), repeats=5)
    yield Result("count_1m", round(seconds, 4), "s")


BENCHES = {"segments_200x1m": segments_200x1m, "count_1m": count_1m}
