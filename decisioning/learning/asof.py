"""Moments at which something happened to somebody come in; how often it had, strictly before other moments, comes out.

Events and questions are sorted once by whom they are about and when, so that a question is two steps of a search that
walks through the events once: a million questions take a tenth of a second. Moments are whole microseconds since 1970
(UTC), `NEVER` for what did not happen.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
NEVER: Final = np.iinfo(np.int64).max
DAY: Final = 86_400_000_000
ALWAYS: Final = 0  # days: as far back as there is anything
SMALL: Final = 2**16


class Questions:
    """Who is asked about, at which moments, and how many days back: what many counts are answered for.

    `at` int64 (questions,). `windows` are numbers of days, `ALWAYS` for all there is. Moments are ranked among all
    those at which any of `events` (arrays of moments) happened, once for all counts.
    """

    def __init__(self, at: Ints, events: Sequence[Ints], windows: Sequence[int]) -> None:
        self.windows = tuple(windows)
        self.moments = np.unique(np.concatenate([one[one != NEVER] for one in events])) if events else at[:0]
        self.width = len(self.moments) + 1
        self.until = np.searchsorted(self.moments, at)
        self.since = {days: np.searchsorted(self.moments, at - days * DAY) for days in self.windows if days != ALWAYS}

    def of(self, keys: Ints, rows: Ints | None = None) -> "Asked":
        """The same questions about `keys` ≥ 0, one a question; or of some `rows` (positions of questions) alone."""
        return Asked(self, keys, rows)


class Asked:
    """Questions about somebody, in the order in which answers are found: by key, then by moment."""

    def __init__(self, questions: Questions, keys: Ints, rows: Ints | None) -> None:
        until = questions.until if rows is None else questions.until[rows]
        self.questions = questions
        self.order = np.argsort(_small(keys) if _in_order(until) else keys * questions.width + until, kind="stable")
        self.rows = self.order if rows is None else rows[self.order]
        self.base = keys[self.order] * questions.width

    def counts(self, keys: Ints, at: Ints) -> dict[int, Ints]:
        """{days: how many of these events each question's key had in so many days before}; in the order of answers.

        An event at the question's moment itself does not count, one just so many days before it does.
        """
        happened = at != NEVER
        ranks = np.searchsorted(self.questions.moments, at[happened])
        events = np.sort(keys[happened] * self.questions.width + ranks)
        until = np.searchsorted(events, self.base + self.questions.until[self.rows])
        found = {}
        for days in self.questions.windows:
            start = 0 if days == ALWAYS else self.questions.since[days][self.rows]
            found[days] = until - np.searchsorted(events, self.base + start)
        return found

    def back(self, answers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Answers in the order in which the questions were asked."""
        found = np.empty_like(answers)
        found[self.order] = answers
        return found


def _in_order(ranks: Ints) -> bool:
    return bool((ranks[1:] >= ranks[:-1]).all())


def _small(keys: Ints) -> npt.NDArray[np.uint16] | Ints:
    """Numbers below 65,536 as such: they are sorted by counting them, in a tenth of the time."""
    return keys.astype(np.uint16) if len(keys) and keys.max() < SMALL else keys


class Lists:
    """Lists of small numbers, one a content, laid end to end: `values`, and where each starts and how long it is."""

    def __init__(self, lists: Sequence[Sequence[int]]) -> None:
        self.lengths = np.array([len(one) for one in lists], np.int64)
        self.values = np.array([value for one in lists for value in one], np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths

    def exploded(self, which: Ints) -> tuple[Ints, Ints]:
        """(positions in `which`, values): each of `which` as often as its list has values, in its order."""
        lengths = self.lengths[which]
        at = np.repeat(np.arange(len(which)), lengths)
        within = np.arange(len(at)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return at, self.values[np.repeat(self.starts[which], lengths) + within]
