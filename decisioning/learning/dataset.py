"""A frame of showings with their outcomes comes in; labelled training rows, split by time, come out.

A showing's label is only known when its outcome window has closed. So a training row must have closed by the
split, and a test row must have been shown after it; what lies between is in neither, and is counted. The rows of one
decision (its slate) stay together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.features import Content, Facts, Matrix, learn_schema, paired_matrix
from decisioning.learning.history import Extras, late_columns, late_values, log_of, standing_of
from decisioning.learning.schema import SOURCES, FeatureSchema

SHOWING: Final = ("customer_id", "content_key", "shown_at", "closes_at", "converted_at")
CLICK, CONVERSION, VALUE = "click", "conversion", "value"
OBJECTIVES: Final = (CLICK, CONVERSION, VALUE)
STAMP: Final = pl.Datetime("us", "UTC")
# What a frame may say beside SHOWING, and what is taken where it does not.
OPTIONAL: Final[dict[str, pl.Expr]] = {
    "group": pl.struct("shown_at", "customer_id").rank("dense").cast(pl.Int64),
    "position": pl.lit(0, pl.Int64),
    "propensity": pl.lit(None, pl.Float64),
    "clicked_at": pl.lit(None, STAMP),
    "click_closes_at": pl.col("closes_at"),
    "value": pl.lit(0.0, pl.Float64),
    "weight": pl.lit(1.0, pl.Float64),
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows ready to learn from, ordered by `at`; the rows of one group are adjacent.

    `X` float32 (rows, features); `y` int8 0 or 1, or float32 money; `customers` (ids, the groups for resampling);
    `contents` (keys); `at` (microseconds since 1970, UTC); `groups` the decision of each row; `position` its place in
    the slate from 1, 0 unknown; `propensity` the chance it had to be shown, NaN unknown; `value` the money that
    followed within the window; `weights` what each row counts.
    """

    X: Matrix
    y: npt.NDArray[Any]
    customers: npt.NDArray[np.int64]
    contents: tuple[str, ...]
    at: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]
    propensity: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, slots=True)
class Split:
    """Showings on both sides of a moment; `between` counts those that belong to neither."""

    train: pl.DataFrame
    test: pl.DataFrame
    between: int


def checked(showings: pl.DataFrame, objective: str = CONVERSION) -> pl.DataFrame:
    """The showings with every column there is, sorted by time, customer, decision and content.

    `settled_at` is when the outcomes of a whole decision are known, by the windows of the objective. Raises
    `ValueError` naming missing columns or an unknown objective.
    """
    missing = [column for column in SHOWING if column not in showings.columns]
    if missing:
        raise ValueError(f"The showings lack {', '.join(missing)}; they need {', '.join(SHOWING)} and facts.")
    if objective not in OBJECTIVES:
        raise ValueError(f"There is no objective {objective!r}; take one of {', '.join(OBJECTIVES)}.")
    added = [made.alias(name) for name, made in OPTIONAL.items() if name not in showings.columns]
    whole = showings.with_columns(added)
    closes = pl.coalesce("click_closes_at", "closes_at") if objective == CLICK else pl.col("closes_at")
    ordered = whole.sort("shown_at", "customer_id", "group", "content_key")
    return ordered.with_columns(settled_at=closes.max().over("group"))


def split_by_time(showings: pl.DataFrame, moment: datetime, objective: str = CONVERSION) -> Split:
    """Train on windows closed by the moment, test on what was shown from it on."""
    ordered = checked(showings, objective)
    train = ordered.filter(pl.col("settled_at") <= moment)
    test = ordered.filter(pl.col("shown_at") >= moment)
    return Split(train, test, ordered.height - train.height - test.height)


def closed(
    showings: pl.DataFrame, now: datetime, since: datetime | None = None, objective: str = CONVERSION
) -> pl.DataFrame:
    """Showings whose outcome is known: window over by now and, if given, shown since a moment.

    `since` leaves out what was shown before events were recorded: its facts would be empty and not true.
    """
    ordered = checked(showings, objective).filter(pl.col("settled_at") <= now)
    return ordered if since is None else ordered.filter(pl.col("shown_at") >= since)


