"""Comes in: how many events and customers. Goes out: a shop's log as `Prepared` tables, bucket by bucket, by a seed.

The same kinds of visits, events and orders as in `happening.py`, drawn in columns, because ten million of them are.
"""

from typing import Final

import numpy as np
import polars as pl

from decisioning.customers.facts.history import KEY, SCHEMAS, Prepared
from decisioning.customers.facts.state import micros_of
from tests.bench.happening import BRANDS, CATEGORIES, DAYS, DEPARTMENTS, NEW_VISIT, NOW, QUERIES, SHARES

BUCKETS: Final = 16
DAY: Final = 86_400_000_000
PASSIVE: Final = ("Content Viewed", "Message Sent", "identify")
Dice = np.random.Generator


def bucket(number: int, events: int, customers: int) -> Prepared:
    """The part of the log of the customers with this bucket's number, in the order the archive keeps."""
    dice = np.random.default_rng((7, number))
    ids = np.arange(number, customers, BUCKETS)
    weights = dice.lognormal(0, 0.8, len(ids))
    counts = dice.multinomial(events // BUCKETS, weights / weights.sum())
    owners = np.repeat(ids, counts)
    log = _log(dice, owners).sort(KEY)
    orders = _of(log, "Order Completed")
    looks = _of(log, "Product Viewed")
    asked = _of(log, "Products Searched")
    lines = _lines(dice, orders)
    paid = lines.group_by("order").agg(pl.col("amount").sum(), items=pl.len().cast(pl.Int64)).sort("order")
    return Prepared(
        events=log,
        orders=orders.with_columns(
            total=paid["amount"],
            discount=pl.Series(dice.integers(0, 30_000, orders.height)),
            coupon_discount=pl.Series(dice.integers(0, 20_000, orders.height) * (dice.random(orders.height) < 0.2)),
            items=paid["items"],
        ),
        lines=lines.select(list(SCHEMAS["lines"])),
        searches=asked.with_columns(query=_drawn(dice, QUERIES, asked.height)),
        views=looks.with_columns(category=_drawn(dice, CATEGORIES, looks.height)),
    )


def _log(dice: Dice, owners: np.ndarray) -> pl.DataFrame:
    """Events in visits: each visit begins somewhere in the last `DAYS` days, its events follow within minutes."""
    number = len(owners)
    begins = (dice.random(number) < NEW_VISIT) | np.concatenate([[True], owners[1:] != owners[:-1]])
    visit = np.cumsum(begins) - 1
    starts = dice.integers(DAY, DAYS * DAY, visit[-1] + 1)
    steps = np.cumsum(np.where(begins, 0, dice.exponential(90e6, number))).astype(np.int64)
    passed = steps - steps[begins][visit]
    at = np.minimum(micros_of(NOW) - starts[visit] + passed, micros_of(NOW))
    names = dice.choice(len(SHARES), number, p=list(SHARES.values()))
    log = pl.DataFrame({"customer_id": owners, "at": at, "name": names})
    name = pl.col("name").replace_strict(range(len(SHARES)), list(SHARES), return_dtype=pl.String)
    stamped = pl.col("at").cast(pl.Datetime("us", "UTC"))
    return log.select("customer_id", stamped, name).with_columns(active=~pl.col("name").is_in(PASSIVE))


def _of(log: pl.DataFrame, name: str) -> pl.DataFrame:
    return log.filter(pl.col("name") == name).select(KEY)


def _lines(dice: Dice, orders: pl.DataFrame) -> pl.DataFrame:
    owner = np.repeat(np.arange(orders.height), dice.integers(1, 5, orders.height))
    number = len(owner)
    lines = {
        "department": _drawn(dice, DEPARTMENTS, number),
        "category": _drawn(dice, CATEGORIES, number),
        "brand": _drawn(dice, BRANDS, number),
        "amount": pl.Series(dice.integers(100, 600, number) * 1000),
    }
    return orders[owner].with_columns(**lines, order=pl.Series(owner))


def _drawn(dice: Dice, words: tuple[str, ...], number: int) -> pl.Series:
    return pl.Series(words).gather(dice.integers(0, len(words), number))
