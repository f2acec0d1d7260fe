"""Events and customers come in as frames; one row of facts a customer comes out, as of a given moment.

    prepare(events) -> Prepared                      events decoded once: orders, lines, everything
    facts_frame(events, customers, now, vocabulary)  one row a customer
    facts_as_of(events, customers, moments, …)       one row a customer and moment, from earlier events
    learn_vocabulary(events, customers, now)         the names and edges that facts are made for

Frames: `events` has customer_id (Int64), message_id, name (String), timestamp (Datetime UTC), properties
(JSON text) and optionally type and context (JSON text); `customers` has customer_id and optionally traits (JSON
text) and consents (a list of channels, by name). Duplicate message ids count once; order is no matter. Whoever asks
twice calls `prepare` first and hands in what it returns.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import polars as pl

from decisioning.customers.facts.catalogue import built_in_facts
from decisioning.customers.facts.formulas import BuiltIn, Source
from decisioning.customers.facts.history import SCHEMAS, UTC_STAMP, Prepared, prepare, together
from decisioning.customers.facts.measures import DIGITS, UNITS, YEAR, days, money, within
from decisioning.customers.facts.properties import read_traits
from decisioning.customers.facts.tables import MAKE, READS, Tables
from decisioning.customers.facts.vocabulary import (
    RECENT_WINDOWS,
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
    "needed",
    "prepare",
    "together",
    "vocabulary_of",
]

SAID: Final = (Source.CONSENTS, Source.TRAITS)
"""What `customers` tell of themselves, and no event."""
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
    not known then are null. Traits have no history and are taken as they are; what was allowed then is not known.
    The cost is one `facts_frame` without decoding for every distinct moment.
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
    asked = customers.filter(pl.col("customer_id").is_in(wanted.unique().to_list())).drop("consents", strict=False)
    facts = facts_at(known.of(wanted), asked, moment, words)
    return facts.select(pl.lit(moment, UTC_STAMP).alias("moment"), pl.all())


def learn_vocabulary(
    events: pl.DataFrame | Prepared, customers: pl.DataFrame, now: datetime, time_zone: str = "UTC"
) -> Vocabulary:
    """The departments, traits, event names and quintile edges of everybody up to now, to be stored and handed
    on."""
    return vocabulary_of(prepare(events).before(aware(now), inclusive=True), customers, now, time_zone)


def vocabulary_of(known: Prepared, customers: pl.DataFrame, now: datetime, time_zone: str = "UTC") -> Vocabulary:
    age = pl.lit(now, UTC_STAMP) - pl.col("at")
    orders = known.orders.with_columns(age=age.dt.total_microseconds())
    recent = pl.col("total").filter(within(YEAR))
    rfm = orders.group_by("customer_id").agg(
        recency=days(pl.col("age").min()), frequency=recent.len(), monetary=money(recent.sum())
    )
    edges = {span: window_edges(orders, span) for span in RECENT_WINDOWS}
    return Vocabulary(
        departments=main_departments(known.lines.with_columns(pl.col("amount") / UNITS)),
        traits=trait_types(customers["traits"]) if "traits" in customers.columns else (),
        event_names=frequent_events(known.events["name"]),
        recency=quintile_edges(rfm["recency"]),
        frequency=quintile_edges(rfm["frequency"]),
        monetary=quintile_edges(rfm["monetary"]),
        time_zone=time_zone,
        **{f"frequency_{span}d": edges[span][0] for span in RECENT_WINDOWS},
        **{f"monetary_{span}d": edges[span][1] for span in RECENT_WINDOWS},
    )


def window_edges(orders: pl.DataFrame, span: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Edges of how often and how much, between fifths of the customers with orders in a window of days."""
    mine = orders.filter(within(span)).group_by("customer_id")
    found = mine.agg(frequency=pl.len(), monetary=money(pl.col("total").sum()))
    return quintile_edges(found["frequency"]), quintile_edges(found["monetary"])


