"""Candidate lists: what each is made of, that nothing of the future is in them, and what a decision reads of them."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.learning import recalling
from decisioning.learning.asof import DAY
from decisioning.learning.evaluation import Estimate
from decisioning.learning.factors import by_taste
from decisioning.learning.nearest import Nearest, gathered, nothing
from decisioning.learning.packing import packed, unpacked
from decisioning.learning.popularity import popularity
from decisioning.learning.recall import (
    ALIKE,
    ANSWERS,
    LISTS,
    NEAR,
    PEOPLE,
    POPULAR,
    TASTES,
    TOGETHER,
    UPSELL,
    Recall,
    Start,
    merged,
    summed,
)
from decisioning.learning.together import by_orders, by_people
from decisioning.learning.touches import BOUGHT, CLICKED, NO_BASKET, VIEWED, Touches
from decisioning.learning.upsell import that_earn_more
from tests.examples import examples

NOW = 1_000 * DAY


@dataclass
class Thing:
    """A content, with its worth."""

    key: str
    attributes: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    value: float = 1.0
    margin: float | None = None


def touches(size: int, told: list[tuple[int, int, int, int, int]], **more: Any) -> Touches:
    """Each told as (customer, content, kind, moment, order)."""
    columns = np.array(told, np.int64).reshape(-1, 5).T
    return Touches(size, *columns, **more)


def bought(size: int, *orders: tuple[int, ...], at: int = NOW - DAY) -> Touches:
    """Each order by a customer of its own."""
    rows = [(number, content, BOUGHT, at, number) for number, one in enumerate(orders) for content in one]
    return touches(size, rows)


def tie(size: int) -> Any:
    return np.zeros(size)


def near(found: Nearest, content: int) -> list[int]:
    return found.others[found.of(content)].tolist()


# Two tastes: contents 0-4 and 5-9. Everybody touches four of one, and 40 people are of each.
WORLDS = touches(
    10,
    [
        (person, 5 * (person % 2) + (person // 2 + step) % 5, VIEWED, NOW - (person % 50) * DAY - step, NO_BASKET)
        for person in range(80)
        for step in range(1, 5)
    ],
)
THINGS = [Thing(f"c{n}", {"taste": "salt" if n < 5 else "sweet"}, value=float(n + 1)) for n in range(10)]


@pytest.fixture(scope="module")
def lists() -> Recall:
    return recalling.learn(WORLDS, THINGS, {"likes": ["Salt", "SWEET"], "name": ["Ann", "salt", "Bob"]}, NOW)


def everywhere(lists: Recall) -> Any:
    return np.ones(len(lists.keys), np.bool_)


def chosen(lists: Recall, *names: str, fewest: int = 0, here: Any = None, **start: Any) -> list[int]:
    here = everywhere(lists) if here is None else here
    popular = lists.order[here[lists.order]]
    return lists.choose(names, Start(**start), here, popular, fewest).tolist()


@pytest.mark.parametrize("name", [TASTES, PEOPLE, ALIKE])
def test_who_chose_one_thing_is_led_to_the_others_of_that_taste(lists, name):
    assert set(near(lists.near[name], 0)[:4]) == {1, 2, 3, 4}
    assert set(near(lists.near[name], 7)[:4]) == {5, 6, 8, 9}


@pytest.mark.parametrize("poison", [0, 1, 30 * DAY])
def test_what_happens_from_the_moment_on_changes_nothing(lists, poison):
    rows = [(person, (7 * person) % 10, BOUGHT, NOW + poison, person) for person in range(500)]
    future = touches(10, rows)
    both = Touches(
        10,
        *(
            np.concatenate([getattr(WORLDS, name), getattr(future, name)])
            for name in ("customers", "contents", "kinds", "at", "baskets")
        ),
        names=("device=tv",),
        rows=np.arange(len(WORLDS.at), len(WORLDS.at) + 500),
        groups=np.zeros(500, np.int64),
    )
    answers = {"likes": ["Salt", "SWEET"], "name": ["Ann", "salt", "Bob"]}
    assert recalling.learn(both, THINGS, answers, NOW).to_artefact() == lists.to_artefact()


def test_the_trial_asks_only_for_what_came_after_what_it_learned_from():
    early = WORLDS.where(WORLDS.at < NOW - 10 * DAY)
    late = touches(10, [(person, 5 * (person % 2), VIEWED, NOW - DAY, NO_BASKET) for person in range(80)])
    both = Touches(
        10,
        *(
            np.concatenate([getattr(early, name), getattr(late, name)])
            for name in ("customers", "contents", "kinds", "at", "baskets")
        ),
    )
    found = recalling.trial(both, THINGS, NOW)
    assert found.customers > 0
    assert found.lists[PEOPLE].among_all == 1.0
    assert found.lists[TOGETHER].among_all == 0.0
    assert recalling.trial(both, THINGS, 0) == recalling.Trial()


def test_the_trial_learns_nothing_of_what_it_asks_for():
    # Only what they did last says that 0 and 1 go together.
    early = [(person, 0, VIEWED, NOW - 50 * DAY + person, NO_BASKET) for person in range(80)]
    late = [(person, 1, VIEWED, NOW - DAY, NO_BASKET) for person in range(20)]
    found = recalling.trial(touches(2, early + late), [Thing("a"), Thing("b")], NOW)
    assert found.customers == 20
    assert found.lists[PEOPLE].among_all == found.lists[TASTES].among_all == 0.0


def test_lists_that_surely_find_less_than_popularity_are_told_why_they_are_not_used():
    """Pairs go together for a while; then everybody turns to what is popular, and what pairs say is wrong."""
    worse = recalling.Trial(50, {}, (Estimate(-0.2, -0.3, -0.1), Estimate(-0.1, -0.15, -0.05)))
    assert "-20.0 % [-30.0, -10.0] among 20, -10.0 % [-15.0, -5.0] among 500" in worse.refusal
    assert not recalling.Trial(50, {}, (worse.gains[0], Estimate(-0.1, -0.2, 0.0))).refusal, "not surely"
    assert not recalling.Trial().refusal
    found = recalling.trial(WORLDS, THINGS, NOW)
    few, many = found.gains
    assert few.value == pytest.approx(found.lists["all"].among_few - found.lists["popular"].among_few, abs=1e-3)
    assert few.low <= few.value <= few.high
    assert many.value == pytest.approx(found.lists["all"].among_all - found.lists["popular"].among_all, abs=1e-3)
    assert not found.refusal


def test_the_same_data_and_seed_give_the_same_bytes(lists):
    answers = {"likes": ["Salt", "SWEET"], "name": ["Ann", "salt", "Bob"]}
    again = recalling.learn(WORLDS.where(np.ones(len(WORLDS.at), np.bool_)), THINGS, answers, NOW)
    assert again.to_artefact() == lists.to_artefact()


def test_rows_in_any_order_give_the_same_neighbours():
    shuffled = np.random.default_rng(1).permutation(len(WORLDS.at))
    other = replace(
        WORLDS,
        **{name: getattr(WORLDS, name)[shuffled] for name in ("customers", "contents", "kinds", "at", "baskets")},
    )
    for learn in (by_people, by_taste):
        one, two = learn(WORLDS, tie(10)), learn(other, tie(10))
        assert one.others.tolist() == two.others.tolist()


def test_lift_counts_what_chance_explains():
    # Everybody buys milk (0); pasta (1) and sauce (2) go together, bread (3) is bought at random.
    orders = [(0, 1, 2)] * 12 + [(0, 3)] * 12 + [(0, 4)] * 12 + [(0, 3, 4)] * 2 + [(1,)] * 9
    found = by_orders(bought(5, *orders), tie(5))
    assert near(found, 1) == [2]
    assert near(found, 0) == []
    scores = found.scores[found.of(1)]
    assert scores[0] == pytest.approx((12 + 5) / (12 * 12 / 38 + 5) - 1)


def test_a_pair_of_two_orders_is_luck():
    orders = [(0, 1)] * 2 + [(0, 2)] * 3 + [(3, 4)] * 60
    assert near(by_orders(bought(5, *orders), tie(5)), 0) == [2]


def test_few_customers_in_common_count_less_than_many():
    # One customer touched 0 and 1 and nothing else: a cosine of 1. Of 30 with 2 and 3 a third touched others too.
    rows = [(0, 0, VIEWED, NOW - DAY, NO_BASKET), (0, 1, VIEWED, NOW - DAY, NO_BASKET)]
    rows += [(person, content, VIEWED, NOW - DAY, NO_BASKET) for person in range(1, 31) for content in (2, 3)]
    rows += [(person, 2, VIEWED, NOW - DAY, NO_BASKET) for person in range(31, 46)]
    found = by_people(touches(4, rows), tie(4))
    assert found.scores[found.of(0)][0] == pytest.approx(1 / (1 + 5))
    assert found.scores[found.of(3)][0] == pytest.approx(30 / np.sqrt(45 * 30) * 30 / 35)


def test_an_upsell_is_alike_earns_more_and_is_not_three_times_as_dear(lists):
    assert near(lists.near[UPSELL], 1) == [4, 3, 2]
    assert near(lists.near[UPSELL], 4) == []
    assert near(lists.near[UPSELL], 0) == [2, 1]


def test_what_is_hardly_alike_is_no_upsell():
    alike = Nearest(np.array([0, 2, 2, 2]), np.array([1, 2], np.int32), np.array([0.3, 0.19], np.float32))
    assert near(that_earn_more(alike, nothing(3), np.array([1.0, 2.0, 2.0]), tie(3)), 0) == [1]


def test_a_margin_counts_for_an_upsell_and_not_the_price():
    cheap = [Thing("cheap", {"kind": "shoe"}, value=60.0, margin=0.5), Thing("dear", {"kind": "shoe"}, value=80.0)]
    thin = [Thing("thin", {"kind": "shoe"}, value=90.0, margin=0.1), *(Thing(f"x{n}", {"kind": "sock"}) for n in "ab")]
    found = recalling.learn(touches(5, []), [*cheap, *thin], {}, NOW)
    assert near(found.near[UPSELL], 0) == [1]


def test_a_content_nobody_touched_is_found_by_its_texts():
    things = [*THINGS, Thing("new", {"taste": "sweet"})]
    found = recalling.learn(replace(WORLDS, size=11), things, {}, NOW)
    assert near(found.near[TASTES], 10) == near(found.near[PEOPLE], 10) == []
    assert set(near(found.near[ALIKE], 10)) == {5, 6, 7, 8, 9}
    assert 10 in chosen(found, ALIKE, before=(5,))


def test_without_any_touch_everything_is_equally_popular_and_alike_still_works():
    found = recalling.learn(touches(10, []), THINGS, {}, NOW)
    assert found.order.tolist() == list(range(10))
    assert set(near(found.near[ALIKE], 0)) == {1, 2, 3, 4}


def test_popularity_is_late_touches_and_what_they_mean():
    rows = [(n, 0, VIEWED, NOW - 60 * DAY, NO_BASKET) for n in range(7)]
    rows += [(n, 1, CLICKED, NOW - DAY, NO_BASKET) for n in range(2)]
    found = popularity(touches(3, rows), NOW)
    assert found.order.tolist() == [1, 0, 2]
    assert found.shares.sum() == pytest.approx(1.0)
    assert found.shares[2] > 0


def test_a_small_group_is_left_out_and_a_large_one_has_its_own_order():
    rows = [(n, n % 2, VIEWED, NOW - 1, NO_BASKET) for n in range(2_000)] + [(0, 0, BOUGHT, NOW - 1, NO_BASKET)]
    odd = [row for row in range(2_000) if row % 2]
    members = np.array([*odd, 0, 2], np.int64)
    groups = np.array([0] * len(odd) + [1, 1], np.int64)
    found = popularity(touches(2, rows, names=("vip", "tiny"), rows=members, groups=groups), NOW)
    assert (found.names, found.tops[0].tolist(), found.order.tolist()) == (("vip",), [1, 0], [0, 1])


def test_a_group_with_few_touches_says_what_all_say():
    rows = [(n, n % 20 == 0, VIEWED, NOW - 1, NO_BASKET) for n in range(2_000)]
    of_second = np.arange(0, 2_000, 20)
    for many, order in ((40, [0, 1]), (100, [0, 1])):
        found = popularity(touches(2, rows, names=("g",), rows=of_second[:many], groups=np.zeros(many, np.int64)), NOW)
        assert found.tops[0].tolist() == order


def test_groups_follow_their_touches_when_some_are_left_out():
    rows = [(n, n, VIEWED, NOW - n * DAY, NO_BASKET) for n in range(4)]
    found = touches(4, rows, names=("a",), rows=np.array([0, 2, 3]), groups=np.zeros(3, np.int64)).before(NOW - DAY)
    assert found.contents.tolist() == [2, 3]
    assert found.contents[found.rows].tolist() == [2, 3]


def test_answers_are_facts_whose_values_are_texts_of_contents(lists):
    assert lists.facts == ("likes",)
    told = lists.answered({"likes": ["sweet", 7, "bitter"], "name": "salt"})
    assert told == (("likes", "sweet"),)
    assert set(chosen(lists, ANSWERS, texts=told)) == {5, 6, 7, 8, 9}


def test_what_is_looked_at_now_comes_before_what_was_clicked(lists):
    assert set(chosen(lists, UPSELL, now=(1,), before=(5,))) == {2, 3, 4}
    assert set(chosen(lists, UPSELL, before=(5,))) == {6, 7, 8, 9}
    assert 1 not in chosen(lists, *LISTS, now=(1,), before=(1, 5))


def test_too_few_are_filled_up_with_popular_ones(lists):
    found = chosen(lists, UPSELL, now=(1,), fewest=6)
    assert found[:3] == near(lists.near[UPSELL], 1)
    assert found[3:] == [place for place in lists.order.tolist() if place not in (1, 2, 3, 4)][:3]


def test_only_what_belongs_here_is_chosen(lists):
    here = np.arange(10) % 2 == 0
    assert chosen(lists, *LISTS, here=here, before=(0,), fewest=10)
    assert all(place % 2 == 0 for place in chosen(lists, *LISTS, here=here, before=(0,), fewest=10))


def test_a_customer_nobody_knows_gets_what_is_popular(lists):
    assert chosen(lists, POPULAR, *NEAR) == lists.order.tolist()


@pytest.mark.parametrize(
    ("names", "start", "place", "told"),
    [
        ((POPULAR, PEOPLE, ALIKE), {"before": (0,)}, 1, "others who chose Trail also chose this"),
        ((TASTES,), {"before": (0,)}, 1, "customers with such tastes also chose this, as by Trail"),
        ((ALIKE,), {"before": (0,)}, 1, "like Trail"),
        (LISTS, {"now": (0,)}, 1, "like Trail, and earns more"),
        ((ANSWERS,), {"texts": (("likes", "sweet"),)}, 7, "fits likes: sweet"),
        ((POPULAR,), {}, 7, ""),
    ],
)
def test_every_candidate_says_where_it_came_from(lists, names, start, place, told):
    assert lists.why(place, names, Start(**start), {0: "Trail"}) == told


def test_bytes_are_read_back_as_they_were(lists):
    found = Recall.from_artefact(lists.to_artefact())
    assert found.to_artefact() == lists.to_artefact()
    assert chosen(found, *LISTS, before=(0,)) == chosen(lists, *LISTS, before=(0,))


@pytest.mark.parametrize("where", [3, 300, -9, -1])
def test_altered_bytes_are_refused(lists, where):
    data = bytearray(lists.to_artefact())
    data[where] ^= 1
    with pytest.raises(ValueError, match=r"damaged|not candidate lists"):
        Recall.from_artefact(bytes(data))


@pytest.mark.parametrize("cut", [0, 20, 400, -8])
def test_cut_bytes_are_refused(lists, cut):
    with pytest.raises(ValueError, match="damaged"):
        Recall.from_artefact(lists.to_artefact()[:cut])


def test_bytes_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="these are weather, not candidate lists"):
        Recall.from_artefact(packed("weather", {}, {}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"order": np.array([0, 99], np.int32)}, "contents that there are not"),
        ({"order": np.array([0], np.int32)}, "not of 10 contents"),
        ({"near": {ALIKE: Nearest(np.zeros(11, np.int64) + 5, *(np.empty(0, t) for t in ("i4", "f4")))}}, "not of 10"),
        ({"texts": ("one",)}, "texts or groups"),
    ],
)
def test_lists_that_do_not_fit_together_are_refused(lists, change, said):
    with pytest.raises(ValueError, match=said):
        Recall.from_artefact(replace(lists, **change).to_artefact())


def test_only_flat_numbers_are_packed():
    with pytest.raises(ValueError, match="flat numbers"):
        packed("x", {}, {"a": np.array(["pickle"], object)})
    text, arrays = unpacked("x", packed("x", {"b": 1}, {"z": np.arange(3), "a": np.ones(1, np.float32)}))
    assert (text, arrays["z"].tolist(), arrays["a"].tolist()) == ({"b": 1}, [0, 1, 2], [1.0])


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=60))
@examples(60)
def test_sums_by_position_are_what_a_dictionary_makes(pairs):
    expected: dict[int, float] = {}
    for place, score in pairs:
        expected[place] = expected.get(place, 0.0) + score
    places, scores = (np.array([pair[n] for pair in pairs], kind) for n, kind in ((0, np.int32), (1, np.float64)))
    assert summed(places, scores).tolist() == sorted(expected, key=lambda place: (-expected[place], place))


def test_lists_are_merged_by_their_ranks():
    assert merged([np.array([3, 1, 2], np.int32), np.array([2, 9], np.int32)]).tolist() == [2, 3, 1, 9]
    assert merged([]).tolist() == []


def test_of_equally_close_ones_the_more_popular_stands_first():
    rows = [(np.array([1, 2, 3]), np.array([0.5, 0.5, 0.5])), *((np.empty(0, np.int64), np.empty(0)),) * 3]
    assert near(gathered(rows, np.array([0, 0.2, 0.9, 0.0])), 0) == [2, 1, 3]
    assert near(gathered(rows, np.array([0, 0.2, 0.9, 0.0]), most=1), 0) == [2]


def test_of_one_customer_the_latest_contents_count():
    rows = [(0, n, VIEWED, NOW - n, NO_BASKET) for n in range(300)]
    assert touches(300, rows).matrix().indices.tolist() == list(range(200))


def test_a_customer_counts_at_most_ten_for_one_content():
    rows = [(0, 0, BOUGHT, NOW - n, NO_BASKET) for n in range(9)] + [(0, 1, VIEWED, NOW, NO_BASKET)]
    assert touches(2, rows).matrix().toarray().tolist() == [[10.0, 1.0]]
