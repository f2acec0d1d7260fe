"""Showings in order of time come in; what was known at each one's moment, beside facts, comes out as columns.

The moment itself (device, hour …), how often outcomes had followed the content and its like (`rates`), how alike it is
to what the customer had clicked (`similarity`) and how near by what others clicked (`associations`), and where it stood
in the slate.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.asof import NEVER, Ints
from decisioning.learning.associating import associations_as_of, learn_associations, told_by, touches_of
from decisioning.learning.associations import Associations
from decisioning.learning.features import Content, Facts, clicked_of, fact_values
from decisioning.learning.rates import Log, rate_columns, rates_as_of
from decisioning.learning.schema import CYCLES, Column, FeatureSchema, ordered_levels
from decisioning.learning.similarity import clicked_before, rarity
from decisioning.learning.standing import Standing
from decisioning.learning.traits import telling, traits_of

Found = tuple[Sequence[Facts] | pl.DataFrame, Ints]
OUTCOMES: Final = {"click": "clicked_at", "conversion": "converted_at"}
PERIODS: Final = {"hour": 24.0, "weekday": 7.0}
FEWEST_CLICKS: Final = 30  # else nothing is learned of likeness
SEEN_AT_LEAST: Final = 10  # showings of a level of the moment that is worth a column


@dataclass(frozen=True, slots=True)
class Extras:
    """What is asked for beside facts, attributes and crosses; what tells nothing apart in the showings is left out.

    `context` names facts of the moment, `rates` the outcomes ("click", "conversion") to count.
    """

    context: tuple[str, ...] = ()
    rates: tuple[str, ...] = ()
    likeness: bool = False
    associations: bool = False
    position: bool = False
    periods: Mapping[str, float] = field(default_factory=lambda: PERIODS)


def log_of(showings: pl.DataFrame, contents: Sequence[Content]) -> Log:
    """The showings (see `dataset.checked`) of these contents, as arrays."""
    names = telling(contents)
    keys = [content.key for content in contents]
    known = showings.filter(pl.col("content_key").is_in(keys))
    places = {key: place for place, key in enumerate(keys)}
    return Log(
        keys,
        [traits_of(content, names) for content in contents],
        known["content_key"].replace_strict(places, return_dtype=pl.Int64).to_numpy(),
        known["customer_id"].cast(pl.Int64).to_numpy(),
        known["shown_at"].dt.epoch("us").to_numpy(),
        {kind: known[name].dt.epoch("us").fill_null(NEVER).to_numpy() for kind, name in OUTCOMES.items()},
    )


def late_columns(
    extras: Extras,
    log: Log,
    showings: pl.DataFrame,
    facts: Sequence[Facts] | pl.DataFrame,
    contents: Sequence[Content],
) -> list[Column]:
    """The columns that are asked for and that these showings can tell anything by."""
    attributes = telling(contents)
    columns = [column for name in extras.context for column in _of_moment(name, facts, extras.periods)]
    columns += rate_columns(log, attributes, extras.rates)
    clicked = int((log.outcomes["click"] != NEVER).sum()) >= FEWEST_CLICKS
    if extras.likeness and attributes and clicked:
        views = ("", *attributes) if len(attributes) > 1 else attributes
        columns += [Column(f"likeness_{view}" if view else "likeness", "likeness", view) for view in views]
    if extras.associations and clicked:
        columns += [Column(f"association_{name}", "association", name) for name in told_by(touches_of(log))]
    if extras.position and showings.filter(pl.col("position") > 0)["position"].n_unique() > 1:
        columns.append(Column("position", "position", "position"))
    return columns


def _of_moment(name: str, facts: Sequence[Facts] | pl.DataFrame, periods: Mapping[str, float]) -> list[Column]:
    values = list(fact_values(facts, name))
    if name in periods:
        told = {value for value in values if isinstance(value, int | float)}
        cycle = [Column(f"{name}_{kind}", "context", name, kind, period=periods[name]) for kind in CYCLES]
        return cycle if len(told) > 1 else []
    often = Counter(value for value in values if isinstance(value, str))
    kept = ordered_levels(value for value, times in often.items() if times >= SEEN_AT_LEAST)
    return [Column(f"moment_{name}", "context", name, "category", kept)] if len(kept) > 1 else []


def standing_of(columns: Sequence[Column], log: Log, now: datetime | None) -> Standing | None:
    """What these columns are computed from while serving, as it is just before `now`, else after the last event."""
    rates = [column for column in columns if column.source == "rate"]
    views = [column for column in columns if column.source == "likeness"]
    near = [column.key for column in columns if column.source == "association"]
    if not rates and not views and not near:
        return None
    windows = sorted({days for column in rates for days in column.windows})
    moment = last_of(log) + 1 if now is None else round(now.timestamp() * 1_000_000)
    counts = log.counts(moment, windows) if rates else {}
    traits = {key: traits for key, traits in zip(log.keys, log.traits, strict=True) if traits}
    rare = rarity(log.traits) if views else {}
    lists = learn_associations(log.keys, touches_of(log), near, moment) if near else Associations((), {})
    return Standing(counts, traits, rare, lists)


def last_of(log: Log) -> int:
    """The moment of the last showing or outcome."""
    return max(int(one[one != NEVER].max(initial=0)) for one in (log.at, *log.outcomes.values()))


def late_values(
    schema: FeatureSchema, log: Log | None, showings: pl.DataFrame, which: Ints, found: Found
) -> npt.NDArray[np.float64]:
    """(rows, rates, likeness, associations and position) as of each showing's moment.

    `which` is its content, `found` its facts. Without a log there is nothing but the position.
    """
    at = showings["shown_at"].dt.epoch("us").to_numpy()
    parts = [np.empty((len(at), 0))]
    if log and (rates := schema.of("rate")):
        parts.append(rates_as_of(rates, log, which, at))
    if log and (schema.space.views or schema.associations):
        customers = showings["customer_id"].cast(pl.Int64).to_numpy()
        lists, who = clicks_as_of(log, (customers, at), found)
        vectors = [schema.space.vectors(traits) for traits in log.traits]
        parts.append(schema.space.paired(lists, who, vectors, which))
        parts.append(associations_as_of(schema.associations, log, lists, who, which, at))
    if schema.of("position"):
        places = showings["position"].fill_null(0).cast(pl.Float64).to_numpy()
        parts.append(np.where(places > 0, places, np.nan)[:, None])
    return np.hstack(parts)


def clicks_as_of(log: Log, asked: tuple[Ints, Ints], found: Found) -> tuple[list[tuple[str, ...]], Ints]:
    """Lists of contents clicked last, and which holds at each question (customers, moments).

    What was recorded among the facts was served by, and counts; without it, it is what the log says.
    """
    facts, who = found
    lists, which = clicked_before(log.keys, (log.customers, log.content, log.outcomes["click"]), asked)
    recorded = clicked_of(facts)
    if not any(recorded):
        return lists, which
    told = np.array([bool(one) for one in recorded])[who]
    return [*lists, *recorded], np.where(told, len(lists) + who, which)
