"""Customers with facts that hang together, some of them missing and some far out: a seed in, a frame out."""

import numpy as np
import polars as pl

ROWS = 600
FACTS = ("age", "city", "dull", "member", "orders", "spend", "visits")


def people(rows: int = ROWS, seed: int = 1) -> pl.DataFrame:
    """Visits, orders and spend move together; a quarter lacks spend, a tenth the city, nobody has `empty`."""
    rng = np.random.default_rng(seed)
    habit = rng.gamma(3.0, 2.0, rows)
    spend = habit * 25 + rng.normal(0, 4, rows)
    city = np.where(habit > 6, "Berlin", np.where(rng.random(rows) < 0.8, "Bonn", "Ulm"))
    lacks = {name: rng.random(rows) < share for name, share in (("spend", 0.25), ("age", 0.1), ("member", 0.2))}
    columns = {
        "customer_id": pl.Series(range(1, rows + 1), dtype=pl.Int64),
        "visits": pl.Series((habit * 3).round(), dtype=pl.Int64),
        "orders": pl.Series(habit.round()),
        "spend": pl.Series(spend),
        "age": pl.Series(rng.integers(18, 80, rows)),
        "member": pl.Series(habit > 5),
        "city": pl.Series(city),
        "dull": pl.Series([7] * rows),
        "empty": pl.Series([None] * rows, dtype=pl.Float64),
    }
    lacks["city"] = rng.random(rows) < 0.1
    gaps = [pl.when(~pl.Series(gone)).then(name).alias(name) for name, gone in lacks.items()]
    return pl.DataFrame(columns).with_columns(gaps)
