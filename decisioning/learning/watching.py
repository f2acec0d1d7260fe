"""What a scorer learned from and what it is asked now come in; how far both lie apart, and a verdict, come out.

Three things can make a scorer wrong without anybody touching it: other customers come (features and segments), it says
other things of them (scores), and other things come of what it says (calibration over time).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from decisioning.learning.dataset import Labelled
from decisioning.learning.drift import MOVED, MOVING, STEADY, UNTOLD, Move, Period, calibration_over_time, moved
from decisioning.learning.drift import moved_columns as columns
from decisioning.learning.drift import moved_shares as shares
from decisioning.learning.drifting import ENOUGH
from decisioning.learning.family import CHANCE, VALUE
from decisioning.learning.live import as_shown, said
from decisioning.learning.resampling import Floats
from decisioning.learning.scorer import Scorer

WATCHED: Final = ("fact", "context", "content", "cross")  # sources of features; the others stand still while serving
OFF: Final = 0.1  # what was said differs by more than this share of what came, besides being beyond chance
TOLD: Final = 20  # features that a report names
SCORES, SEGMENTS = "the spread of the scores has", "the sizes of the segments have"
RANK: Final = {UNTOLD: 0, STEADY: 1, MOVING: 2, MOVED: 3}


@dataclass(frozen=True, slots=True)
class Side:
    """Rows as a live decision has them, their scores, and how many customers were in each segment."""

    rows: Labelled
    scores: Floats
    segments: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Watched:
    """`verdict` is steady, moving, moved or unknown; `reasons` say why in words; features that moved most first."""

    verdict: str
    reasons: tuple[str, ...]
    features: tuple[Move, ...]
    score: Move
    segments: Move
    shares: Mapping[str, tuple[float, float]]
    periods: tuple[Period, ...]
    off: bool
    then: int
    now: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the features that moved most, and the segments."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "features": [one.to_dict() for one in self.features[:TOLD]],
            "moved": sum(one.verdict == MOVED for one in self.features),
            "watched": len(self.features),
            "score": self.score.to_dict(),
            "segments": self.segments.to_dict(),
            "shares": {name: list(pair) for name, pair in self.shares.items()},
            "periods": [
                {"start": one.start, "rows": one.rows, "expected": one.expected, **one.rate.to_dict()}
                for one in self.periods
            ],
            "off": self.off,
            "rows then": self.then,
            "rows now": self.now,
        }


def watched(
    scorer: Scorer,
    then: Side,
    now: Side,
    settled: np.ndarray[Any, np.dtype[np.bool_]],
    rng: np.random.Generator,
    labels: Mapping[str, str] | None = None,
) -> Watched:
    """How far it has moved; `settled` (rows of now,) are those whose outcomes are known, `labels` name features."""
    watched = [place for place, column in enumerate(scorer.schema.columns) if column.source in WATCHED]
    names = [scorer.schema.names[place] for place in watched]
    features = columns(names, then.rows.X[:, watched], now.rows.X[:, watched])
    score = moved("scores", then.scores, now.scores)
    segments = shares("segments", then.segments, now.segments)
    periods = periods_of(scorer, now.rows, settled, rng)
    off = is_off(periods)
    verdict, reasons = judged(features, score, segments, periods if off else (), labels or {})
    return Watched(
        verdict,
        reasons,
        tuple(features),
        score,
        segments,
        changes(then.segments, now.segments),
        tuple(periods),
        off,
        len(then.rows),
        len(now.rows),
    )


def periods_of(
    scorer: Scorer, rows: Labelled, settled: np.ndarray[Any, np.dtype[np.bool_]], rng: np.random.Generator
) -> list[Period]:
    """Week by week what scores said and what came; an order says nothing that could come."""
    if scorer.task not in (CHANCE, VALUE) or not settled.any():
        return []
    scores = said(scorer, rows, as_shown(scorer.schema, rows))
    y = rows.y if scorer.task == VALUE else rows.y > 0
    return calibration_over_time(rows.at[settled], y[settled], scores[settled], rows.customers[settled], rng)


def is_off(periods: Sequence[Period]) -> bool:
    """Whether in both of the last two periods what was said lies to the same side of what came, clearly.

    One period in twenty lies outside of its interval by chance, two to the same side one time in eight hundred.
    """
    last = periods[-2:]
    apart = [one.expected - one.rate.value for one in last]
    same = len(last) == 2 and apart[0] * apart[1] > 0
    return same and all(
        not one.holds and abs(gap) > OFF * abs(one.rate.value) for one, gap in zip(last, apart, strict=True)
    )


def judged(
    features: Sequence[Move], score: Move, segments: Move, off: Sequence[Period], labels: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    """The worst of everything that can be told, and what speaks for it, the worst first."""
    whole = [(RANK[one.verdict], one, words) for one, words in ((score, SCORES), (segments, SEGMENTS))]
    # Of dozens of features some always move; that alone changes nothing as long as the scores stay.
    single = [(min(RANK[one.verdict], RANK[MOVING]), one, labels.get(one.name, one.name)) for one in features]
    every = [*whole, *((rank, one, f"the spread of “{label}” has") for rank, one, label in single)]
    said = [(rank, f"{words} moved (PSI {one.psi:.2f})") for rank, one, words in every if rank >= RANK[MOVING]]
    if off:
        last = off[-1]
        day = datetime.fromtimestamp(last.start / 1e6, UTC)
        said.insert(
            0, (RANK[MOVED], f"since {day:%Y-%m-%d} it says {last.expected:.4f} on average, and {last.rate} came of it")
        )
    worst = max([*(rank for rank, *_ in every), *(rank for rank, _ in said)])
    verdict = next(name for name, rank in RANK.items() if rank == worst)
    if verdict == UNTOLD:
        return UNTOLD, (f"nothing can be said yet: {ENOUGH} showings are needed on both sides",)
    return verdict, tuple(words for _, words in sorted(said, key=lambda pair: -pair[0]))[:TOLD]


def changes(then: Mapping[str, int], now: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Each segment's share of all memberships then and now, those that changed most first."""
    totals = max(sum(then.values()), 1), max(sum(now.values()), 1)
    both = {key: (then.get(key, 0) / totals[0], now.get(key, 0) / totals[1]) for key in {*then, *now}}
    ordered = sorted(both.items(), key=lambda pair: (-abs(pair[1][1] - pair[1][0]), pair[0]))
    return {key: (round(before, 6), round(after, 6)) for key, (before, after) in ordered[:TOLD]}
