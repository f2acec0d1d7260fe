"""A small made-up shop with a known taste: dice in; customers' facts, contents and outcomes out."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 100
KINDS = {
    "orders_30d": "number",
    "spend_90d": "number",
    "redeemed": "number",
    "member": "number",
    "age": "category",
}
CROSSES = {"departments": {"Dairy": "share_dairy", "Meat": "share_meat"}}
AGES = ("19-24", "25-34", "65+")


@dataclass(frozen=True)
class Offer:
    """A content as scorers see it."""

    key: str
    attributes: dict[str, Any] = field(default_factory=dict)


OFFERS = tuple(
    Offer(
        f"offer-{n}",
        {"price": float(n), "kind": "ab"[n % 2], "departments": {"Dairy": share, "Meat": 1 - share}},
    )
    for n, share in enumerate((0.0, 0.25, 0.5, 0.75, 1.0, 0.9))
)


def showings(rows: int = 3000, seed: int = 7) -> pl.DataFrame:
    """What was shown to 300 customers over 100 days. Habit and taste decide; a sixth never know their age."""
    rng = np.random.default_rng(seed)
    habit, taste = rng.gamma(2.0, 2.0, rows), rng.random(rows)
    which = rng.integers(0, len(OFFERS), rows)
    dairy = np.array([offer.attributes["departments"]["Dairy"] for offer in OFFERS])[which]
    chance = 1 / (1 + np.exp(4 - 0.5 * habit - 2.5 * (taste * dairy + (1 - taste) * (1 - dairy))))
    shown = [START + timedelta(days=float(day)) for day in np.sort(rng.random(rows) * DAYS)]
    converted = rng.random(rows) < chance
    age = rng.integers(0, 6, rows)
    return pl.DataFrame(
        {
            "customer_id": rng.integers(1, 301, rows),
            "content_key": [OFFERS[position].key for position in which],
            "shown_at": shown,
            "closes_at": [at + timedelta(days=5) for at in shown],
            "converted_at": [at + timedelta(days=2) if yes else None for at, yes in zip(shown, converted, strict=True)],
            "orders_30d": habit.round(),
            "spend_90d": habit * 30 + rng.normal(0, 5, rows),
            "redeemed": (habit > 5).astype(float),
            "member": habit > 3,
            "age": [None if a > 4 else AGES[a % 3] for a in age],
            "share_dairy": taste,
            "share_meat": 1 - taste,
        }
    ).with_columns(pl.col("shown_at", "closes_at", "converted_at").cast(pl.Datetime("us", "UTC")))
