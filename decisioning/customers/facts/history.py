"""Events come in as they were sent; clean tables of events, orders and product lines come out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from decisioning.customers.facts.formulas import ORDER, PASSIVE, REDEEMED
from decisioning.customers.facts.measures import believable, units
from decisioning.customers.facts.properties import read_orders, read_redemptions

UTC_STAMP: Final = pl.Datetime("us", "UTC")
EVENT_COLUMNS: Final = ("customer_id", "message_id", "name", "timestamp", "properties")
DONE: Final = ("track", "page", "screen")  # types of what a customer does; the others only tell who it is


@dataclass(frozen=True, slots=True)
class Prepared:
    """Events decoded and cleaned once, to be asked at many moments. All three have customer_id and at (UTC).

    `events`: name, coupons, content_key. `orders`: total, discount, coupon_discount, items (count of lines).
    `lines`: department, category, brand, amount. Amounts are in whole `measures.UNITS`.
    """

    events: pl.DataFrame
    orders: pl.DataFrame
    lines: pl.DataFrame

    def before(self, moment: datetime, *, inclusive: bool) -> "Prepared":
        """Only what had happened at the moment (with or without the moment itself)."""
        limit = pl.lit(moment, UTC_STAMP)
        known = pl.col("at") <= limit if inclusive else pl.col("at") < limit
        return Prepared(self.events.filter(known), self.orders.filter(known), self.lines.filter(known))

    def of(self, customers: pl.Series) -> "Prepared":
        """Only the given customer ids."""
        theirs = pl.col("customer_id").is_in(customers.unique().to_list())
        return Prepared(self.events.filter(theirs), self.orders.filter(theirs), self.lines.filter(theirs))


def prepare(events: pl.DataFrame | Prepared) -> Prepared:
    """Decode, sort and deduplicate events once. A property of a wrong type is missing, never an error.

    What is prepared already comes back as it is. Raises `ValueError` naming the columns that are missing.
    """
    if isinstance(events, Prepared):
        return events
    tidy = tidy_events(events)
    orders = tidy.filter(pl.col("name") == ORDER)
    amounts, lines = read_orders(orders["properties"])
    return Prepared(with_redemptions(tidy), order_rows(orders, amounts), line_rows(orders, lines))


def with_redemptions(tidy: pl.DataFrame) -> pl.DataFrame:
    """All events, with coupons and content_key where they are redemptions; in no order."""
    redeemed = pl.col("name").eq_missing(pl.lit(REDEEMED))
    answers, others = tidy.filter(redeemed), tidy.filter(~redeemed)
    read = answers.with_columns(read_redemptions(answers["properties"]))
    return pl.concat([others, read], how="diagonal").drop("properties", "message_id")


def tidy_events(events: pl.DataFrame) -> pl.DataFrame:
    """customer_id, message_id, name, at, active, properties: sorted by time, one row a message id."""
    missing = [column for column in EVENT_COLUMNS if column not in events.columns]
    if missing:
        raise ValueError(f"The events frame lacks {', '.join(missing)}; it needs {', '.join(EVENT_COLUMNS)}.")
    kind = pl.col("type") if "type" in events.columns else pl.lit("track")
    done = kind.is_in(DONE) & ~pl.col("name").is_in(PASSIVE).fill_null(False)
    return (
        events.filter(pl.col("customer_id").is_not_null())
        .sort("timestamp", "message_id", "properties")
        .unique("message_id", keep="first", maintain_order=True)
        .select(
            pl.col("customer_id").cast(pl.Int64),
            "message_id",
            "name",
            utc(events.schema["timestamp"]).alias("at"),
            done.alias("active"),
            "properties",
        )
    )


def utc(dtype: pl.DataType) -> pl.Expr:
    """The timestamp column as UTC with microseconds; one without a zone is taken as UTC."""
    stamp = pl.col("timestamp").dt.cast_time_unit("us")
    if getattr(dtype, "time_zone", None) is None:
        return stamp.dt.replace_time_zone("UTC")
    return stamp.dt.convert_time_zone("UTC")


def order_rows(orders: pl.DataFrame, amounts: pl.DataFrame) -> pl.DataFrame:
    total = pl.coalesce(believable(pl.col(name)) for name in ("total", "revenue", "value"))
    return orders.select("customer_id", "at").with_columns(
        amounts.select(
            units(total).alias("total"),
            *(units(pl.col(name)).alias(name) for name in ("discount", "coupon_discount")),
            "items",
        )
    )


def line_rows(orders: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """One row a product line; a missing quantity is one, a missing price is nothing paid."""
    paid = believable(pl.col("price")).fill_null(0.0) * believable(pl.col("quantity")).fill_null(1.0)
    owners = orders.select("customer_id", "at")[lines["row"]]
    return lines.select("department", "category", "brand", units(paid).alias("amount")).with_columns(owners)
