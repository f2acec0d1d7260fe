"""Circles of traits and conditions are found before they are saved, however long the way is."""

import pytest

from campaigns.loops import circle_by_condition, circle_by_reaction
from campaigns.models import Reaction
from rules.models import Segment

pytestmark = pytest.mark.django_db


def segment(key: str, condition: str, **fields: object) -> Segment:
    return Segment.objects.create(key=key, name=key.title(), condition=condition, **fields)


def sets(one: Segment, trait: str, active: bool = True) -> Reaction:
    return Reaction.objects.create(segment=one, kind="trait", trait=trait, value=True, active=active)


@pytest.mark.parametrize(
    "condition",
    [
        "tier = 1",
        "NOT (orders > 1 AND tier IS MISSING)",
        "orders > tier",
        "trait_tier = 1",
        "tier.level = 3",
        "LAST(identify.tier) = 1",
        "COUNT(identify) >= 2",
    ],
)
def test_a_condition_that_reads_the_trait_closes_the_circle(condition: str) -> None:
    assert circle_by_reaction(segment("a", condition), "tier")


@pytest.mark.parametrize("condition", ["orders = 1", 'name = "tier"', "COUNT(tier) > 1", "tiers = 1", ""])
def test_one_that_does_not_is_fine(condition: str) -> None:
    assert circle_by_reaction(segment("a", condition), "tier") is None


def test_a_circle_through_a_nested_segment_is_found_and_told() -> None:
    inner = segment("inner", "tier = 1")
    outer = segment("outer", 'customer_segment = "inner" AND orders > 1')
    said = circle_by_reaction(outer, "tier")
    assert said is not None
    assert "Outer sets “tier”, which Inner reads; Outer asks for Inner." in said
    assert circle_by_reaction(inner, "level") is None


def test_a_circle_through_other_reactions_is_found() -> None:
    first, second = segment("first", "level = 1"), segment("second", "tier = 1")
    assert circle_by_reaction(first, "tier") is None
    reaction = sets(second, "level")
    said = circle_by_reaction(first, "tier")
    assert said is not None
    assert "First sets “tier”, which Second reads; Second sets “level”, which First reads." in said
    Reaction.objects.filter(pk=reaction.pk).update(active=False)
    assert circle_by_reaction(first, "tier") is None


def test_circles_that_others_are_in_already_are_not_this_ones() -> None:
    one, two = segment("one", "x = 1"), segment("two", "y = 1")
    sets(one, "y")
    sets(two, "x")
    assert circle_by_reaction(segment("three", "z = 1"), "x") is None


def test_a_condition_that_would_close_a_circle_is_found_too() -> None:
    one = segment("one", "orders = 1")
    sets(one, "tier")
    assert circle_by_condition(one) is None
    one.condition = "tier = 1"
    assert "its own condition reads" in str(circle_by_condition(one))


def test_lists_clusters_and_texts_that_no_longer_parse_read_nothing() -> None:
    segment("odd", "tier = = 1")
    segment("file", "tier = 1", kind="list")
    assert circle_by_reaction(segment("a", "orders = 1"), "tier") is None
