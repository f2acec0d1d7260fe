"""A scorer's customers move, its scores move, or what comes of them does: told apart from nothing having happened."""

import numpy as np
import pytest

from decisioning.learning.dataset import Labelled
from decisioning.learning.drift import DAY_US, Move, Period
from decisioning.learning.evaluation import Estimate
from decisioning.learning.live import as_shown
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.scorer import Logistic, Order
from decisioning.learning.watching import Side, changes, is_off, judged, watched

SCHEMA = FeatureSchema([Column("age", "fact", "age"), Column("place", "position", "place")])
SEGMENTS = {"new": 400, "old": 600}


def rows_of(age, y, position=None, days=28) -> Labelled:
    """A row a customer, spread over so many days."""
    n = len(age)
    places = np.ones(n, np.int64) if position is None else position
    X = np.column_stack([age, np.ones(n)]).astype(np.float32)
    at = np.sort(np.arange(n) * (days * DAY_US // n)).astype(np.int64)
    ids = np.arange(n, dtype=np.int64)
    return Labelled(X, y, ids, ("a",) * n, at, ids, places, np.full(n, np.nan), np.zeros(n), np.ones(n))


def people(
    seed: int, n: int = 2000, shift: float = 0.0, times: float = 1.0, position=None
) -> tuple[Labelled, np.ndarray]:
    """Customers whose chance rises with age; `times` as likely, and less so at lower places."""
    dice = np.random.default_rng(seed)
    age = dice.normal(40 + shift, 10, n)
    chance = np.clip(0.3 + 0.01 * (age - 40), 0.02, 0.95) * times
    if position is not None:
        chance = chance / position
    return rows_of(age, (dice.random(n) < chance).astype(np.int8), position), chance


@pytest.fixture(scope="module")
def scorer() -> Logistic:
    """Taught what comes of places one and two."""
    places = np.arange(6000) % 2 + 1
    rows, _ = people(1, 6000, position=places)
    return Logistic(SCHEMA).fit(as_shown(SCHEMA, rows), rows.y, rows.contents, rows.at)


def side(scorer, rows, segments=SEGMENTS) -> Side:
    return Side(rows, scorer.score(rows.X, SCHEMA.hash), segments)


def report(scorer, now, segments=SEGMENTS, settled=None):
    then, _ = people(2)
    known = np.ones(len(now), bool) if settled is None else settled
    return watched(
        scorer, side(scorer, then), side(scorer, now, segments), known, np.random.default_rng(0), {"age": "Age"}
    )


def test_the_same_kind_of_customers_is_steady(scorer):
    found = report(scorer, people(3)[0])
    assert (found.verdict, found.reasons, found.off) == ("steady", (), False)
    assert [one.name for one in found.features] == ["age"]  # the position stands still while serving
    assert len(found.periods) == 4


def test_older_customers_have_moved_and_that_is_said_in_words(scorer):
    found = report(scorer, people(3, shift=12)[0])
    assert found.verdict == "moved"
    assert found.reasons[0].startswith("the spread of the scores has moved (PSI ")
    assert found.reasons[1].startswith("the spread of “Age” has moved (PSI ")
    assert found.to_dict()["moved"] == 1


def test_features_that_move_while_the_scores_stay_are_no_alarm():
    away, stays = (
        Move(name, psi, 0.1, 0.0, verdict) for name, psi, verdict in (("a", 2.0, "moved"), ("b", 0.0, "steady"))
    )
    assert judged([away], stays, stays, (), {}) == ("moving", ("the spread of “a” has moved (PSI 2.00)",))
    assert judged([away], away, stays, (), {})[0] == "moved"
    assert judged([stays], stays, away, (), {})[0] == "moved"


def test_what_comes_of_the_scores_may_change_while_everybody_stays_the_same(scorer):
    found = report(scorer, people(3, times=0.6)[0])
    assert found.score.verdict == "steady" and found.off
    assert found.verdict == "moved"
    assert "it says 0." in found.reasons[0] and "came of it" in found.reasons[0]


def test_what_was_shown_further_down_is_held_against_what_it_says_of_that_place(scorer):
    lower = np.full(2000, 2)
    assert not report(scorer, people(3, position=lower)[0]).off


def test_outcomes_that_are_not_known_yet_are_not_held_against_it(scorer):
    rows = people(3)[0]
    half = rows.at < 14 * DAY_US
    rows.y[~half] = 0
    found = report(scorer, rows, settled=half)
    assert len(found.periods) == 2 and not found.off


def test_sizes_of_segments_count(scorer):
    found = report(scorer, people(3)[0], {"new": 900, "old": 100})
    assert found.segments.verdict == "moved" and "the sizes of the segments have moved" in found.reasons[0]
    assert found.to_dict()["shares"] == {"new": [0.4, 0.9], "old": [0.6, 0.1]}


def test_too_few_rows_tell_nothing(scorer):
    found = report(scorer, people(3, 50)[0], {})
    assert found.verdict == "unknown" and "200 showings are needed" in found.reasons[0]


def test_an_order_promises_no_rate(scorer):
    slates = np.repeat(np.arange(1000), 2)
    rows, _ = people(5)
    order = Order(SCHEMA).fit(rows.X, rows.y, rows.contents, rows.at, groups=slates)
    found = watched(order, side(order, rows), side(order, rows), np.ones(2000, bool), np.random.default_rng(0))
    assert found.periods == () and found.verdict == "steady"


@pytest.mark.parametrize(
    ("gaps", "off"),
    [
        ((0.1, 0.1), True),
        ((-0.1, -0.1), True),
        ((0.1, -0.1), False),
        ((0.1, 0.04), False),
        ((0.1,), False),
        ((0.1, 0.1, 0.0), False),
    ],
)
def test_two_periods_to_the_same_side_and_out_of_their_intervals_are_no_chance(gaps, off):
    periods = [Period(week, 500, Estimate(0.3, 0.25, 0.35), 0.3 + gap) for week, gap in enumerate(gaps)]
    assert is_off(periods) == off


def test_a_gap_that_only_many_rows_tell_is_none():
    periods = [Period(week, 10**6, Estimate(0.3, 0.299, 0.301), 0.32) for week in (1, 2)]
    assert not is_off(periods)


def test_changes_of_segments_come_largest_first():
    assert list(changes({"a": 50, "b": 50}, {"a": 40, "b": 40, "c": 20})) == ["c", "a", "b"]
