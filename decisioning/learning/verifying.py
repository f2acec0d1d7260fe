"""An artefact and its golden rows come in; whether it can be put to work, and how fast it answers, comes out.

Run as `python -m decisioning.learning.verifying`, in a process of its own: a truncated LightGBM text aborts the process
that reads it. Standard input is the `Question` as JSON, standard output the `Finding`. It imports no Django, so that it
starts quickly and reaches no database.

Golden rows are inputs with the scores that the scorer gave them when it was trained. Whatever changed on the way, such
as the order of columns, which nothing else would notice, gives other scores.
"""

import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from decisioning.learning.features import Content, Facts
from decisioning.learning.scorer import Scorer

RUNS: Final = 25
TOLERANCE: Final = 1e-9
PARTS: Final = ("key", "name", "attributes", "tags", "value")
RANGES: Final = {"chance": (0.0, 1.0), "value": (0.0, math.inf)}


class Golden(msgspec.Struct, frozen=True):
    """Facts of some customers, contents, and the score of every customer with every content."""

    facts: list[dict[str, Any]] = []
    contents: list[dict[str, Any]] = []
    scores: list[list[float]] = []


class Question(msgspec.Struct, frozen=True):
    """The artefact's text (JSON), what it must score, and the milliseconds of the processor a decision may take."""

    artefact: str
    golden: Golden
    milliseconds: float


class Finding(msgspec.Struct, frozen=True):
    """`reason` says in words why it cannot be used; nothing when it can. `milliseconds` is the median of a decision."""

    reason: str
    milliseconds: float = 0.0


@dataclass(frozen=True)
class Thing:
    """A content as golden rows hold it."""

    key: str
    name: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    value: float = 1.0


def golden(scorer: Scorer, facts: Iterable[Facts], contents: Sequence[Content]) -> Golden:
    """Rows to remember: of each customer only what the scorer reads, and somebody of whom nothing is known."""
    known = read_by(scorer)
    some = [{name: value for name, value in each.items() if name in known} for each in facts]
    kept = [{part: getattr(content, part) for part in PARTS if hasattr(content, part)} for content in contents]
    plain = msgspec.json.decode(msgspec.json.encode(Golden([*some, {}], kept)), type=Golden)
    things = things_of(plain)
    scores = [scorer.score_contents(each, things) for each in plain.facts]
    return Golden(plain.facts, plain.contents, scores)


def read_by(scorer: Scorer) -> set[str]:
    """The names that it looks up among a customer's facts and the context."""
    return {*(c.key for c in scorer.schema.columns), *scorer.schema.cross_facts, *scorer.treatment.reads}


def things_of(rows: Golden) -> list[Thing]:
    """The contents of golden rows."""
    return [Thing(**{**content, "tags": tuple(content.get("tags", ()))}) for content in rows.contents]


def find(question: Question) -> Finding:
    """Read the artefact, score the golden rows, and time it. A process that dies instead has answered too."""
    try:
        scorer = Scorer.from_artefact(question.artefact.encode())
        things = things_of(question.golden) or [Thing("any")]
        asked = question.golden.facts or [{}]
        found = [scorer.score_contents(facts, things) for facts in asked]
    except ValueError as error:
        return Finding(str(error))
    if reason := wrong(found, question.golden.scores, scorer.task):
        return Finding(reason)
    took = milliseconds(scorer, asked[0], things)
    if took > question.milliseconds:
        return Finding(f"it takes {took:.2f} ms for {len(things)} contents; {question.milliseconds:g} ms may be", took)
    return Finding("", took)


def wrong(found: Sequence[Sequence[float]], expected: Sequence[Sequence[float]], task: str) -> str:
    """What is wrong with scores, in words."""
    low, high = RANGES.get(task, (-math.inf, math.inf))
    for row, remembered in zip(found, expected or found, strict=True):
        for score, before in zip(row, remembered, strict=True):
            if not math.isfinite(score):
                return "it gives a score that is no number"
            if not low <= score <= high:
                return f"it gives the score {score:g}, outside of {low:g} to {high:g}"
            if not math.isclose(score, before, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
                return f"it scores its golden rows otherwise than when it was trained ({score:g}, then {before:g})"
    return ""


def milliseconds(scorer: Scorer, facts: Facts, contents: Sequence[Content]) -> float:
    """The median time of the processor for one decision, so that a busy machine changes nothing."""
    taken = []
    for _ in range(RUNS):
        started = time.process_time()
        scorer.score_contents(facts, contents)
        taken.append(1000 * (time.process_time() - started))
    return sorted(taken)[RUNS // 2]


def main() -> None:
    """From standard input to standard output."""
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    sys.stdout.buffer.write(msgspec.json.encode(find(question)))


if __name__ == "__main__":
    main()
