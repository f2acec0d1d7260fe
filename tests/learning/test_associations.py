"""What others chose beside the same: as a list would find it, of no later knowledge, and worth something."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from decisioning.learning.asof import DAY, NEVER
from decisioning.learning.associating import associations_as_of, learn_associations, told_by, touches_of
from decisioning.learning.associations import UNKNOWN, Associations
from decisioning.learning.dataset import known_by
from decisioning.learning.history import Extras, log_of
from decisioning.learning.nearest import Nearest, strongest
from decisioning.learning.rates import Log
from decisioning.learning.recall import LATER, PEOPLE, TASTES, TOGETHER
from decisioning.learning.training import Ingredients, backtest

from .cinema import FILMS, OPENING, slates
from .shop import Offer

KEYS = [f"c{n}" for n in range(12)]
NAMES = (PEOPLE, TASTES)


@pytest.fixture(scope="module")
def lists() -> Associations:
    dice = np.random.default_rng(1)
    return Associations(KEYS, {name: made_up(dice) for name in NAMES})


def made_up(dice: np.random.Generator) -> Nearest:
    """Up to four near ones of every content, none of the last two."""
    sizes = [*dice.integers(1, 5, len(KEYS) - 2).tolist(), 0, 0]
    others = [dice.choice(len(KEYS), size, replace=False).astype(np.int32) for size in sizes]
    scores = dice.random(sum(sizes)).round(6)
    return Nearest(np.cumsum([0, *sizes]), np.concatenate(others), scores)


def summed(one: Nearest, clicked: tuple[str, ...], place: int) -> float:
    """Written down once more: what the list finds the content by."""
    seeds = [(KEYS.index(key), LATER**age) for age, key in enumerate(clicked) if key in KEYS]
    if place == UNKNOWN or all(one.of(seed).start == one.of(seed).stop for seed, _ in seeds):
        return float("nan")
    found = 0.0
    for seed, weight in seeds:
        near = dict(zip(one.others[one.of(seed)].tolist(), one.scores[one.of(seed)].tolist(), strict=True))
        found += weight * near.get(place, 0.0)
    return round(found, 6)


CLICKED = [("c0", "c3", "c1"), (), ("c11",), ("gone", "c2"), ("c10", "c5", "c0"), ("gone",)]
PLACES = np.array([0, 4, UNKNOWN, 7, 11], np.int64)


def test_a_content_is_as_near_as_a_list_would_find_it_for_one_and_for_all(lists):
    expected = np.array([[[summed(lists.lists[n], one, place) for n in NAMES] for place in PLACES] for one in CLICKED])
    assert (expected > 0).sum() > 5
    assert np.isnan(expected[1]).all()
    assert (expected[0] == 0).any(), "what is not near is not missing"
    for clicked, theirs in zip(CLICKED, expected, strict=True):
        np.testing.assert_array_equal(lists.of(NAMES, clicked, PLACES), theirs)
    np.testing.assert_array_equal(lists.everybody(NAMES, CLICKED, PLACES), expected)
    who, which = (np.repeat(np.arange(len(CLICKED)), len(PLACES)), np.tile(PLACES, len(CLICKED)))
    mixed = np.random.default_rng(2).permutation(len(who))
    np.testing.assert_array_equal(
        lists.paired(NAMES, CLICKED, who[mixed], which[mixed]), expected.reshape(-1, len(NAMES))[mixed]
    )


def test_stored_lists_come_back_equal_and_damaged_ones_not_at_all(lists):
    stored = lists.to_dict()
    again = Associations.from_dict(stored)
    np.testing.assert_array_equal(again.everybody(NAMES, CLICKED, PLACES), lists.everybody(NAMES, CLICKED, PLACES))
    broken = {
        **stored,
        "lists": {PEOPLE: {**stored["lists"][PEOPLE], "others": [12] * len(lists.lists[PEOPLE].others)}},
    }
    with pytest.raises(ValueError, match=r"people.*damaged; train the scorer again"):
        Associations.from_dict(broken)
    with pytest.raises(ValueError, match="damaged"):
        Associations.from_dict({**stored, "keys": stored["keys"][:-1]})


def test_only_the_nearest_travel_with_a_scorer():
    one = Nearest(np.array([0, 3, 5]), np.array([1, 2, 3, 0, 2], np.int32), np.array([0.9, 0.5, 0.1, 0.7, 0.2]))
    assert strongest(one, 2, 99, 6).others.tolist() == [1, 2, 0, 2]
    cut = strongest(one, 2, 3, 6)
    assert (cut.starts.tolist(), cut.others.tolist(), cut.scores.tolist()) == ([0, 1, 2], [1, 0], [0.9, 0.7])
    assert strongest(one, 9, 9, 1).scores.tolist() == [0.9, 0.5, 0.1, 0.7, 0.2]


def bought(orders: list[list[int]]) -> Log:
    """One customer an order; every second content of it was clicked before."""
    rows = [(who, what) for who, order in enumerate(orders) for what in order]
    customers, contents = (np.array(part, np.int64) for part in zip(*rows, strict=True))
    at = customers * DAY
    clicks = np.where(np.arange(len(rows)) % 2 == 0, at + 1, NEVER)
    return Log(KEYS, [{}] * len(KEYS), contents, customers, at, {"click": clicks, "conversion": at + 5})


def test_what_one_customer_bought_at_one_moment_is_an_order():
    log = bought([[0, 1]] * 30 + [[2, 3]] * 40 + [[4]])
    touches = touches_of(log)
    lists = learn_associations(KEYS, touches, (TOGETHER,), NEVER)
    near = lists.of((TOGETHER,), ("c0",), np.arange(4))[:, 0]
    assert near[1] > 0
    assert near[[0, 2, 3]].tolist() == [0, 0, 0]
    assert np.isnan(lists.of((TOGETHER,), ("c4",), np.arange(4))).all(), "was bought alone"


def test_lists_that_nobody_could_learn_anything_from_make_no_column():
    assert told_by(touches_of(bought([[0, 1]] * 29 + [[2]] * 50))) == ()
    assert told_by(touches_of(bought([[0, 1]] * 30))) == (PEOPLE, TASTES, TOGETHER)
    clicked = bought([[0, 1]] * 30)
    alone = replace(clicked, outcomes={"click": clicked.at + 1, "conversion": np.full_like(clicked.at, NEVER)})
    assert told_by(touches_of(alone)) == (PEOPLE, TASTES)


def test_of_a_large_catalogue_those_touched_most_are_compared(monkeypatch):
    log = bought([[0, 1]] * 40 + [[2, 3]] * 35 + [[4, 5]] * 30 + [[0, 6]])
    whole = learn_associations(KEYS, touches_of(log), (PEOPLE, TASTES, TOGETHER), NEVER)
    monkeypatch.setattr("decisioning.learning.associating.MOST_CONTENTS", 4)
    some = learn_associations(KEYS, touches_of(log), (PEOPLE, TOGETHER), NEVER)
    assert (whole.keys, some.keys) == (tuple(KEYS), ("c0", "c1", "c2", "c4"))
    clicks = [("c0", "c6"), ("c1",), ("c3",)]
    known = some.everybody((PEOPLE,), clicks, np.array([0, 1, 2, 3, UNKNOWN]))
    np.testing.assert_array_equal(known[:2, :2], whole.everybody((PEOPLE,), [("c0",), ("c1",)], np.arange(2)))
    assert known[0, 1] > 0
    assert np.isnan(known[2]).all() and np.isnan(known[:, 4]).all(), "what is not among them is unknown"
    at, which = log.at + 10, log.content
    found = associations_as_of((PEOPLE,), log, clicks, np.zeros(len(at), np.int64), which, at)[:, 0]
    assert np.isnan(found[np.isin(which, [3, 5, 6])][-30:]).all()
    assert np.nanmax(found) > 0


def test_each_span_of_time_is_told_by_lists_of_its_beginning():
    log = log_of(known_by(slates(), OPENING + timedelta(days=60)), FILMS)
    at, which = log.at, log.content
    clicked, who = [("film-00", "film-05")], np.zeros(len(at), np.int64)
    found = associations_as_of((PEOPLE,), log, clicked, who, which, at)[:, 0]
    starts = np.unique(at[np.arange(8) * len(at) // 8])
    touches = touches_of(log)
    for start, end in zip(starts, [*starts[1:], NEVER], strict=True):
        rows = (at >= start) & (at < end)
        lists = learn_associations(log.keys, touches, (PEOPLE,), int(start))
        expected = lists.paired((PEOPLE,), clicked, who[rows], which[rows])[:, 0]
        np.testing.assert_array_equal(found[rows], expected)
    assert np.isnan(found[at < starts[1]]).all(), "nobody had clicked anything"
    last = learn_associations(log.keys, touches, (PEOPLE,), NEVER).paired((PEOPLE,), clicked, who, which)[:, 0]
    assert not np.array_equal(found[at >= starts[-1]], last[at >= starts[-1]]), "the last span must not know itself"


def hidden_tastes(people: int = 250, contents: int = 80) -> pl.DataFrame:
    """Everybody likes one content in four, by a taste that nothing tells but what they clicked before."""
    dice = np.random.default_rng(7)
    rows = []
    for group in range(people * 8):
        at, person = OPENING + timedelta(minutes=30 * group), group % people
        for n in dice.choice(contents, 5, replace=False).tolist():
            liked = dice.random() < (0.7 if n % 4 == person % 4 else 0.05)
            rows.append((person, f"c{n:02}", at, at + timedelta(minutes=9), at if liked else None, group))
    names = ["customer_id", "content_key", "shown_at", "closes_at", "clicked_at", "group"]
    stamped = pl.DataFrame(rows, names, orient="row").with_columns(
        pl.col("shown_at", "closes_at", "clicked_at").cast(pl.Datetime("us", "UTC")), facts=pl.lit("{}")
    )
    return stamped.with_columns(converted_at=pl.lit(None, pl.Datetime("us", "UTC")))


def test_tastes_that_no_attribute_tells_are_learned_from_what_others_chose():
    frame = hidden_tastes()
    contents = [Offer(f"c{n:02}", {}) for n in range(80)]
    split = frame["shown_at"][frame.height * 2 // 3]
    found = {}
    for known in (False, True):
        parts = Ingredients({}, {}, contents, extras=Extras(rates=("click",), likeness=True, associations=known))
        found[known] = backtest(frame, parts, split, baseline="click_rate", objective="click").auc
    assert found[False].high < 0.6
    assert found[True].low > 0.7
