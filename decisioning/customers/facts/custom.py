"""Facts that people defined in the rule language come in; their values, for one customer and for everybody, go out.

    add(facts, customs)                            their values into one customer's facts
    with_customs(frame, customs)                   a column for each into the frame of everybody's facts
    watched(asked, customs)                        what to watch when somebody watches custom facts

Both shapes read the histories by their canonical texts, and the built-in facts by their names. A name belongs to the
custom fact as long as it is published, whatever trait or built-in fact comes to have it later. How a fact comes to be
published stands in `defining`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import polars as pl

from decisioning.customers.facts.catalogue import GROWING
from decisioning.customers.facts.state import moment_text
from rules.language.calculating import calculate, calculated_column, operand_of
from rules.language.columns import Column
from rules.language.facts import Fact
from rules.language.formulas import (
    Calculation,
    Formula,
    Number,
    formula_facts,
    formula_histories,
    formula_text,
    operands,
)
from rules.language.frames import find
from rules.language.nodes import History
from rules.language.printer import operand_text
from rules.language.values import read_moment

LEAST_MOMENT: Final = -62_135_596_800_000_000  # microseconds: 0001-01-01, UTC
MOST_MOMENT: Final = 253_402_300_799_999_999  # the last of 9999
UTC_STAMP: Final = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Custom:
    """One published fact: what people read of it, its type and its formula."""

    name: str
    type: str
    formula: Formula
    label: str = ""
    description: str = ""

    @property
    def fact(self) -> Fact:
        """The same as rules, segments and templates know it."""
        return Fact(self.name, self.type, self.label, self.description)

    @property
    def mark(self) -> str:
        """What tells that everybody's facts hold it with this meaning."""
        return f"{self.name} = {formula_text(self.formula)}"


@dataclass(frozen=True, slots=True)
class Customs:
    """Published custom facts. `inner` are the histories that only they ask for: no facts of their own."""

    facts: tuple[Custom, ...] = ()
    inner: frozenset[str] = field(default=frozenset())

    @property
    def histories(self) -> dict[str, History]:
        """The histories they read, by their canonical texts."""
        return {text: one for custom in self.facts for text, one in formula_histories(custom.formula).items()}

    @property
    def marks(self) -> frozenset[str]:
        """What everybody's facts must hold before these facts are there for all."""
        return frozenset(custom.mark for custom in self.facts)

    def catalogue(self) -> dict[str, Fact]:
        """{name: Fact}, ready for a rule catalogue."""
        return {custom.name: custom.fact for custom in self.facts}


NONE: Final = Customs()


def in_order(found: Mapping[str, Custom]) -> tuple[Custom, ...]:
    """Each behind those it reads; what reads itself, directly or through others, is left out."""
    ordered: dict[str, Custom] = {}
    waiting = dict(found)
    while ready := [name for name, one in waiting.items() if not formula_facts(one.formula) & waiting.keys()]:
        ordered |= {name: waiting.pop(name) for name in ready}
    return tuple(ordered.values())


# -- one customer


def add(facts: dict[str, Any], customs: Customs) -> None:
    """Put their values into the facts of one customer, which hold the histories by their texts; take `inner` out."""
    for custom in customs.facts:
        value = value_of(custom, facts)
        if value is None:
            facts.pop(custom.name, None)
        else:
            facts[custom.name] = value
    for text in customs.inner:
        facts.pop(text, None)


def value_of(custom: Custom, facts: Mapping[str, Any]) -> Any:
    """Its value from the other facts, None where it is missing or of another type than the fact."""
    formula = custom.formula
    if isinstance(formula, Calculation | Number):
        return calculate(formula, facts)
    value = operand_of(formula, facts)
    if custom.type == "date":
        return moment_text(_moment(value)) if type(value) is str else None
    return value if type(value) in KINDS[custom.type] else None


KINDS: Final[Mapping[str, tuple[type, ...]]] = {"number": (int, float), "text": (str,), "boolean": (bool,)}


def _moment(text: str) -> int | None:
    micros = read_moment(text)
    # A zone can lead out of the years there are.
    return micros if micros is not None and LEAST_MOMENT <= micros <= MOST_MOMENT else None


