"""Comes in: a ledger, by the environment. Goes out: a JSON line for each random split of its customers into two halves.

A scorer learns from one half and is judged by the gate there. Where the gate opens, the other half, which nobody has
looked at, says what showing everybody the best scored content earns beside the best constant choice.

    python -m tests.learn.splits PLACEMENT OBJECTIVE SPLITS SCORER [SCORER ...]
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import django
import numpy as np
import polars as pl

django.setup()

from decisioning.config import clock  # noqa: E402
from decisioning.flows import learn  # noqa: E402
from decisioning.flows.showings import ingredients  # noqa: E402
from decisioning.learning.bench import Bench, Question, constants_of  # noqa: E402
from decisioning.learning.contest import contest  # noqa: E402
from decisioning.learning.gate import CONSTANT, judge  # noqa: E402
from decisioning.learning.scorer import Scorer  # noqa: E402
from decisioning.learning.training import Ingredients, fitted  # noqa: E402


def halves(known: pl.DataFrame, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All showings of a customer are in the same half."""
    people = known["customer_id"].unique().sort().to_numpy()
    mine = np.random.default_rng(seed).permutation(people)[: len(people) // 2]
    inside = known["customer_id"].is_in(mine.tolist())
    return known.filter(inside), known.filter(~inside)


def tried(known: pl.DataFrame, parts: Ingredients, question: Question, seed: int) -> dict[str, Any]:
    """What the gate said on one half, and of what it let through the gain on the other."""
    ours, others = halves(known, seed)
    verdict = judge(contest(ours, ours, parts, question).evidence(None))
    told = {"scorer": question.kind.kind, "seed": seed, "promoted": verdict.promoted, "words": verdict.words}
    if not verdict.promoted:
        return told
    scorer = fitted(ours, parts, 0, 1, question.objective, question.kind, (ours, question.now))
    bench = Bench(ours, others, parts, question)
    tested, _ = bench.scored(scorer)
    rivals = {CONSTANT: constants_of(ours, question.objective)}
    worths = dict(bench.worths(scorer, tested, rivals, np.random.default_rng(0)))
    gain = worths[CONSTANT].gain
    return told | {"gain": gain.value, "low": gain.low, "high": gain.high}


def splits(placement: str, objective: str, number: int, scorers: list[str]) -> Iterator[dict[str, Any]]:
    """One result a split and scorer."""
    known = learn.of_placement(learn.usable(clock.now()), placement)
    parts, middle = ingredients(known), known["shown_at"].median()
    assert isinstance(middle, datetime)
    question = Question(middle, clock.now(), objective, Scorer.family[scorers[0]])
    for name in scorers:
        for seed in range(number):
            yield tried(known, parts, replace(question, kind=Scorer.family[name]), seed)


if __name__ == "__main__":
    for found in splits(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]):
        print(json.dumps(found), flush=True)
