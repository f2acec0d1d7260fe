"""Events come in as they were sent; clean tables of events, orders, baskets and the like come out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import partial
from typing import Any, Final

import polars as pl

from decisioning.customers.facts import events as names
from decisioning.customers.facts.contexts import Where
from decisioning.customers.facts.measures import believable, units
from decisioning.customers.facts.properties import read_content, read_orders, read_redemptions
from decisioning.customers.facts.shopping import read_category, read_query, read_touches
from decisioning.customers.facts.sighting import read_contexts

UTC_STAMP: Final = pl.Datetime("us", "UTC")
EVENT_COLUMNS: Final = ("customer_id", "message_id", "name", "timestamp", "properties")
KEY: Final = ("customer_id", "at")
Schema = dict[str, Any]
_KEYS: Final[Schema] = {"customer_id": pl.Int64, "at": UTC_STAMP}
_AMOUNTS: Final = ("total", "discount", "coupon_discount", "items")
SCHEMAS: Final[dict[str, Schema]] = {
    "events": {**_KEYS, "name": pl.String, "active": pl.Boolean},
    "orders": {**_KEYS, **dict.fromkeys(_AMOUNTS, pl.Int64)},
    "lines": {**_KEYS, **dict.fromkeys(("department", "category", "brand"), pl.String), "amount": pl.Int64},
    "redemptions": {**_KEYS, "coupons": pl.Int64, "content_key": pl.String},
    "touches": {**_KEYS, "kind": pl.Int8, "product": pl.String, "quantity": pl.Int64, "price": pl.Int64},
    "searches": {**_KEYS, "query": pl.String},
    "views": {**_KEYS, "category": pl.String},
    "clicks": {**_KEYS, "content": pl.String},
    "contexts": {**_KEYS, **dict.fromkeys(Where._fields, pl.String)},
}
"""The columns of each table of `Prepared`."""


def _empty(name: str) -> pl.DataFrame:
    return pl.DataFrame(schema=SCHEMAS[name])


@dataclass(frozen=True, slots=True)
class Prepared:
    """Events decoded and cleaned once, to be asked at many moments; each table as `SCHEMAS` says.

    All are sorted by customer_id and at (UTC). `active` events were done by the customer. Amounts and prices are in
    whole `measures.UNITS`, quantities in hundredths; what `touches` say is told in `shopping.py`. `contexts` are those
    of active events that tell something.
    """

    events: pl.DataFrame = field(default_factory=partial(_empty, "events"))
    orders: pl.DataFrame = field(default_factory=partial(_empty, "orders"))
    lines: pl.DataFrame = field(default_factory=partial(_empty, "lines"))
    redemptions: pl.DataFrame = field(default_factory=partial(_empty, "redemptions"))
    touches: pl.DataFrame = field(default_factory=partial(_empty, "touches"))
    searches: pl.DataFrame = field(default_factory=partial(_empty, "searches"))
    views: pl.DataFrame = field(default_factory=partial(_empty, "views"))
    clicks: pl.DataFrame = field(default_factory=partial(_empty, "clicks"))
    contexts: pl.DataFrame = field(default_factory=partial(_empty, "contexts"))

    def tables(self) -> dict[str, pl.DataFrame]:
        """The tables by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def each(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> "Prepared":
        """The same of every table."""
        return Prepared(**{name: change(table) for name, table in self.tables().items()})

    def before(self, moment: datetime, *, inclusive: bool) -> "Prepared":
        """Only what had happened at the moment (with or without the moment itself)."""
        limit = pl.lit(moment, UTC_STAMP)
        known = pl.col("at") <= limit if inclusive else pl.col("at") < limit
        return self.each(lambda table: table.filter(known))

    def of(self, customers: pl.Series) -> "Prepared":
        """Only the given customer ids."""
        theirs = pl.col("customer_id").is_in(customers.unique().implode())
        return self.each(lambda table: table.filter(theirs))


def together(parts: Iterable[Prepared]) -> Prepared:
    """Several parts of a log, each event in one of them, as one."""
    tables = [part.tables() for part in parts]
    if not tables:
        return Prepared()
    return Prepared(
        **{name: pl.concat([one[name] for one in tables]).sort(KEY, maintain_order=True) for name in SCHEMAS}
    )


def prepare(events: pl.DataFrame | Prepared) -> Prepared:
    """Decode, sort and deduplicate events once. A property of a wrong type is missing, never an error.

    What is prepared already comes back as it is. Raises `ValueError` naming the columns that are missing.
    """
    if isinstance(events, Prepared):
        return events
    tidy = tidy_events(events)
    of = partial(_named, tidy)
    orders = of(names.ORDER)
    amounts, lines = read_orders(orders["properties"])
    redeemed, searched, viewed = of(names.REDEEMED), of(names.SEARCHED), of(names.VIEWED)
    return Prepared(
        events=tidy.select("customer_id", "at", "name", "active"),
        orders=order_rows(orders, amounts),
        lines=line_rows(orders, lines),
        redemptions=redeemed.select(KEY).hstack(read_redemptions(redeemed["properties"])),
        touches=touch_rows(of(*names.BASKET)),
        searches=_read(searched, "query", read_query).filter(pl.col("query") != ""),
        views=_read(viewed, "category", read_category),
        clicks=_read(of(names.CLICKED), "content", read_content).filter(pl.col("content") != ""),
        contexts=context_rows(tidy.filter("active")),
    )


def _named(tidy: pl.DataFrame, *wanted: str) -> pl.DataFrame:
    return tidy.filter(pl.col("name").is_in(wanted))


def tidy_events(events: pl.DataFrame) -> pl.DataFrame:
    """customer_id, at, name, active, properties, context: sorted by customer and time, one row a message id."""
    missing = [column for column in EVENT_COLUMNS if column not in events.columns]
    if missing:
        raise ValueError(f"The events frame lacks {', '.join(missing)}; it needs {', '.join(EVENT_COLUMNS)}.")
    kind = pl.col("type") if "type" in events.columns else pl.lit("track")
    done = kind.is_in(names.DONE) & ~pl.col("name").is_in(names.PASSIVE).fill_null(False)
    context = pl.col("context") if "context" in events.columns else pl.lit("{}")
    return (
        events.filter(pl.col("customer_id").is_not_null())
        .sort("timestamp", "message_id", "properties")
        .unique("message_id", keep="first", maintain_order=True)
        .select(
            pl.col("customer_id").cast(pl.Int64),
            utc(events.schema["timestamp"]).alias("at"),
            "name",
            done.alias("active"),
            "properties",
            context.alias("context"),
        )
        .sort(KEY, maintain_order=True)
    )


def utc(dtype: pl.DataType) -> pl.Expr:
    """The timestamp column as UTC with microseconds; one without a zone is taken as UTC."""
    stamp = pl.col("timestamp").dt.cast_time_unit("us")
    if getattr(dtype, "time_zone", None) is None:
        return stamp.dt.replace_time_zone("UTC")
    return stamp.dt.convert_time_zone("UTC")


def order_rows(orders: pl.DataFrame, amounts: pl.DataFrame) -> pl.DataFrame:
    total = pl.coalesce(believable(pl.col(name)) for name in ("total", "revenue", "value"))
    return orders.select(KEY).with_columns(
        amounts.select(
            units(total).alias("total"),
            *(units(pl.col(name)).alias(name) for name in ("discount", "coupon_discount")),
            "items",
        )
    )


def line_rows(orders: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """One row a product line; a missing quantity is one, a missing price is nothing paid."""
    paid = believable(pl.col("price")).fill_null(0.0) * believable(pl.col("quantity")).fill_null(1.0)
    owners = orders.select(KEY)[lines["row"]]
    return owners.hstack(lines.select("department", "category", "brand", units(paid).alias("amount")))


def touch_rows(touched: pl.DataFrame) -> pl.DataFrame:
    """One row for each thing done to a basket."""
    read = [read_touches(*row) for row in touched.select("name", "properties").iter_rows()]
    owners = pl.Series([place for place, rows in enumerate(read) for _ in rows], dtype=pl.UInt32)
    schema = {name: kind for name, kind in SCHEMAS["touches"].items() if name not in KEY}
    return touched.select(KEY)[owners].hstack(
        pl.DataFrame([row for rows in read for row in rows], schema, orient="row")
    )


def _read(rows: pl.DataFrame, column: str, read: Callable[[str | None], str]) -> pl.DataFrame:
    """Who, when, and one text of the properties."""
    return rows.select(KEY).with_columns(pl.Series(column, [read(text) for text in rows["properties"]], pl.String))


def context_rows(active: pl.DataFrame) -> pl.DataFrame:
    """Where things were done, as far as it was told."""
    told = active.select(*KEY, "context").filter(pl.col("context").is_not_null() & (pl.col("context") != "{}"))
    texts = told["context"].unique()
    known = read_contexts(texts.to_list()).with_columns(context=texts)
    rows = told.join(known, on="context", how="left", maintain_order="left").drop("context")
    return rows.filter(pl.any_horizontal(pl.col(Where._fields).is_not_null()))
