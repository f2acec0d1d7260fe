"""What every scorer is: rows come in, chances come out, and the learned values go to bytes and back.

`fit(X, y, …)` returns the scorer itself, `score(X, schema_hash)` gives chances for rows, `score_contents` for
one customer's contents; `task` says what the scores are. `to_artefact` and `from_artefact` go through JSON and never a
pickle. Learned values end in an underscore.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.features import Content, ContentBlock, Encoded, Facts, Matrix, design_matrix
from decisioning.learning.policies import Treatment
from decisioning.learning.schema import FeatureSchema

Chances = npt.NDArray[np.float64]
Labels = npt.NDArray[Any]
FORMAT: Final = 1
# What a scorer says: how likely, in which order within a slate, how much money, how much more than without.
CHANCE, ORDER, VALUE, UPLIFT = "chance", "order", "value", "uplift"
PRIOR_STRENGTH: Final = 20.0  # a content's own rate weighs as much as the common one after so many showings


class SchemaMismatch(ValueError):
    """The rows were built for another feature schema than the scorer's."""


class Scorer(ABC):
    """What all scorers share: the schema, smoothed rates by content, and the way to bytes and back.

    `treatment` is what was done to facts in training (see `policies`); facts to be scored go through the same.
    """

    kind: ClassVar[str]
    task: ClassVar[str] = CHANCE
    family: ClassVar[dict[str, type["Scorer"]]] = {}
    schema: FeatureSchema
    treatment: Treatment
    rate_: float
    priors_: dict[str, float]
    kept: dict[str, Encoded]

    def __init__(self, schema: FeatureSchema) -> None:
        self.schema = schema
        self.treatment = Treatment()
        self.kept = {}

    def __init_subclass__(cls) -> None:
        # What only others inherit from has no kind of its own.
        if "kind" in vars(cls):
            Scorer.family[cls.kind] = cls

    @abstractmethod
    def fit(
        self,
        X: Matrix,
        y: Labels,
        contents: Sequence[str] = (),
        at: npt.ArrayLike | None = None,
        *,
        groups: npt.NDArray[np.int64] | None = None,
        weights: npt.NDArray[np.float64] | None = None,
    ) -> Self:
        """Learn from rows with outcomes 0 and 1, or values; `contents` and `at` are each row's content key and time.

        `groups` (rows,) is the slate a row belongs to, rows of one together; `weights` (rows,) say how much a row
        counts beside others, 0 that it is not there.
        """

    @abstractmethod
    def score(self, X: Matrix, schema_hash: str, contents: Sequence[str] = ()) -> Chances:
        """A chance between 0 and 1 a row. Raises `SchemaMismatch` when the rows have another schema.

        `contents` are the rows' content keys, from the start again where there are more rows; scorers that know
        contents by name take those of whom they hear nothing for the common one.
        """

    @abstractmethod
    def learned(self) -> dict[str, Any]:
        """The learned values beside rates and schema, JSON-able."""

    @classmethod
    @abstractmethod
    def restored(cls, schema: FeatureSchema, learned: Mapping[str, Any]) -> Self:
        """A scorer from what `learned` gave; raises `ValueError` when it is damaged."""

    @property
    def priors(self) -> dict[str, float]:
        """{content key: smoothed conversion rate}, for decisions without a usable scorer."""
        return self.priors_

    def score_contents(self, facts: Facts, contents: Sequence[Content]) -> list[float]:
        """One customer's chance with each of the contents."""
        treated = self.treatment.one(facts)
        rows = design_matrix(self.schema, treated, ContentBlock(self.schema, contents, self.kept))
        return list(self.score(rows, self.schema.hash, keys_of(contents)).tolist())

    def score_everybody(self, facts: pl.DataFrame, contents: Sequence[Content]) -> Chances:
        """(customers, contents) chances from a frame with one row of facts a customer."""
        treated = self.treatment.apply(facts)[0] if self.treatment else facts
        rows = design_matrix(self.schema, treated, contents)
        return self.score(rows, self.schema.hash, keys_of(contents)).reshape(facts.height, len(contents))

    def to_artefact(self) -> bytes:
        """JSON bytes; the same data, parameters and seed give the same bytes."""
        learned = self.learned()
        body = {
            "kind": self.kind,
            "format": FORMAT,
            "schema": self.schema.to_dict(),
            "rate": self.rate_,
            "priors": self.priors_,
            "learned": learned,
            "digest": digest(learned),
        }
        if self.treatment.policies:
            body["treatment"] = self.treatment.to_dict()
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    @staticmethod
    def from_artefact(data: bytes) -> "Scorer":
        """The scorer that `to_artefact` wrote, of whatever kind. Raises `ValueError` when it is damaged."""
        try:
            body = json.loads(data)
            kind, learned = Scorer.family[body["kind"]], body["learned"]
            if body["format"] != FORMAT or body["digest"] != digest(learned):
                raise ValueError("format or digest differ")
            scorer = kind.restored(FeatureSchema.from_dict(body["schema"]), learned)
            scorer.rate_, scorer.priors_ = float(body["rate"]), dict(body["priors"])
            if "treatment" in body:
                scorer.treatment = Treatment.from_dict(body["treatment"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"This is no scorer artefact, or a damaged one ({error}); train again.") from error
        return scorer

    def learn_rates(self, y: Labels, contents: Sequence[str], weights: npt.NDArray[np.float64] | None = None) -> None:
        """The common rate of success, and each content's drawn towards it."""
        hits = (np.asarray(y) > 0).astype(np.float64)
        share = np.ones(len(hits)) if weights is None else np.asarray(weights, np.float64)
        self.rate_ = (float(np.sum(share * hits)) + 1) / (float(np.sum(share)) + 2)
        self.priors_ = smoothed_rates(hits, contents, self.rate_, share)

    def constants(self, rows: int, contents: Sequence[str]) -> Chances:
        """Each row's content's rate, as `score` is told of contents; the common one where it is told of none."""
        if not contents:
            return np.full(rows, self.rate_)
        return np.resize([self.priors_.get(key, self.rate_) for key in contents], rows)

    def expect(self, X: Matrix, schema_hash: str) -> None:
        if schema_hash != self.schema.hash or X.shape[1] != len(self.schema.columns):
            raise SchemaMismatch(
                f"The rows have schema {schema_hash[:12]} and {X.shape[1]} columns, the scorer has "
                f"{self.schema.hash[:12]} and {len(self.schema.columns)}. Build rows with its schema."
            )


def made(kind: type[Scorer], schema: FeatureSchema, **wanted: Any) -> Scorer:
    """A scorer of a kind, with those of the settings that it has."""
    taken = signature(kind.__init__).parameters
    return kind(schema, **{name: value for name, value in wanted.items() if name in taken})


def keys_of(contents: Sequence[Content]) -> list[str]:
    """Their keys."""
    return [content.key for content in contents]


def digest(learned: Mapping[str, Any]) -> str:
    """SHA-256 of the learned values: LightGBM aborts the whole process on a truncated text."""
    return hashlib.sha256(json.dumps(learned, sort_keys=True).encode()).hexdigest()


def smoothed_rates(
    hits: npt.NDArray[np.float64], contents: Sequence[str], rate: float, weights: npt.NDArray[np.float64]
) -> dict[str, float]:
    """{content: (successes + m × rate) / (showings + m)} with m = `PRIOR_STRENGTH`, keys in order."""
    shown: dict[str, list[float]] = {}
    for key, hit, weight in zip(contents, hits.tolist(), weights.tolist(), strict=False):
        counts = shown.setdefault(key, [0.0, 0.0])
        counts[0] += weight
        counts[1] += weight * hit
    strength = PRIOR_STRENGTH
    return {key: (c + strength * rate) / (n + strength) for key, (n, c) in sorted(shown.items())}
