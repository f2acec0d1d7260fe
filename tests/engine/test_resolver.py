"""What the resolver promises: rules narrow, scores rank, reasons and rungs are named, replays agree."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.engine.eligibility import next_change
from decisioning.engine.resolver import resolve
from decisioning.engine.types import Resolution

from .builders import NOW, ask, content, customer, placement, prepared, rule


def keys(resolution: Resolution) -> list[str]:
    return [item.content.key for item in resolution.items]


def test_it_ranks_by_prior_without_a_scorer_and_says_so():
    found = resolve(prepared(), ask(customer()), NOW)
    assert keys(found) == ["cherry", "banana"]
    assert (found.rung, found.reason, found.degraded) == ("rules+prior", "RANKED", ("no scorer",))


def test_stored_scores_are_the_rung_above_priors():
    found = resolve(prepared(), ask(customer(scores={"apple": 0.9})), NOW)
    assert found.rung == "rules+model"
    assert keys(found) == ["apple", "cherry"]


def test_without_any_number_the_rung_is_rules_and_the_order_is_fixed():
    found = resolve(prepared(priors={}), ask(customer()), NOW)
    assert (found.rung, keys(found)) == ("rules", ["apple", "avocado"])


def test_show_puts_contents_first_and_fills_up_with_the_others():
    found = resolve(prepared(rule("r", 'IF vip = TRUE THEN SHOW "apple"')), ask(customer({"vip": True})), NOW)
    assert keys(found) == ["apple", "cherry"]
    assert "shown by rule r" in found.items[0].reasons
    assert found.reason == "TARGETING_MATCH"


def test_the_first_show_wins_and_the_loser_is_named():
    rules = rule("low", 'IF vip = TRUE THEN SHOW "apple"', 1), rule("high", 'IF vip = TRUE THEN SHOW "banana"', 9)
    found = resolve(prepared(*rules), ask(customer({"vip": True})), NOW)
    assert keys(found)[0] == "banana"
    loser = next(trace for trace in found.rules if trace.key == "low")
    assert loser.overruled == ("SHOW: an earlier rule already chose what to show",)


def test_equal_priority_goes_to_the_more_specific_rule_then_to_the_older():
    old = rule("old", 'IF vip = TRUE THEN SHOW "apple"', created_at=NOW - timedelta(days=1))
    new = rule("new", 'IF vip = TRUE THEN SHOW "banana"')
    narrow = rule("narrow", 'IF vip = TRUE AND age >= 18 THEN SHOW "avocado"')
    who = customer({"vip": True, "age": 30})
    assert keys(resolve(prepared(new, old), ask(who), NOW))[0] == "apple"
    assert keys(resolve(prepared(new, old, narrow), ask(who), NOW))[0] == "avocado"


def test_only_narrows_and_hide_removes_with_the_reason_kept():
    rules = rule("o", 'IF vip = TRUE THEN ONLY TAGGED "a"', 2), rule("h", 'IF vip = TRUE THEN HIDE "apple"', 1)
    found = resolve(prepared(*rules), ask(customer({"vip": True})), NOW)
    assert keys(found) == ["avocado"]
    assert found.dropped["cherry"] == "not in ONLY of rule o"
    assert found.dropped["apple"] == "hidden by rule h"


def test_boost_and_bury_move_scores():
    up = rule("up", 'IF vip = TRUE THEN BOOST "apple" BY 10')
    down = rule("down", 'IF vip = TRUE THEN BURY "cherry" BY 100')
    found = resolve(prepared(up, down), ask(customer({"vip": True})), NOW)
    assert keys(found) == ["apple", "banana"]
    assert found.items[0].score == pytest.approx(1.0)


def test_a_pin_holds_its_position_and_a_second_one_loses():
    rules = rule("p", 'IF vip = TRUE THEN PIN "apple" AT 2', 2), rule("q", 'IF vip = TRUE THEN PIN "banana" AT 2', 1)
    found = resolve(prepared(*rules), ask(customer({"vip": True})), NOW)
    assert keys(found) == ["cherry", "apple"]
    assert any("position 2 is held" in lost for trace in found.rules for lost in trace.overruled)


def test_stop_ends_the_reading_and_else_runs_when_the_condition_is_false():
    first = rule("first", 'IF vip = TRUE THEN SHOW "apple" ELSE HIDE "cherry", STOP', 9)
    second = rule("second", 'IF vip IS MISSING THEN HIDE "banana"', 1)
    found = resolve(prepared(first, second), ask(customer()), NOW)
    assert keys(found) == ["banana", "avocado"]
    assert [trace.key for trace in found.rules] == ["first"]


def test_where_targets_attributes_and_segments_are_known_by_key_and_name():
    contents = (content("x", attributes={"margin": 5}), content("y", attributes={"margin": 50}))
    who = customer(segments=("lapsing",))
    for condition in ('IN SEGMENT "lapsing"', 'customer_segment = "Lapsing shoppers"'):
        text = f"IF {condition} THEN ONLY WHERE margin > 10"
        assert keys(resolve(prepared(rule("m", text), contents=contents), ask(who), NOW)) == ["y"]


def test_context_facts_are_there_for_rules():
    text = 'IF device = "kiosk" AND hour = 12 THEN HIDE "cherry"'
    found = resolve(prepared(rule("k", text)), ask(customer(), context={"device": {"type": "kiosk"}}), NOW)
    assert "cherry" not in keys(found)


def test_expired_and_future_contents_are_never_shown_not_even_as_default():
    past, future = content("past", ends_at=NOW), content("future", starts_at=NOW + timedelta(seconds=1))
    site = prepared(contents=(past, future), placements=(placement(defaults=("past",)),))
    found = resolve(site, ask(customer()), NOW)
    assert (found.items, found.rung) == ((), "default")
    assert set(found.dropped.values()) == {"outside its dates"}


def test_rules_outside_their_schedule_do_nothing():
    late = rule("late", 'IF NOT vip = TRUE THEN HIDE "cherry"', starts_at=NOW + timedelta(hours=1))
    assert keys(resolve(prepared(late), ask(customer()), NOW))[0] == "cherry"
    assert keys(resolve(prepared(late), ask(customer()), NOW + timedelta(hours=1)))[0] == "banana"


def test_a_default_content_competes_with_nobody():
    site = prepared(placements=(placement(defaults=("cherry",), count=4),))
    assert keys(resolve(site, ask(customer()), NOW)) == ["banana", "avocado", "apple"]


def test_nothing_left_gives_the_default_content():
    site = prepared(rule("none", 'IF NOT vip = TRUE THEN ONLY "nothing"'), placements=(placement(defaults=("apple",)),))
    found = resolve(site, ask(customer()), NOW)
    assert (keys(found), found.rung, found.reason) == (["apple"], "default", "FALLBACK")


def test_customers_outside_the_audience_get_the_default():
    site = prepared(placements=(placement(audience="age >= 18", defaults=("apple",)),))
    assert resolve(site, ask(customer({"age": 17})), NOW).reason == "OUTSIDE_AUDIENCE"
    assert resolve(site, ask(customer({"age": 18})), NOW).reason == "RANKED"


def test_value_as_objective_weighs_the_score():
    contents = (content("cheap", value=1.0), content("dear", value=100.0))
    site = prepared(contents=contents, priors={"cheap": 0.5, "dear": 0.1}, placements=(placement(objective="value"),))
    assert keys(resolve(site, ask(customer()), NOW)) == ["dear", "cheap"]


def test_a_rule_that_no_longer_parses_is_left_out_and_named():
    site = prepared(rule("broken", "IF THEN"), rule("good", 'IF NOT vip = TRUE THEN HIDE "cherry"'))
    assert keys(resolve(site, ask(customer()), NOW))[0] == "banana"
    assert any("broken" in problem for problem in site.problems)


def test_start_campaign_is_handed_back_as_an_effect():
    found = resolve(prepared(rule("c", 'IF NOT vip = TRUE THEN START CAMPAIGN "hello"')), ask(customer()), NOW)
    assert found.campaigns == ("hello",)


@given(person=st.text(max_size=20), request=st.text(max_size=20), exploration=st.floats(0, 1))
def test_a_replay_gives_the_same_answer_bit_for_bit(person: str, request: str, exploration: float):
    site = prepared(placements=(placement(policy="epsilon", exploration=exploration, count=3),))
    question = ask(customer(), person=person, request_id=request)
    assert resolve(site, question, NOW) == resolve(site, question, NOW)


def test_the_same_customer_explores_differently_from_request_to_request():
    site = prepared(placements=(placement(policy="epsilon", exploration=1.0, count=1),))
    shown = {keys(resolve(site, ask(customer(), request_id=str(n)), NOW))[0] for n in range(100)}
    assert shown == {"apple", "avocado", "banana", "cherry"}


def test_excluded_contents_are_dropped_with_the_reason():
    found = resolve(prepared(), ask(customer(), exclude=frozenset({"cherry"})), NOW)
    assert keys(found) == ["banana", "avocado"]
    assert found.dropped["cherry"] == "excluded by the request"


def test_explain_adds_each_tests_value():
    found = resolve(prepared(rule("r", "IF age > 5 THEN STOP")), ask(customer({"age": 7}), explain=True), NOW)
    assert "7" in str(found.rules[0].tests)


def test_asking_for_more_than_there_is_gives_what_there_is():
    assert len(resolve(prepared(), ask(customer(), count=50), NOW).items) == 4


def test_the_next_turning_point_is_the_first_date_after_now():
    soon, later = NOW + timedelta(hours=1), NOW + timedelta(days=1)
    site = prepared(
        rule("r", "IF age > 5 THEN STOP", ends_at=later), contents=(content("x", starts_at=soon, ends_at=NOW),)
    )
    assert site.turning_points == (NOW, soon, later)
    assert [next_change(site.turning_points, moment) for moment in (NOW, soon, later)] == [soon, later, None]
