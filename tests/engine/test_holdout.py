"""Who is held out is one draw a customer: the same everywhere and for ever, as many as the share says."""

from decisioning.engine.holdout import HELD, TREATED
from decisioning.engine.prepare import Prepared
from decisioning.engine.resolver import resolve
from decisioning.engine.types import Profile

from .builders import NOW, ask, placement, prepared

PEOPLE = [f"c-{number}" for number in range(2000)]


def held_out(site: Prepared, where: str = "hero") -> set[str]:
    found = set()
    for key in PEOPLE:
        resolution = resolve(site, ask(Profile(1, key, 1, {}), person=key, placement=where), NOW)
        assert (resolution.reason == "HOLDOUT") == (resolution.arms == (HELD,))
        if resolution.arms == (HELD,):
            found.add(key)
    return found


def site(share: float = 0.0, of_all: float = 0.0, draw: str = "1") -> Prepared:
    places = placement(holdout_share=share, defaults=("apple",)), placement(key="side")
    return prepared(placements=places, holdout_share=of_all, holdout_draw=draw)


def test_as_many_are_held_out_as_the_share_says() -> None:
    # Three standard deviations of a draw of 2,000 with chance 0.1 are 40; the draw is always the same.
    assert abs(len(held_out(site(share=0.1))) - 200) <= 40
    assert held_out(site()) == set()


def test_the_holdout_of_all_placements_is_the_same_people_in_each_and_part_of_every_larger_one() -> None:
    few = held_out(site(of_all=0.05))
    assert few and few == held_out(site(of_all=0.05), "side")
    assert few < held_out(site(share=0.2, of_all=0.05))
    assert few == held_out(site(share=0.01, of_all=0.05))
    assert held_out(site(share=0.2), "side") == set()


def test_another_draw_holds_out_other_people() -> None:
    first, second = held_out(site(share=0.1)), held_out(site(share=0.1, draw="2"))
    assert len(first & second) < len(first) / 2


def test_the_held_out_get_the_defaults_with_certainty_and_the_others_are_told_apart_from_those_outside_it() -> None:
    all_held = site(share=1.0)
    found = resolve(all_held, ask(), NOW)
    assert [(item.content.key, item.propensity, item.score) for item in found.items] == [("apple", 1.0, None)]
    assert (found.rung, found.arms, found.rules) == ("default", (HELD,), ())
    assert set(found.dropped.values()) == {"customer is in the holdout"}
    assert resolve(site(share=1e-9), ask(), NOW).arms == (TREATED,)
    assert resolve(site(), ask(), NOW).arms == ()


def test_who_is_outside_the_audience_is_on_neither_side() -> None:
    places = (placement(holdout_share=1.0, audience="vip = TRUE"),)
    found = resolve(prepared(placements=places), ask(), NOW)
    assert (found.reason, found.arms) == ("OUTSIDE_AUDIENCE", ())


def test_who_was_merged_stays_on_the_side_where_they_were_drawn() -> None:
    shop = site(share=0.3)
    for key in PEOPLE[:50]:
        before = resolve(shop, ask(Profile(1, key, 1, {}), person=key), NOW).arms
        after = resolve(shop, ask(Profile(1, "other", 1, {}, unit=key), person=key), NOW).arms
        assert before == after
