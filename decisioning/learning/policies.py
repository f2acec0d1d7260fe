"""What is to be done about outliers and gaps, once fitted, comes in with facts; the facts as learning reads them, out.

A `Treatment` is fitted on training rows alone (`treating.fit`), travels with what was learned from them, and does the
same to one customer's facts in a live decision. What came in is never changed: rules, segments and messages see it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import msgspec
import numpy as np
import polars as pl

from decisioning.learning.chained import Chained
from decisioning.learning.features import Facts, number
from decisioning.learning.imputing import NUMBER, Constants, Imputer, kind_of, numbers, plain
from decisioning.learning.neighbours import Nearest
from decisioning.learning.outliers import IQR, WIDTH, Fence

__all__ = ["Chained", "Constants", "Effect", "Fence", "Nearest", "Policy", "Treatment"]

KEEP, FLAG, CLIP = "keep", "flag", "clip"
MEDIAN, MODE, KNN, MICE = "median", "mode", "knn", "mice"


@dataclass(frozen=True, slots=True)
class Policy:
    """What is done about one fact: `outliers` "keep", "flag" or "clip", by `method` and `width` (see `outliers`);

    `missing` "keep", "median", "mode", "knn" or "mice".
    """

    outliers: str = KEEP
    method: str = IQR
    width: float = WIDTH
    missing: str = KEEP

    @property
    def asks(self) -> bool:
        """Whether it asks for anything."""
        return self.outliers in (FLAG, CLIP) or self.missing != KEEP


@dataclass(slots=True)
class Effect:
    """What a policy did to one fact: rows seen, outliers found (and clipped), gaps found (and filled).

    `note` says in words what could not be done.
    """

    fact: str
    rows: int = 0
    low: float | None = None
    high: float | None = None
    outliers: int = 0
    clipped: int = 0
    missing: int = 0
    filled: int = 0
    how: str = KEEP
    note: str = ""

    def __str__(self) -> str:
        """For people: what was found and done."""
        parts = []
        if self.low is not None and self.high is not None:
            done = "clipped to" if self.clipped else "outside"
            parts.append(f"{self.outliers:,} of {self.rows:,} {done} {self.low:,.4g} to {self.high:,.4g}")
        if self.how != KEEP:
            parts.append(f"{self.filled:,} gaps filled ({self.how})")
        return "; ".join([*parts, self.note] if self.note else parts) or "nothing was done"


@dataclass(frozen=True)
class Treatment:
    """Fences to clip to, fences to count beyond, and fillers of gaps, for the facts that have a policy.

    `policies` is what was asked, `notes` {fact: why something asked could not be done}.
    """

    policies: Mapping[str, Policy] = field(default_factory=dict)
    fences: Mapping[str, Fence] = field(default_factory=dict)
    fillers: tuple[Imputer, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether it changes anything; what is only flagged is not changed."""
        return bool(self.fillers) or any(self.clips(fact) for fact in self.fences)

    def clips(self, fact: str) -> bool:
        return fact in self.fences and self.policies[fact].outliers == CLIP

    @property
    def filled(self) -> dict[str, str]:
        """{fact: what fills its gaps}"""
        return {fact: filler.name for filler in self.fillers for fact in filler.targets}

    @property
    def reads(self) -> list[str]:
        """Every fact that it looks at."""
        return sorted({*self.policies, *(name for filler in self.fillers for name in filler.reads)})

    def apply(self, facts: pl.DataFrame) -> tuple[pl.DataFrame, list[Effect]]:
        """A new frame with the facts as learning reads them, and what was done; row by row the same as `one`.

        A column that nobody in the frame has is added if its gaps are filled.
        """
        effects = {fact: self._counted(facts, fact) for fact in self.policies}
        changed = facts.with_columns(self._clipped(facts, fact) for fact in self.fences if self.clips(fact))
        # All fillers see what came in, clipped, and not what another filled.
        columns = {}
        for filler in self.fillers:
            for fact, values in filler.fill(changed).items():
                columns[fact] = _column(fact, values, filler.targets[fact])
                effects[fact].filled = effects[fact].missing
        return changed.with_columns(columns.values()), list(effects.values())

    def one(self, facts: Facts) -> Facts:
        """One customer's facts as learning reads them; the same object where nothing changes."""
        if not self:
            return facts
        changed = dict(facts)
        for fact, fence in self.fences.items():
            value = number(changed.get(fact))
            if self.clips(fact) and (value < fence.low or value > fence.high):
                changed[fact] = fence.clip_one(value)
        found: dict[str, Any] = {}
        for filler in self.fillers:
            found.update(filler.fill_one(changed))
        return changed | found

    def many(self, rows: Sequence[Facts]) -> list[Facts]:
        """Many customers' facts at once; as `one` does it, in less time."""
        if not self or not rows:
            return list(rows)
        done, _ = self.apply(framed(rows, self.reads))
        writes = [*(fact for fact in self.fences if self.clips(fact)), *self.filled]
        new = done.select(list(dict.fromkeys(writes))).to_dicts()
        # A value of another type is no number to clip: it stays, and what reads it counts it as missing.
        return [
            {**row, **{k: v for k, v in told.items() if v is not None}} for row, told in zip(rows, new, strict=True)
        ]

    def showings(self, showings: pl.DataFrame) -> pl.DataFrame:
        """Showings (see `dataset`) with their facts treated, be they columns or JSON texts."""
        if not self:
            return showings
        if "facts" not in showings.columns:
            return self.apply(showings)[0]
        decoder = msgspec.json.Decoder(dict[str, Any])
        treated = self.many([decoder.decode(text) for text in showings["facts"]])
        return showings.with_columns(pl.Series("facts", [msgspec.json.encode(row).decode() for row in treated]))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` gives one back that does the same."""
        return {
            "policies": {fact: asdict(policy) for fact, policy in self.policies.items()},
            "fences": {fact: asdict(fence) for fact, fence in self.fences.items()},
            "fillers": [filler.to_dict() for filler in self.fillers],
            "notes": dict(self.notes),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Raises `ValueError` when it is damaged."""
        try:
            return cls(
                {fact: Policy(**asked) for fact, asked in stored["policies"].items()},
                {fact: Fence(**ends) for fact, ends in stored["fences"].items()},
                tuple(Imputer.from_dict(filler) for filler in stored["fillers"]),
                dict(stored["notes"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"This is no treatment of facts, or a damaged one ({error!r}); train again.") from error

    def _counted(self, facts: pl.DataFrame, fact: str) -> Effect:
        effect = Effect(fact, facts.height, how=self.filled.get(fact, KEEP), note=self.notes.get(fact, ""))
        if fact in facts.columns and kind_of(facts, fact) != NUMBER:
            effect.missing = facts[fact].null_count()
            return effect
        values = numbers(facts, [fact])[:, 0]
        effect.missing = int(np.isnan(values).sum())
        fence = self.fences.get(fact)
        if fence is not None:
            effect.low, effect.high = fence.low, fence.high
            effect.outliers = int(fence.outside(values).sum())
            effect.clipped = effect.outliers if self.clips(fact) else 0
        return effect

    def _clipped(self, facts: pl.DataFrame, fact: str) -> pl.Series:
        values = self.fences[fact].clip(numbers(facts, [fact])[:, 0])
        return pl.Series(fact, values, pl.Float64, nan_to_null=True)


def framed(rows: Sequence[Facts], names: Sequence[str]) -> pl.DataFrame:
    """These facts of many customers, a column each."""
    return pl.DataFrame({name: _values(rows, name) for name in names})


def _values(rows: Sequence[Facts], name: str) -> pl.Series:
    """A column of one fact; of the type that most of its values have, others are missing."""
    held = [row.get(name) for row in rows]
    types = [type(value) for value in held if isinstance(value, bool | int | float | str)]
    if types and sum(each is str for each in types) * 2 > len(types):
        return pl.Series(name, [plain(value, "text") for value in held], pl.String)
    if types and all(each is bool for each in types):
        return pl.Series(name, [value if isinstance(value, bool) else None for value in held], pl.Boolean)
    return pl.Series(name, np.array([number(value) for value in held], np.float64), nan_to_null=True)


def _column(fact: str, values: list[Any], kind: str) -> pl.Series:
    types = {"number": pl.Float64, "boolean": pl.Boolean, "text": pl.String}
    return pl.Series(fact, values, types[kind], strict=False)
