"""Credits of conversions: what every model keeps, the axioms of the Shapley value, and journeys counted by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.learning.attribution import (
    MODELS,
    MOST_PLAYERS,
    MOST_TOUCHES,
    Conversion,
    Report,
    Touch,
    shapley_values,
    shares,
)
from tests.examples import examples

HOUR = 3600.0
CHANNELS = "abcd"
touches = st.lists(st.tuples(st.sampled_from(CHANNELS), st.integers(0, 10_000)), min_size=1, max_size=8).map(
    lambda found: [Touch(name, at * HOUR) for name, at in sorted(found, key=lambda one: one[1])]
)
journeys = st.lists(st.tuples(touches, st.integers(0, 1000)), max_size=8)


def path(names: str) -> list[Touch]:
    return [Touch(name, number * HOUR) for number, name in enumerate(names)]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("last", {"a": 0, "b": 0, "c": 1}),
        ("first", {"a": 1, "b": 0, "c": 0}),
        ("linear", {"a": 0.5, "b": 0.25, "c": 0.25}),
        ("position", {"a": 0.6, "b": 0, "c": 0.4}),
        ("shapley", {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}),
    ],
)
def test_a_path_is_credited_as_each_model_says(model, expected):
    names = "aac" if model == "position" else "abac"
    found = shares(model, path(names))
    assert {name: found.get(name, 0) for name in "abc"} == pytest.approx(expected)


def test_a_touch_one_half_life_older_gets_half_as_much():
    assert shares("decay", [Touch("a", 0), Touch("b", 10 * HOUR)], 10) == pytest.approx({"a": 1 / 3, "b": 2 / 3})


def test_touches_long_ago_still_share_a_conversion():
    assert shares("decay", [Touch("a", 0), Touch("b", 0)], 0.001) == pytest.approx({"a": 0.5, "b": 0.5})


@examples(100)
@given(touches)
def test_every_model_gives_out_exactly_one_conversion_and_nothing_negative(found):
    for model in MODELS:
        parts = shares(model, found)
        assert math.fsum(parts.values()) == pytest.approx(1)
        assert min(parts.values()) >= 0
        assert set(parts) == {touch.channel for touch in found}


@examples(100)
@given(journeys)
def test_credits_of_a_report_sum_to_what_was_converted(found):
    report = Report()
    for path_, value in found:
        report.take([*path_, Conversion(path_[-1].at, value)])
    for model in MODELS:
        assert math.fsum(report.values[model].values()) == pytest.approx(sum(value for _, value in found))
        assert math.fsum(report.conversions[model].values()) == pytest.approx(len(found))


def game(found):
    """A coalition is worth what converted with no channel but its own."""
    paths = [({touch.channel for touch in path_}, value) for path_, value in found]
    return lambda some: float(sum(value for names, value in paths if names <= some))


@examples(100)
@given(journeys)
def test_the_closed_form_is_the_shapley_value_by_brute_force(found):
    report = Report()
    for path_, value in found:
        report.take([*path_, Conversion(path_[-1].at, value)])
    exact = shapley_values(CHANNELS, game(found))
    assert {name: report.values["shapley"].get(name, 0) for name in CHANNELS} == pytest.approx(exact)


@examples(100)
@given(st.dictionaries(st.frozensets(st.sampled_from("abc"), min_size=1), st.integers(-50, 50)))
def test_shapley_values_are_efficient_symmetric_and_give_nothing_to_who_adds_nothing(worths):
    def worth(some):
        return float(worths.get(some & {"a", "b", "c"}, 0))

    found = shapley_values(["a", "b", "c", "null"], worth)
    assert math.fsum(found.values()) == pytest.approx(worth(frozenset("abc")))
    assert found["null"] == pytest.approx(0)
    swapped = {"a": "b", "b": "a"}
    mirrored = shapley_values(
        ["a", "b", "c", "null"], lambda some: worth(frozenset(swapped.get(name, name) for name in some))
    )
    assert (mirrored["a"], mirrored["b"]) == pytest.approx((found["b"], found["a"]))


def test_too_many_players_are_refused_with_the_cure():
    with pytest.raises(ValueError, match="closed form"):
        shapley_values([str(number) for number in range(MOST_PLAYERS + 1)], len)


def test_a_closed_window_leaves_a_conversion_unattributed_and_counted():
    report = Report()
    report.take([Touch("a", 0, 10), Conversion(11, 5)])
    report.take([Conversion(3, 2)])
    assert (report.unattributed, report.unattributed_value, report.attributed) == (2, 7, 0)
    assert report.conversions["linear"] == {}


def test_only_what_came_before_may_claim_a_conversion():
    report = Report()
    report.take([Touch("a", 0), Conversion(1, 1), Touch("b", 2), Conversion(3, 1)])
    assert report.values["last"] == {"a": 1, "b": 1}
    assert report.values["first"] == {"a": 2, "b": 0}
    assert report.channels() == ["a", "b"]


def test_of_a_robot_only_the_newest_touches_are_held():
    report = Report()
    report.take([*[Touch("old", 0)] * 5, *[Touch("new", 1)] * MOST_TOUCHES, Conversion(2, 1)])
    assert report.values["first"] == {"new": 1}
    assert report.touched == {"old": 5, "new": MOST_TOUCHES}
