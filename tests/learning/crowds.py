"""Crowds of customers to cluster: groups with skewed spread, and raw recency, frequency and money with whales."""

import numpy as np
import polars as pl

GROUPS = {"loyal": (2, 80, 4000), "average": (15, 20, 700), "gone": (200, 3, 60), "new": (3, 2, 45)}
QUICK = ("k-means",)


def people(each: int = 150, seed: int = 3, groups: dict[str, tuple[float, ...]] | None = None) -> pl.DataFrame:
    """Four groups of customers with skewed spread around their recency, orders and spend."""
    rng = np.random.default_rng(seed)
    wanted = groups or GROUPS
    rows = [np.array(centre) * rng.lognormal(0, 0.15, (each, 3)) for centre in wanted.values()]
    recency, orders, spend = np.vstack(rows).T
    names = np.repeat(list(wanted), each)
    return pl.DataFrame({"group": names, "recency_days": recency, "orders_365d": orders, "spend_365d": spend})


def with_whales(crowd: int = 2300, seed: int = 5) -> pl.DataFrame:
    """Shoppers as retail data has them, and 38 resellers among them of whom two are giants."""
    rng = np.random.default_rng(seed)
    orders = rng.geometric(0.3, crowd).astype(float)
    spent = orders * rng.lognormal(5.3, 0.6, crowd)
    few = [(31, (15, 40), (3e4, 6e4)), (5, (60, 100), (1.2e5, 2e5)), (2, (200, 210), (2.6e5, 2.8e5))]
    return pl.DataFrame(
        {
            "recency_days": np.r_[rng.exponential(90, crowd).clip(0, 373), rng.uniform(0, 10, 38)],
            "orders_365d": np.r_[orders, *[rng.uniform(*span, n) for n, span, _ in few]],
            "spend_365d": np.r_[spent, *[rng.uniform(*span, n) for n, _, span in few]],
        }
    )