def facts_at(
    known: Prepared,
    customers: pl.DataFrame,
    now: datetime,
    vocabulary: Vocabulary,
    only: Collection[str] | None = None,
) -> pl.DataFrame:
    """The facts of `customers`, all or those of `only`, from events that are all known to have happened by `now`.

    Customers may be asked part by part, each part with its own rows of the tables: the answers are the same.
    """
    asked = [fact for fact in built_in_facts(vocabulary) if only is None or fact.name in only]
    needs = with_parts(asked, vocabulary)
    frame = customers.select(pl.col("customer_id").cast(pl.Int64)).unique(maintain_order=True)
    tables = Tables(known, now, vocabulary.time_zone)
    for source in Source:
        facts = [fact for fact in needs if fact.source is source]
        if facts and source in MAKE:
            frame = with_aggregates(frame, tables.table(source, columns_of(facts)), facts)
    for fact in needs:
        if fact.source is Source.FACTS:
            frame = frame.with_columns(fact.expression.alias(fact.name))
    # A small negative number is rounded to −0.0, which is no other value than 0.0 (but is written otherwise).
    rounded = pl.col(pl.Float64).round(DIGITS)
    frame = frame.with_columns(pl.when(rounded == 0).then(0.0).otherwise(rounded).name.keep())
    if said := [fact.expression.alias(fact.name) for fact in asked if fact.source in SAID]:
        frame = frame.join(declared(customers, vocabulary), on="customer_id", how="left", maintain_order="left")
    return frame.with_columns(said).select("customer_id", *(fact.name for fact in asked))


def with_parts(asked: Sequence[BuiltIn], vocabulary: Vocabulary) -> list[BuiltIn]:
    """These facts and those they are computed from, in the order of the catalogue."""
    named = {fact.name: fact for fact in built_in_facts(vocabulary)}
    wanted, waiting = dict[str, BuiltIn](), list(asked)
    while waiting:
        fact = waiting.pop()
        if fact.name not in wanted:
            wanted[fact.name] = fact
            if fact.source is Source.FACTS:
                waiting += [named[name] for name in fact.expression.meta.root_names()]
    return [fact for fact in named.values() if fact.name in wanted]


def columns_of(facts: Iterable[BuiltIn]) -> list[str]:
    """The columns that the expressions of these facts read."""
    return list(dict.fromkeys(name for fact in facts for name in fact.expression.meta.root_names()))


def needed(vocabulary: Vocabulary, only: Collection[str] | None = None) -> dict[str, list[str]]:
    """The tables of `Prepared`, and of each the columns, that `facts_at` reads for these facts, or for all."""
    asked = [fact for fact in built_in_facts(vocabulary) if only is None or fact.name in only]
    found: dict[str, set[str]] = {}
    for fact in with_parts(asked, vocabulary):
        for table, columns in READS.get(fact.source, {}).items():
            mine = found.setdefault(table, {"customer_id", "at"})
            mine |= set(columns) | (set(fact.expression.meta.root_names()) & SCHEMAS[table].keys())
    return {table: [name for name in SCHEMAS[table] if name in mine] for table, mine in found.items()}


def with_aggregates(frame: pl.DataFrame, table: pl.DataFrame, facts: Sequence[BuiltIn]) -> pl.DataFrame:
    """The frame with one column a fact; customers without rows get the fact's `empty`."""
    grouped = table.group_by("customer_id").agg([fact.expression.alias(fact.name) for fact in facts])
    joined = frame.join(grouped, on="customer_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col(fact.name).fill_null(fact.empty) for fact in facts if fact.empty is not None)


def declared(customers: pl.DataFrame, vocabulary: Vocabulary) -> pl.DataFrame:
    """customer_id, `allowed` (channels) and a column `declared <trait>` for each trait; a wrong type is null."""
    rows = customers.unique("customer_id", keep="first", maintain_order=True)
    texts = rows["traits"] if "traits" in rows.columns else [None] * rows.height
    consents = pl.col("consents") if "consents" in rows.columns else pl.lit(None)
    channels = consents.cast(pl.List(pl.String))
    ids = rows.select(
        pl.col("customer_id").cast(pl.Int64), pl.when(channels.list.len() > 0).then(channels).alias("allowed")
    )
    traits = read_traits(texts, dict(vocabulary.traits))
    return ids.with_columns(traits.rename(lambda trait: f"declared {trait}"))


def aware(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise ValueError("`now` needs a time zone; use datetime.now(UTC).")
    return now
