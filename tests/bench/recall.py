"""Comes in: nothing. Goes out: how long it takes to choose the 500 of 100,000 contents that are worth ranking.

recall_100k         ms of one placement that draws from all lists, for a customer who clicked ten contents; the peer is
                    `implicit`'s own `recommend` of 500 for one customer, which looks at all contents
recall_100k_p99     ms of CPU that one of a hundred exceeds: what else the machine does is left out
recall_100k_learn   seconds to learn all lists from 600,000 touches
recall_100k_bytes   MB of the lists
"""

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from decisioning.engine.candidates import candidates
from decisioning.engine.prepare import Prepared, prepare
from decisioning.engine.resolver import all_facts
from decisioning.engine.types import Ask, ContentItem, PlacementItem, Profile, RecallItem, RuleItem, SnapshotData
from decisioning.learning import factors, recalling
from decisioning.learning.asof import DAY
from decisioning.learning.recall import LISTS, Recall
from decisioning.learning.touches import BOUGHT, Touches
from tests.bench.measure import Result

CONTENTS: Final = 100_000
CUSTOMERS: Final = 20_000
EACH: Final = 30  # touches of a customer
WORLDS: Final = 400  # of taste, which most touches stay in
ASKED: Final = 2_000
NOW: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
MICROS: Final = round(NOW.timestamp() * 1e6)


@dataclass(frozen=True, slots=True)
class Thing:
    """A content of the catalogue."""

    key: str
    attributes: dict[str, Any]
    value: float
    tags: tuple[str, ...] = ()
    margin: float | None = None
    body: dict[str, Any] = field(default_factory=dict)


def recall_100k() -> Iterator[Result]:
    """Choosing beside looking at everything, on the same touches."""
    dice = np.random.default_rng(7)
    things = [
        Thing(f"c{n:06d}", {"category": f"category {n % WORLDS}", "brand": f"brand {n % 2_003}"}, 1.0 + n % 97)
        for n in range(CONTENTS)
    ]
    touches = _touches(dice)
    started = time.perf_counter()
    lists = recalling.learn(touches, things, {"genre": ["category 1", "category 2"]}, MICROS)
    learning = time.perf_counter() - started
    prepared, asks = _prepared(things, lists), _asks(things, touches, dice)
    (ours, busy), beside = _each(prepared, asks), _by_implicit(touches)
    middle, theirs = float(np.median(ours)), float(np.median(beside))
    yield Result("recall_100k", round(middle, 3), "ms", "implicit", round(theirs, 3), round(theirs / middle, 2), ASKED)
    yield Result("recall_100k_p99", round(float(np.quantile(busy, 0.99)), 3), "ms", runs=ASKED)
    yield Result("recall_100k_learn", round(learning, 1), "s", runs=1)
    yield Result("recall_100k_bytes", round(len(lists.to_artefact()) / 1e6, 1), "MB", runs=1)


def _touches(dice: np.random.Generator) -> Touches:
    """Customers of some worlds each; in a world some contents are touched far more often than others."""
    customers = np.repeat(np.arange(CUSTOMERS), EACH)
    worlds = dice.integers(0, WORLDS, (CUSTOMERS, 3))[customers, dice.integers(0, 3, len(customers))]
    within = np.minimum(dice.geometric(0.02, len(customers)), CONTENTS // WORLDS) - 1
    contents = np.where(dice.random(len(customers)) < 0.9, within * WORLDS + worlds, dice.integers(0, CONTENTS))
    at = MICROS - dice.integers(1, 90 * DAY, len(customers))
    orders = np.arange(len(customers)) // 3
    return Touches(CONTENTS, customers, contents, np.full(len(customers), BOUGHT), at, orders)


def _prepared(things: list[Thing], lists: Recall) -> Prepared:
    contents = tuple(
        ContentItem(one.key, one.key, one.body, one.attributes, ("even",) if n % 2 else (), one.value)
        for n, one in enumerate(things)
    )
    placement = PlacementItem("hero", "Hero", 10, "", "conversion", "greedy", 0.0, lists=LISTS)
    texts = ('IF device = "kiosk" THEN PIN "c000003" AT 1', 'IF device = "tv" THEN ONLY TAGGED "even"')
    rules = tuple(RuleItem(f"r{n}", f"r{n}", text, 0, 1, NOW) for n, text in enumerate(texts))
    return prepare(1, NOW, SnapshotData(contents, (placement,), rules, recall=RecallItem(1, "")), lists)


def _asks(things: list[Thing], touches: Touches, dice: np.random.Generator) -> list[Ask]:
    """Of customers who clicked the last ten contents they touched, half of them on a kiosk or a television."""
    found = []
    for customer in dice.integers(0, CUSTOMERS, ASKED).tolist():
        mine = touches.contents[customer * EACH : customer * EACH + 10]
        facts = {"clicked_contents": [things[n].key for n in mine], "genre": "Category 1"}
        context = {"device": ("mobile", "desktop", "kiosk", "tv")[customer % 4]}
        found.append(Ask("hero", None, Profile(customer, f"p{customer}", 1, facts), context, f"p{customer}"))
    return found


def _each(prepared: Prepared, asks: list[Ask]) -> tuple[list[float], list[float]]:
    """Milliseconds of each question, by the clock and of CPU; the first few warm up."""
    slot = prepared.slots["hero"]
    found: list[float] = []
    busy: list[float] = []
    # As in a server's process, where what lives for long is not looked through for garbage.
    gc.freeze()
    for ask in (*asks[:100], *asks):
        facts = all_facts(prepared, ask, NOW)
        started, begun = time.perf_counter(), time.thread_time()
        chosen = candidates(slot, ask, facts, NOW)
        busy.append(1000 * (time.thread_time() - begun))
        found.append(1000 * (time.perf_counter() - started))
        assert chosen is not None
        assert 490 <= len(chosen.pool) <= 501
    return found[100:], busy[100:]


def _by_implicit(touches: Touches) -> list[float]:
    matrix = touches.matrix()
    model = factors.als.AlternatingLeastSquares(
        factors=factors.FACTORS, iterations=2, num_threads=1, use_gpu=False, random_state=7
    )
    with factors.threads.threadpool_limits(1, "blas"):
        model.fit(matrix, show_progress=False)
        found = []
        for customer in range(200):
            started = time.perf_counter()
            model.recommend(customer, matrix[customer], N=500)
            found.append(1000 * (time.perf_counter() - started))
    return found


BENCHES = {"recall_100k": recall_100k}
