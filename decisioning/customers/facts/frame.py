"""Events and customers come in as frames; one row of facts a customer comes out, as of a given moment.

    prepare(events) -> Prepared                      events decoded once: orders, lines, everything
    facts_frame(events, customers, now, vocabulary)  one row a customer
    facts_as_of(events, customers, moments, …)       one row a customer and moment, from earlier events
    learn_vocabulary(events, customers, now)         the names and edges that facts are made for

Frames: `events` has customer_id (Int64), message_id, name (String), timestamp (Datetime UTC), properties
(JSON text) and optionally type; `customers` has customer_id and optionally traits (JSON text). Duplicate
message ids count once; order is no matter. Whoever asks twice calls `prepare` first and hands in what it
returns.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import polars as pl

from decisioning.customers.facts.catalogue import built_in_facts
from decisioning.customers.facts.formulas import BuiltIn, Source
from decisioning.customers.facts.history import UTC_STAMP, Prepared, prepare
from decisioning.customers.facts.measures import DIGITS, UNITS, YEAR, cents, days, money, within
from decisioning.customers.facts.properties import read_traits
from decisioning.customers.facts.vocabulary import (
    Vocabulary,
    frequent_events,
    main_departments,
    quintile_edges,
    trait_types,
)

__all__ = [
    "Prepared",
    "facts_as_of",
    "facts_at",
    "facts_frame",
    "learn_vocabulary",
    "prepare",
    "vocabulary_of",
]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def facts_frame(
    events: pl.DataFrame | Prepared,
    customers: pl.DataFrame,
    now: datetime,
    vocabulary: Vocabulary | None = None,
) -> pl.DataFrame:
    """A row for each of `customers`: customer_id and every built-in fact, from events with timestamp ≤ now.

    Without a `vocabulary` it is learned from the same frames; for a few customers always hand in the stored
    one. Counts of an empty history are 0, everything else is null. Raises `ValueError` for a `now` without
    a zone.
    """
    known = prepare(events).before(aware(now), inclusive=True)
    words = vocabulary or vocabulary_of(known, customers, now)
    return facts_at(known, customers, now, words)


def facts_as_of(
    events: pl.DataFrame | Prepared,
    customers: pl.DataFrame,
    moments: pl.DataFrame,
    vocabulary: Vocabulary | None = None,
    time_zone: str = "UTC",
) -> pl.DataFrame:
    """Facts as they stood: `moments` has customer_id and moment; out come these pairs, once each, with facts.

    Only events strictly before the moment count, so what happens at it (the impression itself) is no input.
    Without a `vocabulary` each moment is cut by the one that could be learned just before it; facts that were
    not known then are null. Traits have no history and are taken as they are. The cost is one `facts_frame`
    without decoding for every distinct moment.
    """
    everything = prepare(events)
    parts = [
        facts_of_moment(everything, customers, moment, pairs["customer_id"], vocabulary, time_zone)
        for (moment,), pairs in moments.sort("moment").group_by("moment", maintain_order=True)
    ]
    if not parts:
        nobody = pl.Series([], dtype=pl.Int64)
        return facts_of_moment(everything, customers, EPOCH, nobody, vocabulary, time_zone)
    return pl.concat(parts, how="diagonal")


def facts_of_moment(
    everything: Prepared,
    customers: pl.DataFrame,
    moment: datetime,
    wanted: pl.Series,
    vocabulary: Vocabulary | None,
    time_zone: str,
) -> pl.DataFrame:
    known = everything.before(moment, inclusive=False)
    words = vocabulary or vocabulary_of(known, customers, moment, time_zone)
    asked = customers.filter(pl.col("customer_id").is_in(wanted.unique().to_list()))
    facts = facts_at(known.of(wanted), asked, moment, words)
    return facts.select(pl.lit(moment, UTC_STAMP).alias("moment"), pl.all())


def learn_vocabulary(
    events: pl.DataFrame | Prepared, customers: pl.DataFrame, now: datetime, time_zone: str = "UTC"
) -> Vocabulary:
    """The departments, traits, event names and quintile edges of everybody up to now, to be stored and handed
    on."""
    return vocabulary_of(prepare(events).before(aware(now), inclusive=True), customers, now, time_zone)


def vocabulary_of(known: Prepared, customers: pl.DataFrame, now: datetime, time_zone: str = "UTC") -> Vocabulary:
    orders = known.orders.with_columns(age=age_at(now))
    recent = pl.col("total").filter(within(YEAR))
    rfm = orders.group_by("customer_id").agg(
        recency=days(pl.col("age").min()), frequency=recent.len(), monetary=money(recent.sum())
    )
    return Vocabulary(
        departments=main_departments(known.lines.with_columns(pl.col("amount") / UNITS)),
        traits=trait_types(customers["traits"]) if "traits" in customers.columns else (),
        event_names=frequent_events(known.events["name"]),
        recency=quintile_edges(rfm["recency"]),
        frequency=quintile_edges(rfm["frequency"]),
        monetary=quintile_edges(rfm["monetary"]),
        time_zone=time_zone,
    )


def facts_at(known: Prepared, customers: pl.DataFrame, now: datetime, vocabulary: Vocabulary) -> pl.DataFrame:
    """The facts of `customers` from events that are all known to have happened by `now`."""
    built_in = built_in_facts(vocabulary)
    frame = customers.select(pl.col("customer_id").cast(pl.Int64)).unique(maintain_order=True)
    for source, table in source_tables(known, now, vocabulary.time_zone).items():
        frame = with_aggregates(frame, table, [fact for fact in built_in if fact.source is source])
    for fact in built_in:
        if fact.source is Source.FACTS:
            frame = frame.with_columns(fact.expression.alias(fact.name))
    frame = frame.with_columns(pl.col(pl.Float64).round(DIGITS))
    frame = frame.join(declared(customers, vocabulary), on="customer_id", how="left", maintain_order="left")
    traits = [fact.expression.alias(fact.name) for fact in built_in if fact.source is Source.TRAITS]
    return frame.with_columns(traits).select("customer_id", *(fact.name for fact in built_in))


def source_tables(known: Prepared, now: datetime, time_zone: str) -> dict[Source, pl.DataFrame]:
    """The tables that expressions are grouped over, with the columns `Source` promises."""
    local = pl.col("at").dt.convert_time_zone(time_zone)
    minute = local.dt.hour().cast(pl.Int64) * 60 + local.dt.minute()
    age = age_at(now)
    clock = {"age": age, "day": local.dt.date()}
    lines = known.lines.with_columns(age=age).filter(within(YEAR))
    return {
        Source.EVENTS: known.events.with_columns(**clock),
        Source.ORDERS: known.orders.with_columns(**clock, minute=minute, weekday=local.dt.weekday() - 1),
        Source.DEPARTMENTS: amounts(lines, "department"),
        Source.CATEGORIES: amounts(lines, "category"),
        Source.BRANDS: amounts(lines, "brand"),
    }


def age_at(now: datetime) -> pl.Expr:
    """Microseconds from the row's `at` to now."""
    return (pl.lit(now, UTC_STAMP) - pl.col("at")).dt.total_microseconds()


