"""Facts with gaps come in; something fitted once, that fills them the same for everybody and for one, comes out.

What is fitted is plain numbers and goes through JSON, never a pickle. `Constants` is here: medians and commonest
values. `neighbours.py` has the nearest customers, `chained.py` the other facts in turns (MICE).
"""

from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.correlating import pairwise
from decisioning.learning.features import Facts, from_frame, number
from decisioning.learning.schema import Column

Values = npt.NDArray[np.float64]
DIGITS: Final = 6  # what is filled in is rounded, so that no order of summation can show
MOST_RELATED: Final = 20
SAMPLE: Final = 2_000
NUMBER, BOOLEAN, TEXT = "number", "boolean", "text"


class Imputer(ABC):
    """What all share: `targets` {fact: "number", "boolean" or "text"} are filled, `reads` are looked at for it."""

    name: ClassVar[str]
    family: ClassVar[dict[str, type["Imputer"]]] = {}
    targets: dict[str, str]
    reads: tuple[str, ...]

    def __init_subclass__(cls) -> None:
        Imputer.family[cls.name] = cls

    @abstractmethod
    def fill(self, facts: pl.DataFrame) -> dict[str, list[Any]]:
        """{target: its values, filled wherever they were missing}; a frame may lack columns nobody has a value for."""

    @abstractmethod
    def fill_one(self, facts: Facts) -> dict[str, Any]:
        """{target: value} for those that one customer lacks."""

    @abstractmethod
    def learned(self) -> dict[str, Any]:
        """What was fitted, JSON-able."""

    @classmethod
    @abstractmethod
    def restored(cls, targets: dict[str, str], learned: Mapping[str, Any]) -> Self:
        """What `learned` gave; raises KeyError, TypeError or ValueError where it is damaged."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` gives one back that fills the same."""
        return {"name": self.name, "targets": self.targets, "learned": self.learned()}

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> "Imputer":
        """Raises `ValueError` when it is damaged."""
        try:
            return Imputer.family[stored["name"]].restored(dict(stored["targets"]), stored["learned"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"This fills no gaps, or is damaged ({error!r}); train again.") from error


class Constants(Imputer):
    """One value a fact: the median of a number, or the commonest value (of equally frequent ones the first)."""

    name = "constants"

    def __init__(self, targets: dict[str, str], values: Mapping[str, Any]) -> None:
        self.targets = {fact: kind for fact, kind in targets.items() if fact in values}
        self.values = dict(values)
        self.reads = tuple(self.targets)

    @classmethod
    def fit(cls, facts: pl.DataFrame, medians: Sequence[str] = (), modes: Sequence[str] = ()) -> Self:
        """Facts that nobody has are no targets: there is nothing to fill them with. A text's median is its mode."""
        targets = {fact: kind_of(facts, fact) for fact in (*medians, *modes)}
        found = {fact: _typical(facts, fact, fact in medians) for fact in targets}
        return cls(targets, {fact: value for fact, value in found.items() if value is not None})

    def fill(self, facts: pl.DataFrame) -> dict[str, list[Any]]:
        return {
            fact: [self.values[fact] if value is None else value for value in listed(facts, fact, kind)]
            for fact, kind in self.targets.items()
        }

    def fill_one(self, facts: Facts) -> dict[str, Any]:
        return {fact: self.values[fact] for fact, kind in self.targets.items() if plain(facts.get(fact), kind) is None}

    def learned(self) -> dict[str, Any]:
        return {"values": self.values}

    @classmethod
    def restored(cls, targets: dict[str, str], learned: Mapping[str, Any]) -> Self:
        return cls(targets, learned["values"])


def kind_of(facts: pl.DataFrame, name: str) -> str:
    """What a column holds, as fillers tell it apart."""
    found = facts.schema.get(name)
    return TEXT if found == pl.String else BOOLEAN if found == pl.Boolean else NUMBER


def plain(value: Any, kind: str) -> Any:
    """The value if it is of the kind, None if it counts as missing."""
    if kind == TEXT:
        return value if isinstance(value, str) else None
    found = number(value)
    return None if np.isnan(found) else value


def listed(facts: pl.DataFrame, name: str, kind: str) -> list[Any]:
    """A column's values, None where one is missing or of another kind."""
    if name not in facts.columns:
        return [None] * facts.height
    return [plain(value, kind) for value in facts[name].to_list()]


def as_kind(value: float, kind: str) -> Any:
    """A number that was estimated, as a value of the target."""
    return value >= 0.5 if kind == BOOLEAN else round(value, DIGITS)


def numbers(facts: pl.DataFrame, names: Sequence[str]) -> Values:
    """(rows, names): numbers, booleans as 0 and 1, NaN for what is missing."""
    columns = [from_frame(facts, Column(name, "fact", name)) for name in names]
    return np.column_stack(columns).astype(np.float64) if columns else np.empty((facts.height, 0))


def row_of(facts: Facts, names: Sequence[str]) -> Values:
    """One customer's line of `numbers`."""
    return np.array([[number(facts.get(name)) for name in names]], np.float64)


def sampled(facts: pl.DataFrame, seed: int, most: int = SAMPLE) -> pl.DataFrame:
    """At most so many rows, drawn by the seed."""
    if facts.height <= most:
        return facts
    return facts[np.sort(np.random.default_rng(seed).permutation(facts.height)[:most]).tolist()]


def related(
    facts: pl.DataFrame, targets: Sequence[str], candidates: Sequence[str], most: int = MOST_RELATED
) -> list[str]:
    """The facts that say most about the targets: those with the largest |r| with any of them, by name.

    Facts that do not vary say nothing, and neither do those without rows in common.
    """
    others = sorted(set(candidates) - set(targets))
    matrix = numbers(facts, [*targets, *others])
    strength = np.abs(np.nan_to_num(pairwise(matrix)[: len(targets), len(targets) :]))
    best = strength.max(axis=0, initial=0.0).round(DIGITS)
    ranked = sorted(zip(-best, others, strict=True))
    return sorted(name for minus, name in ranked[:most] if minus < 0)


def packed(values: npt.NDArray[Any]) -> dict[str, Any]:
    """An array for JSON: little-endian 8-byte floats in base64, with its shape."""
    return {"f8": b64encode(np.ascontiguousarray(values, "<f8").tobytes()).decode(), "shape": list(values.shape)}


def unpacked(stored: Mapping[str, Any]) -> Values:
    """The array that `packed` wrote."""
    flat = np.frombuffer(b64decode(stored["f8"], validate=True), "<f8")
    return flat.reshape(stored["shape"]).astype(np.float64)


def _typical(facts: pl.DataFrame, name: str, median: bool) -> Any:
    kind = kind_of(facts, name)
    known = [value for value in listed(facts, name, kind) if value is not None]
    if not known:
        return None
    if median and kind == NUMBER:
        return round(float(np.median(np.array(known, np.float64))), DIGITS)
    counts: dict[Any, int] = {}
    for value in known:
        counts[value] = counts.get(value, 0) + 1
    return min(counts, key=lambda value: (-counts[value], value))