# -- everybody


def with_customs(frame: pl.DataFrame, customs: Customs) -> pl.DataFrame:
    """The frame of everybody's facts and histories with a column for each custom fact, and without `inner`."""
    for custom in customs.facts:
        frame = frame.with_columns(column_of(custom, frame).alias(custom.name))
    return frame.drop(customs.inner & set(frame.columns))


def column_of(custom: Custom, frame: pl.DataFrame) -> pl.Expr:
    """The fact for all rows, null where it is missing."""
    formula = custom.formula
    if isinstance(formula, Calculation | Number):
        return calculated_column(formula, frame.schema)
    found = find(formula, frame.schema)
    if custom.type == "date":
        return _moments(_viewed(found, ("text",), pl.String()))
    kinds = {"number": ("whole", "number"), "text": ("text",), "boolean": ("flag",)}[custom.type]
    return _viewed(found, kinds, TYPES[custom.type])


TYPES: Final[Mapping[str, Any]] = {"number": pl.Float64(), "text": pl.String(), "boolean": pl.Boolean()}


def _viewed(column: Column | None, kinds: Iterable[str], dtype: pl.DataType) -> pl.Expr:
    views = [] if column is None else [view for view in column.views if view.kind in kinds]
    if not views:
        return pl.repeat(None, pl.len(), dtype=dtype)
    # One column of whole numbers stays one: a count is 3, not 3.0.
    return views[0].expr if len(views) == 1 else pl.coalesce([view.expr.cast(dtype) for view in views])


def _moments(texts: pl.Expr) -> pl.Expr:
    def read(values: pl.Series) -> pl.Series:
        known = values.unique().drop_nulls()
        micros = pl.Series([_moment(text) for text in known], dtype=pl.Int64)
        return values.replace_strict(known, micros, default=None, return_dtype=pl.Int64).cast(UTC_STAMP)

    return texts.map_batches(read, return_dtype=UTC_STAMP)


# -- what others ask


@lru_cache(maxsize=64)
def read_for(names: frozenset[str], customs: Customs) -> frozenset[str]:
    """These facts, and whatever the custom ones among them read."""
    found = set(names)
    for custom in reversed(customs.facts):
        if custom.name in found:
            found |= formula_facts(custom.formula) | formula_histories(custom.formula).keys()
    return frozenset(found)


def watched(asked: Mapping[str, tuple[float, ...]], customs: Customs) -> dict[str, tuple[float, ...]]:
    """The same thresholds by fact, with custom facts replaced by what they read: to know when time alone moves them.

    A history keeps the thresholds of the fact that it is; of what is calculated with, any change counts.
    """
    found = {name: set(cuts) for name, cuts in asked.items()}
    every = {name for name, cuts in asked.items() if not cuts}
    for custom in reversed(customs.facts):
        if custom.name not in found:
            continue
        cuts, any_change = found.pop(custom.name), custom.name in every
        whole = isinstance(custom.formula, Calculation) or any_change
        for one in operands(custom.formula):
            name = operand_text(one) if isinstance(one, History) else one.name
            found.setdefault(name, set()).update(() if whole else cuts)
            every |= {name} if whole else set()
    return {name: () if name in every else tuple(sorted(cuts)) for name, cuts in found.items()}


def learnt(customs: Customs) -> dict[str, str]:
    """{fact: "number"} for scorers: the numbers and booleans that do not only grow with the age of the log."""
    return {
        one.name: "number"
        for one in customs.facts
        if one.type in ("number", "boolean") and not _grows(one.formula, {each.name: each for each in customs.facts})
    }


def _grows(node: Formula, known: Mapping[str, Custom]) -> bool:
    """Whether it is a count or sum of everything ever; a quotient of two such is not."""
    if isinstance(node, Number):
        return False
    if isinstance(node, History):
        return node.window is None and node.aggregate in ("COUNT", "SUM", "DISTINCT")
    if not isinstance(node, Calculation):
        return node.name in GROWING or (node.name in known and _grows(known[node.name].formula, known))
    left, right = _grows(node.left, known), _grows(node.right, known)
    return left and not right if node.sign == "/" else left or right
