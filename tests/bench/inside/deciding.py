"""Comes in: a word, run with the product's settings. Goes out: a site to decide on, or what deciding costs, as JSON.

python -m tests.bench.inside.deciding prepare CONTENTS     a placement of so many contents, a scorer, a key
python -m tests.bench.inside.deciding measure CONTENTS     on such a site: decisions, batches and ledger in this process
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import django
import msgspec
import numpy as np
from django.core.management import call_command

django.setup()

from campaigns.models import Content, Placement  # noqa: E402
from decisioning.config import clock  # noqa: E402
from decisioning.customers.models import Customer  # noqa: E402
from decisioning.engine.prepare import Prepared, prepare  # noqa: E402
from decisioning.flows.decide import decide, read  # noqa: E402
from decisioning.flows.decide_many import decide_many  # noqa: E402
from decisioning.flows.decide_many import read as read_many  # noqa: E402
from decisioning.learning.features import learn_schema, paired_matrix  # noqa: E402
from decisioning.learning.scorer import Trees  # noqa: E402
from decisioning.models import Artefact, Decision  # noqa: E402
from decisioning.store import artefacts, connection, keys, profiles, publishing, snapshot  # noqa: E402
from decisioning.store.ledger import Ledger  # noqa: E402
from rules import rulebook  # noqa: E402
from rules.language.facts import Catalogue, Fact  # noqa: E402
from rules.models import Rule  # noqa: E402

PEOPLE, RULES, FACTS = 1000, 20, 20
CALLS, ROWS, TOGETHER = 2000, 5000, 500
NAMES = [f"fact_{number}" for number in range(FACTS)]
Body = dict[str, Any]


def furnish(contents: int) -> str:
    """Customers of twenty facts, contents, twenty rules, a scorer of sixty trees, a snapshot; a key."""
    call_command("migrate", verbosity=0)
    dice = Random(11)
    Placement.objects.create(key="hero", name="Hero", count=3, policy="epsilon", exploration=0.1)
    rows = [_content(number, dice) for number in range(contents)]
    Content.objects.bulk_create(rows)
    facts = [{name: dice.randrange(1000) for name in NAMES} for _ in range(PEOPLE)]
    Customer.objects.bulk_create(
        Customer(key=f"c-{n}", facts=one, facts_at=clock.now(), facts_version=1) for n, one in enumerate(facts)
    )
    known = Catalogue(facts={name: Fact(name, "number") for name in NAMES})
    for number in range(RULES):
        low = dice.randrange(900)
        text = f'IF {NAMES[number]} BETWEEN {low} AND {low + 100} THEN BOOST TAGGED "t{number % 5}" BY 1.5'
        row = Rule.objects.create(key=f"r-{number}", name=f"Rule {number}", text=text)
        rulebook.publish(row, None, known)
    _train(facts, rows[:50])
    key = keys.create("bench", keys.SCOPES)[1]
    snapshot.build()
    publishing.publish_all()
    return key


def _content(number: int, dice: Random) -> Content:
    attributes = {"size": dice.randrange(100), "shade": dice.randrange(10)}
    body = {
        "title": f"Content {number}",
        "text": "Ten words that say what is to be had here today.",
        "url": f"/{number}",
    }
    return Content(
        key=f"k-{number}", name=f"Content {number}", body=body, attributes=attributes, tags=[f"t{number % 5}"]
    )


def _train(facts: list[dict[str, Any]], rows: list[Content]) -> None:
    """A scorer as large as those that the product trains; what it says does not matter here."""
    draws = np.random.default_rng(3)
    people = [facts[at] for at in draws.integers(0, len(facts), 4000)]
    which = list(draws.integers(0, len(rows), len(people)))
    y = np.array([draws.random() < 0.1 + 0.4 * (one["fact_0"] > 500) for one in people], dtype=np.int8)
    schema = learn_schema(dict.fromkeys(NAMES, "number"), people, rows, {})
    scorer = Trees(schema, trees=60).fit(paired_matrix(schema, people, rows, which), y, [rows[n].key for n in which])
    artefacts.activate(
        artefacts.keep(Artefact.Kind.SCORER, scorer.to_artefact(), schema.hash, {}, clock.now()),
    )


class Bench:
    """A snapshot in this process, a reader of profiles, a ledger; bodies of requests."""

    def __init__(self) -> None:
        holder = snapshot.Holder(snapshot.holder.directory, snapshot.patient())
        holder.poll()
        assert holder.current is not None
        self.prepared: Prepared = holder.current
        bare = msgspec.structs.replace(self.prepared.data, scorer=None, posteriors={}, priors={}, segment_priors={})
        self.plain = prepare(self.prepared.number, self.prepared.built_at, bare)
        # A patient client: what is measured is the work, not how a busy machine runs into time limits.
        self.profiles = profiles.Profiles(connection.patient())
        self.ledger = quiet_ledger()

    def bodies(self, count: int, **more: Any) -> list[bytes]:
        """Questions of one customer after the other, each with a request id of its own."""
        asked: Iterator[Body] = (
            {"customer_id": f"c-{n % PEOPLE}", "placements": ["hero"], "request_id": f"r-{n}", **more}
            for n in range(count)
        )
        return [json.dumps(one).encode() for one in asked]

    def decide(self, body: bytes, prepared: Prepared, cache: float = 0.0) -> bytes:
        """One decision, which must be given."""
        status, answer = decide(body, prepared, self.profiles, self.ledger, clock.now(), cache)
        assert status == 200, answer
        return answer


def quiet_ledger() -> Ledger:
    """A ledger that writes when it is told to, and not beside what is measured."""
    made = Ledger(limit=10 * ROWS)
    made._thread = threading.current_thread()
    return made


def timed(work: Callable[[bytes], object], bodies: list[bytes]) -> list[float]:
    """Microseconds of each call, sorted; the first tenth of them warms up."""
    for body in bodies[: len(bodies) // 10]:
        work(body)
    found = []
    for body in bodies:
        started = time.perf_counter()
        work(body)
        found.append((time.perf_counter() - started) * 1e6)
    return sorted(found)


def measure() -> dict[str, Any]:
    """Microseconds of every call by the name of its bench; seconds of batches and of the ledger."""
    bench = Bench()
    bodies = bench.bodies(CALLS)
    sample = bench.decide(bodies[0], bench.prepared)
    assert json.loads(sample)["rung"] == "full"
    assert json.loads(bench.decide(bodies[0], bench.plain))["rung"] == "rules"
    redis, answer = connection.patient(), json.loads(sample)

    def floor(body: bytes) -> bytes:
        redis.get("profiles:ready")
        read(body)
        return msgspec.json.encode(answer)

    # A question of its own: the request id is no part of what a reply is remembered by.
    same = bench.bodies(1, context={"page": {"path": "/again"}}) * CALLS
    told = {
        "floor": timed(floor, bodies),
        "decide": timed(lambda body: bench.decide(body, bench.prepared), bodies),
        "decide_plain": timed(lambda body: bench.decide(body, bench.plain), bodies),
        "decide_cached": timed(lambda body: bench.decide(body, bench.prepared, 300.0), same),
    }
    return {"calls": told, **_batches(bench), **_ledger(bench)}


def _batches(bench: Bench) -> dict[str, float]:
    """Seconds for so many customers at once, and for the same one by one."""
    asked = {"customer_ids": [f"c-{n}" for n in range(TOGETHER)], "placements": ["hero"], "mode": "dry_run"}
    body = json.dumps(asked).encode()

    def together() -> None:
        status, _ = decide_many(read_many(body), bench.prepared, bench.profiles, bench.ledger, clock.now())
        assert status == 200

    def apart() -> None:
        for one in bench.bodies(TOGETHER, mode="dry_run"):
            bench.decide(one, bench.prepared)

    return {"together": best_of(together), "apart": best_of(apart), "customers": TOGETHER}


def _ledger(bench: Bench) -> dict[str, float]:
    """Seconds in which decisions are in the database: by the ledger, and by Django's own way of many rows at once."""

    def filled() -> list[Decision]:
        bench.ledger = quiet_ledger()
        for body in bench.bodies(ROWS):
            bench.decide(body, bench.plain)
        return list(bench.ledger._rows)

    filled()
    started = time.perf_counter()
    written = bench.ledger.flush()
    assert written == ROWS, (written, bench.ledger.lost)
    flushed = time.perf_counter() - started
    rows = filled()
    started = time.perf_counter()
    Decision.objects.bulk_create(rows, batch_size=1000)
    return {"flushed": flushed, "created": time.perf_counter() - started, "rows": ROWS}


def best_of(work: Callable[[], None], runs: int = 3) -> float:
    """Seconds of the best run, after one that warms up."""
    work()
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


if __name__ == "__main__":
    key = furnish(int(sys.argv[2]))
    print(json.dumps({"key": key, "people": PEOPLE} if sys.argv[1] == "prepare" else measure()))
