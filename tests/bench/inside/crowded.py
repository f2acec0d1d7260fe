"""Comes in: numbers of customers, run with the product's settings. Goes out: seconds of judging 200 segments, as JSON.

python -m tests.bench.inside.crowded CUSTOMERS CHANGED
"""

import json
import sys
import time
from random import Random

import django
from django.core.management import call_command
from django.db import connection

django.setup()

from decisioning.config import clock  # noqa: E402
from decisioning.config.garbage import search_seldom  # noqa: E402
from decisioning.flows import judge  # noqa: E402
from decisioning.store import frames  # noqa: E402
from decisioning.store.connection import patient  # noqa: E402
from rules.models import Membership, Segment  # noqa: E402

RUNS = 3
NUMBERS = (
    "orders_30d",
    "orders_90d",
    "orders_365d",
    "visits_30d",
    "visits_90d",
    "spend_30d",
    "spend_90d",
    "spend_365d",
)
DEPARTMENTS = ("Dairy", "Bakery", "Produce", "Meat", "Household", "Drinks")
# Every number is even between 0 and 1,000, drawn from the id: the same in every run.
FILL = """
INSERT INTO customers_customer (key, traits, facts, facts_at, facts_version, unit)
SELECT 'c-' || n, '{{}}', jsonb_build_object({numbers},
    'favourite_department', (%s::text[])[1 + mod(abs(hashint8extended(n, 90)), {words})],
    'recency_days', mod(abs(hashint8extended(n, 91)), 365), 'city', 'city ' || mod(abs(hashint8extended(n, 92)), 50)),
    %s, 1, ''
FROM generate_series(1, %s) AS n
"""
CHANGE = """
UPDATE customers_customer SET facts_version = facts_version + 1,
    facts = facts || jsonb_build_object('spend_30d', mod(abs(hashint8extended(id, %s)), 1000))
WHERE id %% %s = %s RETURNING id, facts_version
"""


def fill(customers: int) -> None:
    """Customers with a dozen facts, and 200 segments that one in a hundred or so is in."""
    call_command("migrate", verbosity=0)
    drawn = ", ".join(f"'{name}', mod(abs(hashint8extended(n, {at})), 1000)" for at, name in enumerate(NUMBERS))
    with connection.cursor() as cursor:
        words = [list(DEPARTMENTS), clock.now(), customers]
        cursor.execute(FILL.format(numbers=drawn, words=len(DEPARTMENTS)), words)
        cursor.execute("ANALYZE customers_customer")
    dice = Random(7)
    rows = [Segment(key=f"s-{n}", name=f"Segment {n}", condition=condition(dice, n)) for n in range(200)]
    Segment.objects.bulk_create(rows)


def condition(dice: Random, number: int) -> str:
    """Two ranges of one in ten each, or one of a department; each twentieth names another segment."""
    first, second = dice.sample(NUMBERS, 2)
    tests = [f"{first} BETWEEN {(low := dice.randrange(900))} AND {low + 100}"]
    if number % 20 == 19:
        tests.append(f'NOT IN SEGMENT "s-{number - 7}"')
    if dice.random() < 0.4:
        tests.append(
            f'favourite_department = "{dice.choice(DEPARTMENTS)}" AND recency_days < {dice.randrange(60, 300)}'
        )
    else:
        tests.append(f"{second} > {dice.randrange(850, 950)}")
    return " AND ".join(tests)


def change(customers: int, changed: int, seed: int) -> int:
    """Other facts for some, noted as a consumer notes them; how many."""
    step = max(customers // changed, 1)
    with connection.cursor() as cursor:
        cursor.execute(CHANGE, [1000 + seed, step, seed % step])
        rows = cursor.fetchall()
    frames.note_changed(patient(), rows)
    return len(rows)


def main() -> None:
    """Fill, judge, change, judge."""
    customers, changed = int(sys.argv[1]), int(sys.argv[2])
    fill(customers)
    search_seldom()  # as in a worker
    now = clock.now()
    ids = list(Segment.objects.values_list("pk", flat=True))
    started = time.perf_counter()
    judge.judge(ids, now)
    filled = time.perf_counter() - started
    told = {"fill": round(filled, 2), "members": Membership.objects.count(), "runs": RUNS}
    whole, some = [], []
    for run in range(RUNS):
        judge.forget()
        started = time.perf_counter()
        assert judge.recheck(now) == 0
        whole.append(time.perf_counter() - started)
        assert change(customers, changed, run) > 0
        started = time.perf_counter()
        assert judge.recheck(now) > 0
        some.append(time.perf_counter() - started)
    print(json.dumps({**told, "all": round(min(whole), 2), "changed": round(min(some), 3)}))


if __name__ == "__main__":
    main()