def amounts(lines: pl.DataFrame, column: str) -> pl.DataFrame:
    """Spend in cents and age of the last purchase, a row a customer and value of the column."""
    known = lines.filter(pl.col(column).is_not_null())
    return known.group_by("customer_id", column).agg(cents(pl.col("amount").sum()), pl.col("age").min())


def with_aggregates(frame: pl.DataFrame, table: pl.DataFrame, facts: Sequence[BuiltIn]) -> pl.DataFrame:
    """The frame with one column a fact; customers without rows get the fact's `empty`."""
    grouped = table.group_by("customer_id").agg([fact.expression.alias(fact.name) for fact in facts])
    joined = frame.join(grouped, on="customer_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col(fact.name).fill_null(fact.empty) for fact in facts if fact.empty is not None)


def declared(customers: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """customer_id and a column `declared <trait>` for each trait; a value of another type is null."""
    rows = customers.unique("customer_id", keep="first", maintain_order=True)
    texts = rows["traits"] if "traits" in rows.columns else [None] * rows.height
    ids = rows.select(pl.col("customer_id").cast(pl.Int64))
    traits = read_traits(texts, dict(vocabulary.traits))
    return ids.with_columns(traits.rename(lambda trait: f"declared {trait}"))


def aware(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise ValueError("`now` needs a time zone; use datetime.now(UTC).")
    return now
