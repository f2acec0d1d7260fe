"""What every scorer is: rows come in, chances come out, and the learned values go to bytes and back.

`fit(X, y, …)` returns the scorer itself, `score(X, schema_hash)` gives chances for rows, `score_contents` for
one customer's contents; `to_artefact` and `from_artefact` go through JSON and never a pickle. Learned values
end in an underscore.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from decisioning.learning.features import Content, ContentBlock, Encoded, Facts, Matrix, design_matrix
from decisioning.learning.policies import Treatment
from decisioning.learning.schema import FeatureSchema

Chances = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]
FORMAT: Final = 1
PRIOR_STRENGTH: Final = 20.0  # a content's own rate weighs as much as the common one after so many showings


class SchemaMismatch(ValueError):
    """The rows were built for another feature schema than the scorer's."""


class Scorer(ABC):
    """What all scorers share: the schema, smoothed rates by content, and the way to bytes and back.

    `treatment` is what was done to facts in training (see `policies`); facts to be scored go through the same.
    """

    kind: ClassVar[str]
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
        Scorer.family[cls.kind] = cls

    @abstractmethod
    def fit(self, X: Matrix, y: Labels, contents: Sequence[str] = (), at: npt.ArrayLike | None = None) -> Self:
        """Learn from rows with outcomes 0 and 1; `contents` and `at` are each row's content key and time."""

    @abstractmethod
    def score(self, X: Matrix, schema_hash: str) -> Chances:
        """A chance between 0 and 1 a row. Raises `SchemaMismatch` when the rows have another schema."""

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
        return list(self.score(rows, self.schema.hash).tolist())

    def score_everybody(self, facts: pl.DataFrame, contents: Sequence[Content]) -> Chances:
        """(customers, contents) chances from a frame with one row of facts a customer."""
        treated = self.treatment.apply(facts)[0] if self.treatment else facts
        rows = design_matrix(self.schema, treated, contents)
        return self.score(rows, self.schema.hash).reshape(facts.height, len(contents))

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

    def learn_rates(self, y: Labels, contents: Sequence[str]) -> None:
        self.rate_ = (float(np.sum(y)) + 1) / (len(y) + 2)
        self.priors_ = smoothed_rates(y, contents, self.rate_)

    def expect(self, X: Matrix, schema_hash: str) -> None:
        if schema_hash != self.schema.hash or X.shape[1] != len(self.schema.columns):
            raise SchemaMismatch(
                f"The rows have schema {schema_hash[:12]} and {X.shape[1]} columns, the scorer has "
                f"{self.schema.hash[:12]} and {len(self.schema.columns)}. Build rows with its schema."
            )


def digest(learned: Mapping[str, Any]) -> str:
    """SHA-256 of the learned values: LightGBM aborts the whole process on a truncated text."""
    return hashlib.sha256(json.dumps(learned, sort_keys=True).encode()).hexdigest()


def smoothed_rates(y: Labels, contents: Sequence[str], rate: float) -> dict[str, float]:
    """{content: (conversions + m × rate) / (showings + m)} with m = `PRIOR_STRENGTH`, keys in order."""
    shown: dict[str, list[int]] = {}
    for key, converted in zip(contents, y, strict=False):
        counts = shown.setdefault(key, [0, 0])
        counts[0] += 1
        counts[1] += int(converted)
    strength = PRIOR_STRENGTH
    return {key: (c + strength * rate) / (n + strength) for key, (n, c) in sorted(shown.items())}
