"""A placement that draws from candidate lists: what competes there, what rules bring in all the same, and why."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from decisioning.engine import candidates, limits
from decisioning.engine.batch import resolve_many
from decisioning.engine.candidates import NEW, NO_LISTS
from decisioning.engine.prepare import Prepared, prepare
from decisioning.engine.resolver import resolve
from decisioning.engine.types import Ask, ContentItem, RecallItem, Resolution, SnapshotData
from decisioning.learning.nearest import Nearest
from decisioning.learning.recall import PEOPLE, POPULAR, TOGETHER, UPSELL, Recall
from rules.language import parse

from .builders import NOW, customer, placement, rule

SIZE = 1_200
KEYS = tuple(f"c{n:04d}" for n in range(SIZE))
# The most popular first: c0000, c0001 …; c0700 leads to c0800 and c0801 by every list there is.
LISTS = (POPULAR, PEOPLE)


def leading(seed: int, *others: int) -> Nearest:
    lengths = np.zeros(SIZE, np.int64)
    lengths[seed] = len(others)
    scores = np.linspace(1.0, 0.5, len(others)).astype(np.float32)
    return Nearest(np.cumsum([0, *lengths]), np.array(others, np.int32), scores)


RECALL = Recall(
    KEYS,
    np.arange(SIZE, dtype=np.int32),
    ("vip",),
    (np.arange(900, 1_000, dtype=np.int32),),
    {PEOPLE: leading(700, 800, 801), TOGETHER: leading(700, 850), UPSELL: leading(700, 860)},
    ("drama",),
    np.array([0, 1]),
    np.array([1_100], np.int32),
    ("genre",),
)
CONTENTS = [
    ContentItem(key, f"Name of {key}", {}, {"product_id": f"p{n}"} if n == 700 else {}, ("odd",) if n % 2 else (), 1.0)
    for n, key in enumerate(KEYS)
]


def site(*rules: Any, contents: list[ContentItem] = CONTENTS, lists: tuple[str, ...] = LISTS, **more: Any) -> Prepared:
    item = placement(lists=lists, **{"count": 3, **more})
    data = SnapshotData(tuple(contents), (item,), rules, recall=RecallItem(1, "digest"))
    return prepare(1, NOW, data, RECALL)


def asked(prepared: Prepared, facts: dict[str, Any] | None = None, **more: Any) -> Resolution:
    fields = {"count": None, "customer": customer(facts, segments=more.pop("segments", ())), "context": {}}
    return resolve(prepared, Ask("hero", person="c-1", **{**fields, **more}), NOW)


def pool(found: Resolution) -> set[str]:
    """Everything that reached the ranking."""
    return set(found.scores)


def test_five_hundred_of_all_contents_compete():
    found = asked(site())
    assert pool(found) == set(KEYS[:500])
    assert found.basis.endswith("500 of 1,200 contents by lists: popular, people")


@pytest.mark.parametrize("lists", [(), ("unheard of",)])
def test_without_lists_all_contents_compete(lists):
    found = asked(site(lists=lists))
    assert pool(found) == set(KEYS)
    assert "lists" not in found.basis


def test_lists_that_are_not_there_yet_are_told_and_all_contents_compete():
    data = SnapshotData(tuple(CONTENTS), (placement(lists=LISTS),))
    found = asked(prepare(1, NOW, data))
    assert pool(found) == set(KEYS)
    assert NO_LISTS in found.degraded
    assert NO_LISTS not in asked(site()).degraded


def test_what_the_customer_clicked_leads_to_candidates_and_says_so():
    found = asked(site(), {"clicked_contents": ["c0700", "gone"]})
    assert {"c0800", "c0801"} <= pool(found)
    (item,) = [
        item
        for item in asked(
            site(rule("r", 'IF age = 3 THEN SHOW "c0800"')), {"age": 3, "clicked_contents": ["c0700"]}
        ).items
        if item.content.key == "c0800"
    ]
    assert "others who chose Name of c0700 also chose this" in item.reasons


@pytest.mark.parametrize(
    "context",
    [
        {"product": "c0700"},
        {"product": "p700"},
        {"product": {"product_id": "p700"}},
        {"basket": ["p700"]},
        {"basket": {"products": [{"sku": "p700"}, 7]}},
    ],
)
def test_the_product_looked_at_and_the_basket_lead_to_candidates(context):
    found = asked(site(lists=(TOGETHER, UPSELL), count=2), context=context)
    assert {item.content.key for item in found.items[:2]} <= pool(found)
    assert {"c0850", "c0860"} <= pool(found)
    assert "c0700" not in pool(found)
    assert len(pool(found)) == candidates.FEWEST


def test_segments_and_answers_lead_to_candidates():
    assert set(KEYS[900:1_000]) <= pool(asked(site(), segments=("vip",)))
    assert "c1100" in pool(asked(site(lists=("answers",)), {"genre": "Drama"}))
    assert "c1100" not in pool(asked(site(lists=("answers",)), {"genre": "Comedy"}))


@pytest.mark.parametrize("verb", ['PIN "c1199" AT 1', 'SHOW "c1199"', 'ONLY "c1199"'])
def test_what_a_rule_names_competes_whatever_the_lists_say(verb):
    prepared = site(rule("r", f"IF age = 3 THEN {verb} ELSE STOP"))
    found = asked(prepared, {"age": 3})
    assert found.items[0].content.key == "c1199"
    assert not any("popular" in reason for reason in found.items[0].reasons)
    assert "c1199" not in pool(asked(prepared, {"age": 4}))


def test_an_otherwise_branch_names_too_and_nothing_after_a_stop():
    stopped = rule("stop", "IF age = 3 THEN STOP", priority=2)
    named = rule("show", 'IF age = 9 THEN STOP ELSE SHOW "c1199"', priority=1)
    assert "c1199" in pool(asked(site(stopped, named), {"age": 4}))
    assert "c1199" not in pool(asked(site(stopped, named), {"age": 3}))


def test_a_rule_outside_of_its_dates_names_nothing():
    later = rule("r", 'IF age = 3 THEN SHOW "c1199"', starts_at=NOW + timedelta(days=1))
    assert "c1199" not in pool(asked(site(later), {"age": 3}))


def test_candidates_are_looked_for_among_what_only_leaves():
    found = asked(site(rule("r", 'IF age = 3 THEN ONLY TAGGED "odd"')), {"age": 3})
    assert pool(found) == set(KEYS[1:1_000:2])
    twice = asked(
        site(*(rule(key, f"IF age = 3 THEN ONLY {aim}") for key, aim in (("a", 'TAGGED "odd"'), ("b", '"c1199"')))),
        {"age": 3},
    )
    assert pool(twice) == {"c1199"}


def test_what_a_rule_hides_is_named_and_others_take_its_place():
    few = [content for content in CONTENTS if int(content.key[1:]) < 510]
    tagged = [ContentItem(one.key, one.name, {}, {}, ("low",) if one.key < "c0495" else (), 1.0) for one in few]
    found = asked(site(rule("r", 'IF age = 3 THEN HIDE TAGGED "low"'), contents=tagged), {"age": 3})
    assert found.dropped["c0000"] == "hidden by rule r"
    assert pool(found) == set(KEYS[495:510])


def test_where_nearly_nothing_may_be_shown_others_are_looked_through():
    sold_out = [
        ContentItem(one.key, one.name, {}, {}, (), 1.0, stock=0 if one.key < "c0998" else None) for one in CONTENTS
    ]
    found = asked(site(contents=sold_out))
    assert [item.content.key for item in found.items] == ["c0998", "c0999", "c1000"]
    assert found.dropped["c0000"] == "out of stock"


def test_a_filter_finds_what_no_list_has():
    found = asked(site(), filter=parse('key = "c1199"'))
    assert [item.content.key for item in found.items] == ["c1199"]


def test_what_was_published_since_competes_the_newest_first():
    ages = {f"n{n:03d}": NOW - timedelta(days=n) for n in range(60)}
    new = [ContentItem(key, key, {}, {}, ("fresh",), 1.0, created_at=at) for key, at in ages.items()]
    prepared = site(contents=[*CONTENTS, *new])
    assert pool(asked(prepared)) - set(KEYS) == {f"n{n:03d}" for n in range(50)}
    assert "550 of 1,260 contents" in asked(prepared).basis
    shown = asked(site(rule("r", 'IF age = 3 THEN SHOW "n010"'), contents=[*CONTENTS, *new]), {"age": 3})
    assert NEW in shown.items[0].reasons
    named = asked(site(rule("r", 'IF age = 3 THEN SHOW "n059"'), contents=[*CONTENTS, *new]), {"age": 3})
    assert named.items[0].content.key == "n059"


def test_contents_of_other_placements_and_defaults_are_no_candidates():
    elsewhere = [
        ContentItem(one.key, one.name, {}, {}, (), 1.0, ("hero",) if one.key > "c0099" else ("other",))
        for one in CONTENTS
    ]
    found = asked(site(contents=elsewhere, defaults=("c0100",)))
    assert pool(found) == set(KEYS[101:601])


def test_a_callers_own_candidates_stand_for_themselves():
    own = (ContentItem("mine", "Mine", {}, {}, (), 1.0),)
    found = asked(site(), candidates=own)
    assert (pool(found), found.items[0].reasons) == ({"mine"}, ())
    assert "lists" not in found.basis


@pytest.mark.parametrize("seed", range(20))
def test_everything_chosen_may_be_shown_and_many_at_once_are_decided_as_one(seed):
    dice = np.random.default_rng(seed)
    facts = {"age": int(dice.integers(0, 3)), "clicked_contents": [KEYS[n] for n in dice.integers(0, SIZE, 5)]}
    prepared = site(
        rule("a", 'IF age = 0 THEN HIDE TAGGED "odd"', priority=2),
        rule("b", 'IF age = 1 THEN ONLY TAGGED "odd", PIN "c1101" AT 2 ELSE SHOW "c1000"', priority=1),
        lists=(POPULAR, PEOPLE, TOGETHER, UPSELL),
    )
    question = Ask("hero", None, customer(facts, segments=("vip",)), {"basket": ["c0700"]}, f"c-{seed}")
    found = resolve(prepared, question, NOW)
    assert resolve_many(prepared, [question], NOW) == [found]
    assert resolve(prepared, question, NOW) == found
    keys = [item.content.key for item in found.items]
    assert keys[{0: 0, 1: 1, 2: 0}[facts["age"]]] == {0: "c1000", 1: "c1101", 2: "c1000"}[facts["age"]]
    if facts["age"] == 1:
        assert all(int(key[1:]) % 2 for key in pool(found))


def test_odd_facts_and_contexts_are_no_seeds():
    odd = {"clicked_contents": [7, None, "gone"], "genre": [7, None]}
    found = asked(site(lists=(PEOPLE, "answers")), odd, context={"product": True, "basket": {"products": 9}})
    assert len(pool(found)) == candidates.FEWEST
    assert pool(asked(site(), {"clicked_contents": "c0700"})) == set(KEYS[:500])


def test_a_placement_that_draws_from_lists_may_have_more_contents(monkeypatch):
    monkeypatch.setattr(limits, "CONTENTS_BEHIND_LISTS", SIZE)
    monkeypatch.setattr(limits, "CONTENTS_PER_PLACEMENT", SIZE - 1)
    with_lists, without = (SnapshotData(tuple(CONTENTS), (placement(lists=lists),)) for lists in (LISTS, ()))
    assert limits.sizes(with_lists) == []
    assert "tick candidate lists" in str(limits.sizes(without)[0])
    monkeypatch.setattr(limits, "CONTENTS_BEHIND_LISTS", SIZE - 1)
    assert limits.sizes(with_lists)[0].cure == "choose placements for contents"
