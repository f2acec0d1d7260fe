"""Comes in: a word and numbers, run with the product's settings. Goes out: an archive made, or facts taken from it.

python -m tests.bench.inside.shelved write EVENTS CUSTOMERS    the log of `shop.py` as the archive keeps it
python -m tests.bench.inside.shelved compute BUCKET …          seconds, peak memory (MB) and a digest of 50 facts
python -m tests.bench.inside.shelved answer FILE               the same facts of everybody, as a Parquet file
"""

import json
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import Any

import django
import polars as pl
from django.core.management import call_command
from django.db import connection

django.setup()

from decisioning.customers.facts.frame import facts_at, needed  # noqa: E402
from decisioning.models import ArchivePart  # noqa: E402
from decisioning.store import archive, parts, shelving  # noqa: E402
from decisioning.store.files import files  # noqa: E402
from tests.bench.facts_peer import FIFTY  # noqa: E402
from tests.bench.happening import NOW, WORDS  # noqa: E402
from tests.bench.shop import bucket  # noqa: E402

AT_ONCE = 2
CUSTOMERS = """
INSERT INTO customers_customer (id, key, traits, facts, facts_version, unit)
SELECT n, 'c-' || n, '{}', '{}', 0, '' FROM generate_series(0, %s) AS n
"""
IDENTITIES = """
INSERT INTO customers_identity (id, kind, value, customer_id)
SELECT id, 'user_id', key, id FROM customers_customer
"""


def write(events: int, customers: int) -> dict[str, Any]:
    """Customers with one identity each, and their log by bucket and month."""
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(CUSTOMERS, [customers - 1])
        cursor.execute(IDENTITIES)
        cursor.execute("ANALYZE customers_customer, customers_identity")
    for number in range(parts.BUCKETS):
        tables = bucket(number, events, customers).tables()
        for month in tables["events"]["at"].dt.truncate("1mo").unique().sort():
            ArchivePart.objects.bulk_create(_shelved(number, month, tables))
    found, size = parts.extent()
    return {"files": found, "bytes": size}


def _shelved(number: int, month: Any, tables: dict[str, pl.DataFrame]) -> list[ArchivePart]:
    mine = {name: rows.filter(pl.col("at").dt.truncate("1mo") == month) for name, rows in tables.items()}
    named = {name: rows.rename({"customer_id": "identity_id"}) for name, rows in mine.items()}
    named[parts.WHO] = shelving.who(named["events"])
    return parts.write(files(), parts.Shelf(0, month.date()), number, named, parts.schema())


def facts_of(number: int) -> pl.DataFrame:
    """The fifty facts of one bucket's customers."""
    try:
        known = archive.Bucket(number).prepared(needed(WORDS, FIFTY))
        return facts_at(known, archive.customers_of(number), NOW, WORDS, FIFTY)
    finally:
        connection.close()


def compute(numbers: Sequence[int]) -> dict[str, Any]:
    """Two buckets at a time; the digest does not depend on who computes which bucket."""
    began, spent = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        digests = list(pool.map(lambda number: _digest(facts_of(number)), numbers))
    seconds, spent = time.perf_counter() - began, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "processor": spent, "peak": peak, "digest": sum(digests) % 2**64}


def _digest(facts: pl.DataFrame) -> int:
    rows = facts.sort("customer_id").hash_rows(seed=1)
    return int.from_bytes(blake2b(rows.to_numpy().tobytes(), digest_size=8).digest(), "big")


def answer(path: str) -> dict[str, Any]:
    """Everybody's facts, to be compared."""
    found = pl.concat([facts_of(number) for number in range(parts.BUCKETS)])
    found.write_parquet(path)
    return {"rows": found.height}


def main(words: list[str]) -> dict[str, Any]:
    """Do one of the three."""
    if words[0] == "answer":
        return answer(words[1])
    numbers = [int(word) for word in words[1:]]
    return write(*numbers) if words[0] == "write" else compute(numbers)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
