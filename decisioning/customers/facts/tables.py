"""Prepared events and a moment come in; the tables that formulas are grouped over come out, as `Source` promises.

Each is made only when a formula that is asked for needs it, from as few columns as it takes. Columns of time are whole
microseconds since 1970, which is quicker than dates.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import polars as pl

from decisioning.customers.facts import baskets, sighting
from decisioning.customers.facts.activity import GAP
from decisioning.customers.facts.contexts import Where
from decisioning.customers.facts.formulas import Source
from decisioning.customers.facts.history import UTC_STAMP, Prepared
from decisioning.customers.facts.measures import DAY, HOUR, WINDOWS, YEAR, cents, within, within_hours
from decisioning.customers.facts.state import QUARTER, micros_of

Wanted = Sequence[str]
"""The columns that formulas read."""


class Tables:
    """The tables of one moment; events must all have happened by then."""

    def __init__(self, known: Prepared, now: datetime, time_zone: str) -> None:
        self.known, self.now, self.time_zone = known, micros_of(now), time_zone
        self._quarters: pl.DataFrame | None = None

    def table(self, source: Source, wanted: Wanted) -> pl.DataFrame:
        """The table with at least the columns that are wanted."""
        return MAKE[source](self, wanted)

    def age(self) -> pl.Expr:
        """Microseconds from the row's `at` to now."""
        return self.now - pl.col("at").to_physical()

    def hour_age(self) -> pl.Expr:
        """The same from the beginning of its hour."""
        return self.now - pl.col("at").to_physical() // HOUR * HOUR

    # -- what was done

    def quarters(self) -> pl.DataFrame:
        """customer_id, first, last (µs), events: a row a customer and quarter of an hour with activity, in order."""
        if self._quarters is None:
            self._quarters = _quarters(self.known.events)
        return self._quarters

    def days(self, wanted: Wanted) -> pl.DataFrame:
        local = pl.from_epoch("last", "us").dt.replace_time_zone("UTC").dt.convert_time_zone(self.time_zone)
        rows = self.quarters().select("customer_id", "first", "last", day=local.dt.date())
        new = (pl.col("customer_id") != pl.col("customer_id").shift()) | (pl.col("day") != pl.col("day").shift())
        runs = _runs(rows, new, pl.col("customer_id", "first", "day"), pl.col("last"))
        # A clock that is put back at midnight brings a day twice.
        ages = {"age": self.now - pl.col("last").max(), "first_age": self.now - pl.col("first").min()}
        again = runs.select(pl.struct("customer_id", "day").is_duplicated().any()).item()
        if again:
            return runs.group_by("customer_id", "day").agg(**ages)
        return runs.select("customer_id", age=self.now - pl.col("last"), first_age=self.now - pl.col("first"))

    def sessions(self, wanted: Wanted) -> pl.DataFrame:
        rows = self.quarters().with_columns(so_far=pl.col("events").cum_sum() - pl.col("events"))
        new = (pl.col("customer_id") != pl.col("customer_id").shift()) | (
            pl.col("first") - pl.col("last").shift() >= GAP
        )
        runs = _runs(rows, new, pl.col("customer_id", "first", "so_far"), pl.col("last"))
        total = int(rows["events"].sum())
        return runs.select(
            "customer_id",
            end=pl.col("last").cast(UTC_STAMP),
            age=self.now - pl.col("last"),
            length=pl.col("last") - pl.col("first"),
            events=pl.col("so_far").shift(-1, fill_value=total) - pl.col("so_far"),
        )

    def names(self, wanted: Wanted) -> pl.DataFrame:
        spans = [span for span in WINDOWS if f"n{span}" in wanted]
        numbers = {f"n{span}": within_hours(span).sum().cast(pl.Int64) for span in spans}
        rows = self.known.events.select("customer_id", "name", age=self.age(), hour_age=self.hour_age())
        return rows.group_by("customer_id", "name").agg(age=pl.col("age").min(), **numbers)

    # -- what was bought

    def orders(self, wanted: Wanted) -> pl.DataFrame:
        local = pl.col("at").dt.convert_time_zone(self.time_zone)
        clock = {
            "minute": local.dt.hour().cast(pl.Int64) * 60 + local.dt.minute(),
            "weekday": local.dt.weekday() - 1,
            "season": local.dt.ordinal_day() - 1,
            "quarter": local.dt.quarter(),
        }
        return self.known.orders.with_columns(age=self.age(), **{name: clock[name] for name in clock if name in wanted})

    def redemptions(self, wanted: Wanted) -> pl.DataFrame:
        return self.known.redemptions.with_columns(age=self.age())

    def amounts(self, column: str) -> pl.DataFrame:
        """Spend in cents and age of the last purchase, a row a customer and value of the column, last 365 days."""
        rows = self.known.lines.select("customer_id", column, "amount", age=self.age())
        rows = rows.filter(within(YEAR) & pl.col(column).is_not_null())
        return rows.group_by("customer_id", column).agg(cents(pl.col("amount").sum()), pl.col("age").min())

    # -- what was looked for

    def baskets(self, wanted: Wanted) -> pl.DataFrame:
        return baskets.open_baskets(*self._touched())

    def checkouts(self, wanted: Wanted) -> pl.DataFrame:
        return baskets.checkouts(*self._touched())

    def _touched(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        touches = self.known.touches.with_columns(age=self.age()).filter(within(91))
        return touches, self.known.orders.select("customer_id", "at", age=self.age())

    def newest(self, rows: pl.DataFrame, column: str) -> pl.DataFrame:
        """Age of the last row, a row a customer and value of the column, last 90 days."""
        recent = rows.select("customer_id", column, age=self.age()).filter(within(90))
        return recent.group_by("customer_id", column).agg(pl.col("age").min())

    def views(self, wanted: Wanted) -> pl.DataFrame:
        rows = self.known.views.select("customer_id", "category", hour_age=self.hour_age())
        rows = rows.filter(within_hours(90) & (pl.col("category") != ""))
        return rows.group_by("customer_id", "category").agg(number=pl.len(), hour_age=pl.col("hour_age").min())

    # -- where it was done

    def places(self, wanted: Wanted) -> pl.DataFrame:
        columns = [name for name in Where._fields if name in wanted]
        return sighting.last_told(self.known.contexts.with_columns(age=self.age()), columns)

    def days_with(self, name: str) -> pl.DataFrame:
        day_age = self.now // DAY - pl.col("at").to_physical() // DAY
        return sighting.days_with(self.known.contexts.with_columns(day_age=day_age), name)


MAKE: Final[dict[Source, Callable[[Tables, Wanted], pl.DataFrame]]] = {
    Source.DAYS: Tables.days,
    Source.SESSIONS: Tables.sessions,
    Source.NAMES: Tables.names,
    Source.ORDERS: Tables.orders,
    Source.REDEMPTIONS: Tables.redemptions,
    Source.DEPARTMENTS: lambda tables, wanted: tables.amounts("department"),
    Source.CATEGORIES: lambda tables, wanted: tables.amounts("category"),
    Source.BRANDS: lambda tables, wanted: tables.amounts("brand"),
    Source.BASKETS: Tables.baskets,
    Source.CHECKOUTS: Tables.checkouts,
    Source.SEARCHES: lambda tables, wanted: tables.newest(tables.known.searches, "query"),
    Source.CLICKS: lambda tables, wanted: tables.newest(tables.known.clicks, "content"),
    Source.VIEWS: Tables.views,
    Source.PLACES: Tables.places,
    Source.DEVICES: lambda tables, wanted: tables.days_with("device"),
    Source.COUNTRIES: lambda tables, wanted: tables.days_with("country"),
}
"""How each table is made; facts, consents and traits are no tables of their own."""
READS: Final[dict[Source, dict[str, Wanted]]] = {
    Source.DAYS: {"events": ("active",)},
    Source.SESSIONS: {"events": ("active",)},
    Source.NAMES: {"events": ("name",)},
    Source.ORDERS: {"orders": ()},
    Source.REDEMPTIONS: {"redemptions": ()},
    Source.DEPARTMENTS: {"lines": ("department", "amount")},
    Source.CATEGORIES: {"lines": ("category", "amount")},
    Source.BRANDS: {"lines": ("brand", "amount")},
    Source.BASKETS: {"touches": ("kind", "product", "quantity", "price"), "orders": ()},
    Source.CHECKOUTS: {"touches": ("kind",), "orders": ()},
    Source.SEARCHES: {"searches": ("query",)},
    Source.CLICKS: {"clicks": ("content",)},
    Source.VIEWS: {"views": ("category",)},
    Source.PLACES: {"contexts": Where._fields},
    Source.DEVICES: {"contexts": ("device", "os")},
    Source.COUNTRIES: {"contexts": ("country",)},
}
"""The tables of `Prepared` that each is made from, and the columns that are always read beside those formulas name."""


def _quarters(events: pl.DataFrame) -> pl.DataFrame:
    rows = events.filter("active").select("customer_id", at=pl.col("at").to_physical())
    quarter = pl.col("at") // QUARTER
    new = (pl.col("customer_id") != pl.col("customer_id").shift()) | (quarter != quarter.shift())
    numbered = rows.with_row_index("row")
    runs = _runs(numbered, new, pl.col("customer_id", "at", "row"), pl.col("at").alias("last"))
    events_of = pl.col("row").shift(-1, fill_value=rows.height).cast(pl.Int64) - pl.col("row").cast(pl.Int64)
    return runs.select("customer_id", "last", first=pl.col("at"), events=events_of)


def _runs(rows: pl.DataFrame, new: pl.Expr, first: pl.Expr, last: pl.Expr) -> pl.DataFrame:
    """Of each run of rows (`new` is true or null at its beginning) some columns of its first row, and of its last."""
    marks = rows.select(new.fill_null(True).alias("new"))["new"]
    ends = marks.shift(-1, fill_value=True)
    return rows.filter(marks).select(first).hstack(rows.filter(ends).select(last))
