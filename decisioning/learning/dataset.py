"""A frame of showings with their outcomes comes in; labelled training rows, split by time, come out.

A showing's label is only known when its outcome window has closed. So a training row must have closed by the
split, and a test row must have been shown after it; what lies between is in neither, and is counted.
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
from decisioning.learning.schema import FeatureSchema

SHOWING: Final = ("customer_id", "content_key", "shown_at", "closes_at", "converted_at")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows ready to learn from, ordered by `at`.

    `X` float32 (rows, features), `y` 0 or 1, `customers` (ids, the groups for resampling), `contents` (keys),
    `at` (microseconds since 1970, UTC).
    """

    X: Matrix
    y: npt.NDArray[np.int8]
    customers: npt.NDArray[np.int64]
    contents: tuple[str, ...]
    at: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, slots=True)
class Split:
    """Showings on both sides of a moment; `between` counts those that belong to neither."""

    train: pl.DataFrame
    test: pl.DataFrame
    between: int


def checked(showings: pl.DataFrame) -> pl.DataFrame:
    """The showings, sorted by time, customer and content. Raises `ValueError` naming missing columns."""
    missing = [column for column in SHOWING if column not in showings.columns]
    if missing:
        raise ValueError(f"The showings lack {', '.join(missing)}; they need {', '.join(SHOWING)} and facts.")
    return showings.sort("shown_at", "customer_id", "content_key")


def split_by_time(showings: pl.DataFrame, moment: datetime) -> Split:
    """Train on windows closed by the moment, test on what was shown from it on."""
    ordered = checked(showings)
    train = ordered.filter(pl.col("closes_at") <= moment)
    test = ordered.filter(pl.col("shown_at") >= moment)
    return Split(train, test, ordered.height - train.height - test.height)


def closed(showings: pl.DataFrame, now: datetime, since: datetime | None = None) -> pl.DataFrame:
    """Showings whose outcome is known: window over by now and, if given, shown since a moment.

    `since` leaves out what was shown before events were recorded: its facts would be empty and not true.
    """
    ordered = checked(showings).filter(pl.col("closes_at") <= now)
    return ordered if since is None else ordered.filter(pl.col("shown_at") >= since)


def outcome(showings: pl.DataFrame) -> npt.NDArray[np.int8]:
    """1 where the customer converted from being shown until the window closed."""
    inside = (pl.col("converted_at") >= pl.col("shown_at")) & (pl.col("converted_at") <= pl.col("closes_at"))
    return showings.select(inside.fill_null(False).cast(pl.Int8)).to_series().to_numpy()


def facts_of(showings: pl.DataFrame) -> Sequence[Facts] | pl.DataFrame:
    """The facts that were true when shown: from a JSON column `facts` if there is one, else the columns."""
    if "facts" not in showings.columns:
        return showings
    decoder = msgspec.json.Decoder(dict[str, Any])
    return [decoder.decode(text) for text in showings["facts"]]


def label(schema: FeatureSchema, showings: pl.DataFrame, contents: Sequence[Content]) -> Labelled:
    """Rows in the schema's columns. Raises `ValueError` for a showing of a content that is not given."""
    ordered = checked(showings)
    which = positions(ordered["content_key"], contents)
    return Labelled(
        paired_matrix(schema, facts_of(ordered), contents, which),
        outcome(ordered),
        ordered["customer_id"].cast(pl.Int64).to_numpy(),
        tuple(ordered["content_key"]),
        ordered["shown_at"].dt.epoch("us").to_numpy(),
    )


def positions(keys: pl.Series, contents: Sequence[Content]) -> list[int]:
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
) -> FeatureSchema:
    """The schema learned from these showings alone (see `learn_schema`)."""
    shown = set(showings["content_key"].unique())
    return learn_schema(kinds, facts_of(showings), [c for c in contents if c.key in shown], crosses)
