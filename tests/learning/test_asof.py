"""Counts as of a moment: strictly before it, equal to counting by hand, whatever the keys, ties and windows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from decisioning.learning.asof import ALWAYS, DAY, NEVER, Lists, Questions
from tests.examples import examples

MOMENTS = st.integers(0, 12).map(lambda n: n * DAY // 2)
EVENTS = st.lists(st.tuples(st.integers(0, 3), MOMENTS | st.just(NEVER)), max_size=30)
ASKED = st.lists(st.tuples(st.integers(0, 3), MOMENTS), min_size=1, max_size=20)


def columns(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    keys, at = zip(*pairs, strict=True) if pairs else ((), ())
    return np.array(keys, np.int64), np.array(at, np.int64)


def by_hand(events: list[tuple[int, int]], key: int, moment: int, days: int) -> int:
    since = moment - days * DAY if days else -1
    return sum(who == key and since <= at < moment for who, at in events)


@examples(150)
@given(EVENTS, ASKED)
def test_each_question_is_answered_as_if_counted_by_hand(events, asked):
    keys, at = columns(asked)
    whom, when = columns(events)
    about = Questions(at, [when], (ALWAYS, 2, 5)).of(keys)
    found = about.counts(whom, when)
    for days in (ALWAYS, 2, 5):
        expected = [by_hand(events, key, moment, days) for key, moment in asked]
        assert about.back(found[days].astype(float)).tolist() == expected


def test_some_questions_may_be_asked_about_several_keys_each():
    at = np.array([DAY, 3 * DAY], np.int64)
    whom, when = np.array([0, 1, 1]), np.array([0, 0, 2 * DAY])
    about = Questions(at, [when], (ALWAYS,)).of(np.array([0, 1, 1]), np.array([0, 0, 1]))
    assert about.back(about.counts(whom, when)[ALWAYS].astype(float)).tolist() == [1, 1, 2]


def test_keys_beyond_two_bytes_are_told_apart():
    keys = np.array([0, 2**16, 2**17 + 1])
    about = Questions(np.full(3, DAY), [np.zeros(3, np.int64)], (ALWAYS,)).of(keys)
    assert about.back(about.counts(keys, np.zeros(3, np.int64))[ALWAYS].astype(float)).tolist() == [1, 1, 1]


def test_nothing_ever_happened_before_the_first_event():
    nothing = np.array([], np.int64)
    about = Questions(np.array([0, DAY]), [nothing], (ALWAYS, 7)).of(np.array([0, 1]))
    assert {days: found.tolist() for days, found in about.counts(nothing, nothing).items()} == {0: [0, 0], 7: [0, 0]}


def test_lists_are_laid_end_to_end_and_found_again():
    lists = Lists([[3, 4], [], [5]])
    at, values = lists.exploded(np.array([2, 0, 1, 0]))
    assert at.tolist() == [0, 1, 1, 3, 3]
    assert values.tolist() == [5, 3, 4, 3, 4]
