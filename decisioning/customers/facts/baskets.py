"""What was done to baskets, and orders, come in; what stands in each basket, and for how long, comes out.

A basket is what was put in since the last order and in the last 30 days. Rows are added up rather than played back, so
that no order of arrival can show: what is in the basket of a product is what was added minus what was removed since all
pieces of it were last taken out, from the last time the basket was listed as a whole.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import polars as pl

from decisioning.customers.facts.measures import DAY, LARGEST, UNITS
from decisioning.customers.facts.shopping import ADDED, DROPPED, LEAVING, LISTED, MOST_PIECES, PIECE, REMOVED, UNKNOWN
from decisioning.customers.facts.state import Touch

LIFE: Final = 30 * DAY
"""How long after it was last put in something counts as being in a basket (µs)."""
ANSWERED: Final = DAY
"""A checkout is abandoned when no order follows within a day (µs)."""
MOST: Final = int(LARGEST) * UNITS


class Basket(NamedTuple):
    """How many products, what they are worth (units), and when it was last touched; nothing of an empty one."""

    products: int = 0
    value: int = 0
    touched: int | None = None


EMPTY: Final = Basket()

# -- for one customer


def open_rows(touches: Sequence[Touch], after: int) -> list[Touch]:
    """The rows later than `after` that still say something of the basket."""
    rows = [row for row in touches if row.at > after]
    listed = max((row.at for row in rows if row.kind == LISTED), default=None)
    return rows if listed is None else [row for row in rows if row.at >= listed]


def shortened(touches: list[Touch], after: int) -> list[Touch]:
    """The rows to be kept: those that only tell that the basket was touched are told by the last row alone."""
    rows = open_rows(touches, after)
    if len(rows) < 2:
        return rows
    last = max(row.at for row in rows)
    return [row for row in rows if row.product or row.kind == LISTED or row.at == last]


def basket_of(touches: Sequence[Touch], after: int) -> Basket:
    """The basket of what was done after that."""
    rows = open_rows(touches, after)
    if not rows:
        return EMPTY
    cleared = {row.product: row.at for row in sorted(rows) if row.kind == DROPPED}
    pieces: dict[str, int] = {}
    prices: dict[str, tuple[int, int]] = {}
    for row in rows:
        if row.kind not in (ADDED, REMOVED) or row.at <= cleared.get(row.product, -1):
            continue
        pieces[row.product] = pieces.get(row.product, 0) + (row.quantity if row.kind == ADDED else -row.quantity)
        if row.price != UNKNOWN:
            prices[row.product] = max(prices.get(row.product, (0, 0)), (row.at, row.price))
    held = {product: number for product, number in pieces.items() if number > 0}
    if not held:
        return EMPTY
    value = sum(_worth(number, prices.get(product, (0, 0))[1]) for product, number in held.items())
    return Basket(len(held), value, max(row.at for row in rows))


def _worth(pieces: int, price: int) -> int:
    return min((min(pieces, MOST_PIECES * PIECE) * price + PIECE // 2) // PIECE, MOST)


def unanswered(checkouts: Iterable[int], orders: Sequence[int]) -> list[int]:
    """The checkouts that none of the orders (their times) followed soon enough."""
    return [at for at in checkouts if not any(at <= order < at + ANSWERED for order in orders)]


# -- for everybody


def open_baskets(touches: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    """customer_id, products, value (units) and age of the last touch, for everybody with something in a basket.

    Of `touches` age is asked beside what `history.Prepared` says, of `orders` too.
    """
    last = orders.group_by("customer_id").agg(ordered=pl.col("age").min())
    live = touches.filter(pl.col("age") < LIFE).join(last, on="customer_id", how="left")
    live = live.filter(pl.col("ordered").is_null() | (pl.col("age") < pl.col("ordered")))
    listed = pl.col("age").filter(pl.col("kind") == LISTED).min().over("customer_id")
    rows = live.filter(listed.is_null() | (pl.col("age") <= listed))
    touched = rows.group_by("customer_id").agg(age=pl.col("age").min())
    cleared = pl.col("age").filter(pl.col("kind") == DROPPED).min().over("customer_id", "product")
    moved = rows.filter((cleared.is_null() | (pl.col("age") < cleared)) & pl.col("kind").is_in((ADDED, REMOVED)))
    held = moved.group_by("customer_id", "product").agg(pieces=_pieces(), price=_price()).filter(pl.col("pieces") > 0)
    worth = pl.col("pieces").clip(upper_bound=MOST_PIECES * PIECE) * pl.col("price") + PIECE // 2
    value = (worth // PIECE).clip(upper_bound=MOST).sum()
    return (
        held.group_by("customer_id").agg(products=pl.len().cast(pl.Int64), value=value).join(touched, on="customer_id")
    )


def _pieces() -> pl.Expr:
    quantity = pl.col("quantity")
    return quantity.filter(pl.col("kind") == ADDED).sum() - quantity.filter(pl.col("kind") == REMOVED).sum()


def _price() -> pl.Expr:
    """The price last told; of two told at once the higher one."""
    told = pl.col("price") != UNKNOWN
    return (
        pl.col("price")
        .filter(told)
        .sort_by(pl.col("age").filter(told), -pl.col("price").filter(told))
        .first()
        .fill_null(0)
    )


def checkouts(touches: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    """customer_id and age of the checkouts that no order followed soon enough."""
    mine = touches.filter(pl.col("kind") == LEAVING).select("customer_id", "at", "age", leaving=True)
    both = pl.concat([mine, orders.select("customer_id", "at", "age", leaving=False)])
    rows = both.filter(pl.col("customer_id").is_in(mine["customer_id"].unique().implode()))
    rows = rows.sort("customer_id", "at", "leaving", descending=[False, False, True])
    order = pl.when(~pl.col("leaving")).then(pl.col("age")).backward_fill().over("customer_id")
    soon = pl.col("age") - order < ANSWERED
    return rows.filter(pl.col("leaving") & ~soon.fill_null(False)).select("customer_id", "age")
