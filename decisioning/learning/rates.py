"""A log of showings comes in; how often outcomes had followed each content and its like, as of any moment, comes out.

A rate counts showings and outcomes strictly before the moment, an outcome from when it happened and not from when its
content was shown. It is smoothed by empirical Bayes: the rate of all contents, then of one content (or of a text of its
attributes) over the whole log, then over ever shorter windows, each drawn towards the one before (see `shrinking`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.asof import ALWAYS, DAY, NEVER, Asked, Ints, Lists, Questions
from decisioning.learning.schema import Column
from decisioning.learning.shrinking import strength
from decisioning.learning.standing import SHOWN, Counts, overall
from decisioning.learning.traits import Traits

Floats = npt.NDArray[np.float64]
WINDOWS: Final = (ALWAYS, 30, 7)  # days, the longest first
FEWEST_OUTCOMES: Final = 30  # of a kind, else its rates say nothing


@dataclass(frozen=True)
class Log:
    """What was shown when and what followed, by showing: int64 arrays as long as there are showings.

    `content` is a position in `keys`, `at` microseconds since 1970 (UTC), `outcomes` {"click" or "conversion": when it
    first followed, `NEVER` where it did not}; `traits` are the texts of each of `keys`.
    """

    keys: Sequence[str]
    traits: Sequence[Traits]
    content: Ints
    customers: Ints
    at: Ints
    outcomes: Mapping[str, Ints]

    def before(self, moment: int) -> "Log":
        """What was known just before a moment: earlier showings, and what had followed by then."""
        kept = self.at < moment
        outcomes = {kind: np.where(when < moment, when, NEVER)[kept] for kind, when in self.outcomes.items()}
        return replace(
            self, content=self.content[kept], customers=self.customers[kept], at=self.at[kept], outcomes=outcomes
        )

    def counts(self, now: int, windows: Sequence[int] = WINDOWS) -> Counts:
        """How often each content was shown, and each outcome followed, in each window before a moment."""
        return {
            what: {days: self._counted(when, now, days) for days in windows}
            for what, when in {SHOWN: self.at, **self.outcomes}.items()
        }

    def _counted(self, when: Ints, now: int, days: int) -> dict[str, int]:
        inside = (when < now) & ((when >= now - days * DAY) if days else True)
        found = np.bincount(self.content[inside], minlength=len(self.keys)).tolist()
        return {key: count for key, count in zip(self.keys, found, strict=True) if count}


class Texts:
    """The texts of an attribute (contents themselves for ""), numbered, with the list of them for each content."""

    def __init__(self, log: Log, attribute: str) -> None:
        self.codes: dict[str, int] = {}
        own = [[key] for key in log.keys] if not attribute else [list(t.get(attribute, ())) for t in log.traits]
        self.lists = Lists([[self.codes.setdefault(text, len(self.codes)) for text in one] for one in own])


def rates_as_of(columns: Sequence[Column], log: Log, content: Ints, at: Ints) -> Floats:
    """(questions, columns) each rate as it stood just before the moment `at` of a content (position in `log.keys`)."""
    found = np.full((len(at), len(columns)), np.nan)
    questions = Questions(at, [log.at, *log.outcomes.values()], _windows(columns))
    everybody = questions.of(np.zeros_like(at))
    shown = everybody.back(_all(everybody, log.at))
    for attribute in dict.fromkeys(column.key for column in columns):
        texts = Texts(log, attribute)
        asked_at, codes = texts.lists.exploded(content)
        asked = questions.of(codes, asked_at)
        happened_at, whom = texts.lists.exploded(log.content)
        trials = asked.counts(whom, log.at[happened_at])
        for outcome in dict.fromkeys(column.outcome for column in columns if column.key == attribute):
            when = log.outcomes[outcome]
            start = overall(shown, everybody.back(_all(everybody, when)))[asked.rows]
            successes = asked.counts(whom, when[happened_at])
            for place, column in enumerate(columns):
                if (column.key, column.outcome) == (attribute, outcome):
                    values = asked.back(_smoothed(column, start, trials, successes))
                    found[:, place] = _means(values, asked_at, len(at))
    return found


def _windows(columns: Sequence[Column]) -> list[int]:
    return sorted({ALWAYS, *(days for column in columns for days in column.windows)})


def _all(asked: Asked, when: Ints) -> Floats:
    return asked.counts(np.zeros_like(when), when)[ALWAYS].astype(np.float64)


def _smoothed(column: Column, start: Floats, trials: Mapping[int, Ints], successes: Mapping[int, Ints]) -> Floats:
    rate = start
    for days, weight in zip(column.windows, column.strengths, strict=True):
        rate = (successes[days] + weight * rate) / (trials[days] + weight)
    return rate


def _means(values: Floats, at: Ints, size: int) -> Floats:
    """The mean of the values at each of `size` places; missing where there is none."""
    count = np.bincount(at, minlength=size)
    sums = np.bincount(at, values, size)
    return np.divide(sums, count, out=np.full(size, np.nan), where=count > 0)


def rate_columns(log: Log, attributes: Sequence[str], outcomes: Sequence[str]) -> list[Column]:
    """A column for each of these outcomes, of the content and of each attribute, in each window that the log fills."""
    if not len(log.at):
        return []
    span, now = int(log.at.max() - log.at.min()), int(log.at.max()) + 1
    windows = [days for days in WINDOWS if days == ALWAYS or days * DAY < span]
    counts = log.counts(now, windows)
    columns = []
    for outcome in outcomes:
        if int((log.outcomes[outcome] < now).sum()) >= FEWEST_OUTCOMES:
            for attribute in ("", *attributes):
                columns += _learned(log, counts, attribute, outcome, windows)
    return columns


def _learned(log: Log, counts: Counts, attribute: str, outcome: str, windows: Sequence[int]) -> list[Column]:
    """The columns of one attribute and outcome, each with the weights its rates are drawn with."""
    texts = Texts(log, attribute)
    start = overall(sum(counts[SHOWN][ALWAYS].values()), sum(counts[outcome][ALWAYS].values()))
    expected, strengths, columns = np.full(len(texts.codes), start), [], []
    name = f"{outcome}_rate" + (f"_of_{attribute}" if attribute else "")
    for place, days in enumerate(windows):
        trials, successes = (_by_text(log, texts, counts[what][days]) for what in (SHOWN, outcome))
        groups = zip(successes.tolist(), trials.tolist(), expected.tolist(), strict=True)
        strengths.append(round(strength(group for group in groups if group[1]), 3))
        expected = (successes + strengths[-1] * expected) / (trials + strengths[-1])
        called, looked = f"{name}_{days}d" if days else name, tuple(windows[: place + 1])
        columns.append(Column(called, "rate", attribute, outcome=outcome, windows=looked, strengths=tuple(strengths)))
    return columns


def _by_text(log: Log, texts: Texts, counts: Mapping[str, int]) -> Ints:
    of_content = np.array([counts.get(key, 0) for key in log.keys], np.int64)
    at, codes = texts.lists.exploded(np.arange(len(log.keys)))
    return np.bincount(codes, of_content[at], len(texts.codes)).astype(np.int64)
