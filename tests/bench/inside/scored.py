"""Comes in: a word, run with the product's settings. Goes out: customers to score, or what scoring them takes, as JSON.

python -m tests.bench.inside.scored fill CUSTOMERS CONTENTS    with facts, a scorer of 60 trees × 15 leaves, the frame
python -m tests.bench.inside.scored alone                      every bucket in this process, to both stores
python -m tests.bench.inside.scored bare                       the scorer on rows of one bucket that are ready
python -m tests.bench.inside.scored keep                       scores that are at hand, into PostgreSQL and Redis
python -m tests.bench.inside.scored hand                       the buckets to Celery's workers, until all are done
"""

import json
import resource
import sys
import time
from random import Random
from typing import Any

import django
import numpy as np
import numpy.typing as npt
from django.core.management import call_command
from django.db import connection

django.setup()

from campaigns.models import Content  # noqa: E402
from decisioning import tasks  # noqa: E402
from decisioning.config import clock  # noqa: E402
from decisioning.flows import score  # noqa: E402
from decisioning.learning.features import Matrix, design_matrix, learn_schema, paired_matrix  # noqa: E402
from decisioning.learning.scorer import Scorer, Trees  # noqa: E402
from decisioning.models import Artefact, Score  # noqa: E402
from decisioning.store import artefacts, frames, layers, scores  # noqa: E402

NUMBERS, WORDS, TRAINED, TEMPLATES = 30, 4, 20_000, 997
DEPARTMENTS = ("Dairy", "Meat")
PATIENCE = 600.0
Told = dict[str, Any]


def fill(customers: int, contents: int) -> Told:
    """Customers of 34 facts by COPY; contents with a few attributes; a scorer that learned from made-up outcomes."""
    call_command("migrate", verbosity=0)
    dice = Random(3)
    rows = [
        Content(
            key=f"k-{n}", name=f"Content {n}",
            attributes={"price": n, "brand": f"b-{n % 4}", "departments": {DEPARTMENTS[n % 2]: 0.7}},
        )
        for n in range(contents)
    ]  # fmt: skip
    Content.objects.bulk_create(rows)
    templates = [_facts(dice) for _ in range(TEMPLATES)]
    texts = [json.dumps(one) for one in templates]
    columns = "id, key, traits, facts, facts_at, facts_version, unit"
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY customers_customer ({columns}) FROM STDIN") as copy:
            for pk in range(1, customers + 1):
                copy.write_row((pk, f"u-{pk}", "{}", texts[pk % TEMPLATES], clock.now(), 1, ""))
        cursor.execute("ANALYZE")
    _train(templates, rows)
    frames.refresh(clock.now())
    return {"rows": customers * contents}


def _facts(dice: Random) -> dict[str, Any]:
    numbers = {f"fact_{n}": round(dice.gauss(0, 1), 3) for n in range(NUMBERS)}
    return numbers | {f"word_{n}": dice.choice("abc") for n in range(WORDS)}


def _train(templates: list[dict[str, Any]], rows: list[Content]) -> None:
    draws = np.random.default_rng(1)
    people = [templates[at] for at in draws.integers(0, TEMPLATES, TRAINED)]
    which = list(draws.integers(0, len(rows), TRAINED))
    kinds = {name: "number" if name.startswith("fact") else "category" for name in templates[0]}
    weights = {name: f"fact_{at}" for at, name in enumerate(DEPARTMENTS)}
    schema = learn_schema(kinds, people, rows, {"departments": weights})
    X = paired_matrix(schema, people, rows, which)
    y = (X[:, 0] * X[:, 1] + X[:, 5] + draws.normal(size=TRAINED) > 1.5).astype(np.int8)
    scorer = Trees(schema, trees=60, leaves=15).fit(X, y, [rows[n].key for n in which])
    artefacts.activate(artefacts.keep(Artefact.Kind.SCORER, scorer.to_artefact(), schema.hash, {}, clock.now()))


def alone() -> Told:
    """In this process; its own processor seconds beside those of the clock, which hold the servers' work too."""
    score.score_bucket(0)  # what is loaded once
    began, used = time.perf_counter(), time.process_time()
    people = sum(score.score_bucket(bucket) for bucket in range(layers.BUCKETS))
    took = {"seconds": time.perf_counter() - began, "processor": time.process_time() - used}
    return {**took, "rows": people * Content.objects.count()}


def bare() -> Told:
    """The same scorer on rows that are ready: what scoring would take if nothing had to be read or kept."""
    doing = score.work()
    assert doing is not None
    frame = frames.current(
        ["customer_id", *(name for name in frames.columns() if name.startswith(("fact", "word")))], 0
    )
    X = design_matrix(doing.scorer.schema, frame, doing.contents)
    best = min(_timed(doing.scorer, X) for _ in range(3))
    return {"seconds": best, "rows": len(X)}


def _timed(scorer: Scorer, X: Matrix) -> float:
    began = time.perf_counter()
    scorer.score(X, scorer.schema.hash)
    return time.perf_counter() - began


def keep(customers: int = 200_000) -> Told:
    """Publishing alone: the chances are at hand."""
    doing = score.work()
    assert doing is not None
    ids: npt.NDArray[np.int64] = np.arange(1, customers + 1)
    chances = np.random.default_rng(2).random((customers, len(doing.contents))).round(scores.DIGITS)
    moments = [clock.now()] * score.AT_ONCE
    began = time.perf_counter()
    for start in range(0, customers, score.AT_ONCE):
        part = slice(start, start + score.AT_ONCE)
        found = scores.Found(doing.artefact, doing.listed, ids[part], moments, chances[part])
        scores.write(found)
        scores.publish(found)
    return {"seconds": time.perf_counter() - began}


def hand() -> Told:
    """From the first task handed out until the last row is there, by however many workers there are."""
    Score.objects.all().delete()
    tasks.score_bucket.delay("warm", 0)
    _until(1)
    Score.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM customers_customer")
        people = cursor.fetchone()[0]
    began = time.perf_counter()
    for bucket in range(layers.BUCKETS):
        tasks.score_bucket.delay("bench", bucket)
    _until(people)
    return {"seconds": time.perf_counter() - began, "rows": people * Content.objects.count()}


def _until(count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while Score.objects.count() < count:
        assert time.monotonic() < deadline, "the workers do not work"
        time.sleep(0.3)  # counting takes the database a while


def main(words: list[str]) -> Told:
    """Do one of them."""
    jobs = {"fill": fill, "alone": alone, "bare": bare, "keep": keep, "hand": hand}
    told = jobs[words[0]](*map(int, words[1:]))
    return {**told, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