def known_by(showings: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """What could be known just before a moment: showings before it, without what followed them later."""
    ordered = checked(showings).filter(pl.col("shown_at") < now)
    later = [pl.when(pl.col(name) < now).then(name).alias(name) for name in ("clicked_at", "converted_at")]
    return ordered.with_columns(later)


def outcome(showings: pl.DataFrame, objective: str = CONVERSION) -> npt.NDArray[Any]:
    """1 where the customer converted (or clicked) from being shown until the window closed; or the money it brought."""
    when, closes = ("clicked_at", "click_closes_at") if objective == CLICK else ("converted_at", "closes_at")
    closes = closes if closes in showings.columns else "closes_at"
    inside = ((pl.col(when) >= pl.col("shown_at")) & (pl.col(when) <= pl.col(closes))).fill_null(False)
    if objective == VALUE:
        return showings.select(pl.when(inside).then("value").otherwise(0.0).cast(pl.Float32)).to_series().to_numpy()
    return showings.select(inside.cast(pl.Int8)).to_series().to_numpy()


def facts_of(showings: pl.DataFrame) -> Sequence[Facts] | pl.DataFrame:
    """The facts that were true when shown: from a JSON column `facts` if there is one, else the columns.

    Facts of the moment (JSON in `context`, if there is such a column) stand among them and win.
    """
    if "facts" not in showings.columns:
        return showings
    decoder = msgspec.json.Decoder(dict[str, Any])
    if "context" not in showings.columns:
        return [decoder.decode(text) for text in showings["facts"]]
    both = zip(showings["facts"], showings["context"], strict=True)
    return [{**decoder.decode(facts), **(decoder.decode(moment) if moment else {})} for facts, moment in both]


def shared_facts(showings: pl.DataFrame) -> tuple[Sequence[Facts] | pl.DataFrame, npt.NDArray[np.int64]]:
    """The different facts among the showings, and which of them each has: the rows of a slate share theirs."""
    if "facts" not in showings.columns:
        return showings, np.arange(showings.height)
    texts = [name for name in ("facts", "context") if name in showings.columns]
    numbered = showings.select(texts).with_columns(pl.struct(texts).rank("dense").cast(pl.Int64).alias("which") - 1)
    different = numbered.unique("which", keep="any").sort("which")
    return facts_of(different), numbered["which"].to_numpy()


def label(
    schema: FeatureSchema,
    showings: pl.DataFrame,
    contents: Sequence[Content],
    *,
    objective: str = CONVERSION,
    log: pl.DataFrame | None = None,
) -> Labelled:
    """Rows in the schema's columns. Raises `ValueError` for a showing of a content that is not given.

    `log` are the showings that rates and clicks are counted in, as of each row's moment; by default the same.
    """
    ordered = checked(showings, objective)
    which = positions(ordered["content_key"], contents)
    facts, who = shared_facts(ordered)
    counted = None
    if schema.of("rate") or schema.of("likeness") or schema.of("association"):
        counted = log_of(ordered if log is None else checked(log), contents)
    late = late_values(schema, counted, ordered, np.asarray(which, np.int64), (facts, who))
    return Labelled(
        paired_matrix(schema, facts, contents, which, late, who.tolist()),
        outcome(ordered, objective),
        ordered["customer_id"].cast(pl.Int64).to_numpy(),
        tuple(ordered["content_key"]),
        ordered["shown_at"].dt.epoch("us").to_numpy(),
        ordered["group"].cast(pl.Int64).to_numpy(),
        ordered["position"].fill_null(0).cast(pl.Int64).to_numpy(),
        ordered["propensity"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
        np.asarray(outcome(ordered, VALUE), np.float64),
        ordered["weight"].cast(pl.Float64).to_numpy(),
    )


def positions(keys: pl.Series, contents: Sequence[Content]) -> list[int]:
    """Where each key stands in the contents. Raises `ValueError` for one that does not."""
    place = {content.key: position for position, content in enumerate(contents)}
    unknown = sorted(set(keys.unique()) - set(place))
    if unknown:
        raise ValueError(f"Showings of unknown contents: {', '.join(unknown[:5])}. Hand in their attributes too.")
    return [place[key] for key in keys]


def schema_for(
    showings: pl.DataFrame,
    contents: Sequence[Content],
    kinds: Mapping[str, str],
    crosses: Mapping[str, Mapping[str, str]],
    extras: Extras | None = None,
    log: pl.DataFrame | None = None,
    now: datetime | None = None,
) -> FeatureSchema:
    """The schema learned from these showings alone (see `learn_schema`), with what `extras` asks for.

    What is counted is counted in `log`, by default the same showings, and stands as it is just before `now`, by
    default just after the last thing that happened.
    """
    shown = set(showings["content_key"].unique())
    plain = learn_schema(kinds, facts_of(showings), [c for c in contents if c.key in shown], crosses)
    if extras is None:
        return plain
    ordered = checked(showings)
    counted, (facts, _) = log_of(ordered if log is None else checked(log), contents), shared_facts(ordered)
    columns = late_columns(extras, counted, ordered, facts, contents)
    whole = sorted((*plain.columns, *columns), key=lambda column: SOURCES.index(column.source))
    return FeatureSchema(whole, standing_of(columns, counted, now))
