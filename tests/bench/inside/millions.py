"""Comes in: a word, run with the product's settings. Goes out: many customers, or how long the frame takes with them.

python -m tests.bench.inside.millions fill CUSTOMERS    customers with about 100 facts and 3 segments each
python -m tests.bench.inside.millions rebuild           the frame, from nothing
python -m tests.bench.inside.millions refresh COUNT     so many customers change; the frame takes them in
python -m tests.bench.inside.millions load COLUMNS      so many of the facts' columns read; 0: everything

What is printed last is JSON: seconds, and the most memory (MB) the process ever had.
"""

import json
import random
import resource
import sys
import time
from datetime import UTC, datetime
from typing import Any

import django
from django.core.management import call_command
from django.db import connection

django.setup()

from decisioning.config import clock  # noqa: E402
from decisioning.customers.facts.vocabulary import Vocabulary  # noqa: E402
from decisioning.customers.models import FactVocabulary  # noqa: E402
from decisioning.store import frames, people  # noqa: E402
from decisioning.store.connection import patient  # noqa: E402
from rules.models import Segment  # noqa: E402

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEPARTMENTS = tuple(f"Department {number}" for number in range(20))
TRAITS = tuple((f"trait_{number}", kind) for number, kind in enumerate(("text", "number", "boolean", "text_list") * 3))
WORDS = Vocabulary(departments=DEPARTMENTS, traits=TRAITS, event_names=("Order Completed", "Product Viewed"))
SEGMENTS, TEMPLATES = 50, 997
CHANGE = """
UPDATE customers_customer SET facts_version = facts_version + 1,
    facts = jsonb_set(facts, '{visits}', to_jsonb((facts_version %% 100)))
WHERE id = ANY(%s) RETURNING id, facts_version
"""


def values(kind: str, dice: random.Random) -> Any:
    """A value of a kind of fact."""
    if kind == "number":
        return dice.choice([dice.randrange(100), round(dice.random() * 1000, 6)])
    if kind == "boolean":
        return dice.random() < 0.5
    if kind == "date":
        return f"2025-{dice.randrange(1, 13):02d}-{dice.randrange(1, 29):02d}T10:00:00.000123Z"
    words = [f"value {dice.randrange(30)}" for _ in range(3)]
    return words if kind == "text_list" else words[0]


def fill(count: int) -> dict[str, Any]:
    """Customers by COPY; nine in ten facts are there."""
    call_command("migrate", verbosity=0)
    FactVocabulary.objects.create(data=WORDS.to_dict(), learned_at=NOW)
    segments = [Segment.objects.create(key=f"s-{n}", name=f"S {n}", condition="orders > 1").pk for n in range(SEGMENTS)]
    dice = random.Random(5)
    kinds = dict(list(people.kinds_now().items())[-105:])
    facts = [
        json.dumps({name: values(kind, dice) for name, kind in kinds.items() if dice.random() < 0.9})
        for _ in range(TEMPLATES)
    ]
    columns = "id, key, traits, facts, facts_at, facts_version, unit"
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY customers_customer ({columns}) FROM STDIN") as copy:
            for pk in range(1, count + 1):
                copy.write_row((pk, f"u-{pk}", "{}", facts[pk % TEMPLATES], NOW, 1, ""))
        with cursor.copy("COPY rules_membership (segment_id, customer_id, entered_at) FROM STDIN") as copy:
            for pk in range(1, count + 1):
                for step in range(3):
                    copy.write_row((segments[(pk + step * 7) % SEGMENTS], pk, NOW))
        cursor.execute("SELECT setval(pg_get_serial_sequence('customers_customer', 'id'), %s)", [count])
        cursor.execute("ANALYZE")
    return {"facts": len(kinds)}


def refresh(count: int) -> dict[str, Any]:
    """Change so many at random, and take them in; the seconds of the refresh alone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(id) FROM customers_customer")
        ids = random.SystemRandom().sample(range(1, cursor.fetchone()[0] + 1), count)
        cursor.execute(CHANGE, [ids])
        frames.note_changed(patient(), cursor.fetchall())
    done = frames.refresh(clock.now())
    assert done.changed == count, "somebody else changed customers"
    assert not done.rebuilt, "Redis forgot, so everybody was compared"
    return {"seconds": done.seconds}


def rebuild() -> dict[str, Any]:
    """From nothing."""
    started = time.perf_counter()
    done = frames.refresh(clock.now())
    assert done.changed == done.total, "there was a frame already"
    return {"seconds": time.perf_counter() - started, "customers": done.total}


def load(count: int) -> dict[str, Any]:
    """Read the frame."""
    facts = [name for name in frames.columns() if ":" not in name and name != "customer_id"]
    started = time.perf_counter()
    found = frames.current(["customer_id", *facts[:count]] if count else None)
    return {"seconds": time.perf_counter() - started, "customers": found.height, "columns": found.width}


def main(words: list[str]) -> dict[str, Any]:
    """Do one of them."""
    jobs = {"fill": fill, "refresh": refresh, "load": load}
    told = rebuild() if words[0] == "rebuild" else jobs[words[0]](int(words[1]))
    return {**told, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
