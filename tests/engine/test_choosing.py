"""What decides before and after the scores: eligibility, objectives, variety, cold starts; each with its reason."""

from datetime import timedelta

import pytest

from decisioning.engine.resolver import propensities, resolve
from decisioning.engine.types import Resolution
from decisioning.learning.bandit import LinearBandit
from rules.language import parse

from .builders import NOW, ask, content, customer, placement, prepared, rule


def keys(resolution: Resolution) -> list[str]:
    return [item.content.key for item in resolution.items]


def one(**more: object) -> tuple[Resolution, str]:
    """The answer where there is one content with these fields, and why it was dropped."""
    question = more.pop("question", {})
    who = customer(more.pop("facts", {}))
    found = resolve(prepared(contents=(content("x", **more),)), ask(who, **question), NOW)
    return found, found.dropped.get("x", "")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"stock": 0}, "out of stock"),
        ({"attributes": {"stock": 0}}, "out of stock"),
        ({"stock": 9, "attributes": {"stock": 0}}, "out of stock"),
        ({"stock": 0, "attributes": {"stock": 3}}, ""),
        ({"stock": 0, "attributes": {"stock": "many"}}, "out of stock"),
        ({"stock": None}, ""),
        ({"needs_consent": "ads"}, "customer has not consented to ads"),
        ({"needs_consent": "ads", "facts": {"consents": ["email"]}}, "customer has not consented to ads"),
        ({"needs_consent": "ads", "facts": {"consents": "ads"}}, "customer has not consented to ads"),
        ({"needs_consent": "ads", "facts": {"consents": ["ads"]}}, ""),
        ({"question": {"taken": frozenset("x")}}, "already in another placement of the page"),
        ({"question": {"filter": parse("value > 5")}}, "does not meet the request's filter"),
        ({"value": 6.0, "question": {"filter": parse("value > 5")}}, ""),
        ({"stock": 2, "question": {"filter": parse("stock >= 2")}}, ""),
    ],
)
def test_a_content_is_dropped_for_the_first_check_that_fails(fields, reason):
    found, dropped = one(**fields)
    assert dropped == reason
    assert bool(found.items) == (not reason)


def test_a_cap_counts_the_showings_within_its_window():
    capped = {"cap_count": 2, "cap_hours": 24.0}
    old, new = NOW - timedelta(hours=25), NOW - timedelta(hours=1)
    assert one(**capped, question={"shown": {"x": [old, new]}})[1] == ""
    found, dropped = one(**capped, question={"shown": {"x": [old, new, NOW]}})
    assert dropped == "its cap: shown 2 times in 24 hours, at most 2 are allowed"
    assert found.reason == "CAPPED"


def test_default_contents_must_be_eligible_too():
    contents = (content("gone", stock=0), content("there"), content("page", placements=("elsewhere",)))
    site = prepared(contents=contents, placements=(placement(defaults=("gone", "there", "page"), count=3),))
    assert keys(resolve(site, ask(), NOW)) == ["there", "page"]
    assert keys(resolve(site, ask(taken=frozenset({"there"})), NOW)) == ["page"]
    assert resolve(site, ask(), NOW).dropped["gone"] == "out of stock"


def test_somebody_in_the_holdout_gets_the_default_and_no_rule_acts():
    site = prepared(
        rule("c", 'IF NOT vip = TRUE THEN START CAMPAIGN "hello"'), placements=(placement(defaults=("apple",)),)
    )
    found = resolve(site, ask(customer(), holdout=True), NOW)
    assert (found.reason, found.rung, keys(found), found.campaigns) == ("HOLDOUT", "default", ["apple"], ())
    assert found.dropped["cherry"] == "customer is in the holdout"


def test_explain_names_contents_of_other_placements():
    site = prepared(contents=(content("here"), content("there", placements=("side",))))
    assert resolve(site, ask(explain=True), NOW).dropped == {"there": "not for this placement"}
    assert resolve(site, ask(), NOW).dropped == {}


def test_candidates_replace_the_pool_and_rules_aim_at_what_they_carry():
    rules = rule("r", 'IF NOT vip = TRUE THEN HIDE TAGGED "sold", BOOST WHERE price < 10 BY 5')
    own = (
        content("mine", attributes={"price": 5}),
        content("apple", ("a",), attributes={"price": 50}),
        content("old", ("sold",)),
        content("far", placements=("side",)),
    )
    found = resolve(prepared(rules), ask(customer(), candidates=own, count=9), NOW)
    assert keys(found) == ["apple", "mine"]
    assert found.dropped == {"old": "hidden by rule r", "far": "not for this placement"}
    assert "boost by 5 (rule r)" in found.items[1].reasons


def test_no_candidates_mean_the_default():
    found = resolve(prepared(placements=(placement(defaults=("apple",)),)), ask(customer(), candidates=()), NOW)
    assert (keys(found), found.reason) == (["apple"], "FALLBACK")


def test_the_formula_of_a_score_is_shown():
    site = prepared(
        rule("r", 'IF NOT vip = TRUE THEN BOOST "x" BY 2'),
        contents=(content("x", value=20.0, margin=0.4, boost=1.5),),
        priors={"x": 0.031},
        placements=(placement(objective="value"),),
    )
    item = resolve(site, ask(customer()), NOW).items[0]
    assert item.score == pytest.approx(0.031 * 20 * 0.4 * 1.5 * 2)
    assert item.formula == "0.031 × 20.00 value × 0.4 margin × 1.5 content boost × 2 rule boost = 0.744"
    assert item.formula in item.reasons


def test_margin_counts_for_value_only():
    contents = (content("x", value=20.0, margin=0.4),)
    found = resolve(
        prepared(contents=contents, priors={"x": 0.1}, placements=(placement(objective="click"),)), ask(), NOW
    )
    assert found.items[0].score == 0.1
    assert "prior rate gives a 10.0% chance of click" in found.items[0].reasons, "it was counted for clicks"
    assert not any("stand in" in one for one in found.degraded)


def test_fresh_contents_weigh_up_to_twice():
    contents = (
        content("old", created_at=NOW - timedelta(days=700)),
        content("week", created_at=NOW - timedelta(days=700), starts_at=NOW - timedelta(days=7)),
        content("new", starts_at=NOW),
        content("dateless"),
    )
    site = prepared(contents=contents, priors={}, placements=(placement(freshness_half_life_days=7, count=4),))
    scores = {item.content.key: item.score for item in resolve(site, ask(), NOW).items}
    assert scores == pytest.approx({"new": 2.0, "week": 1.5, "old": 1.0, "dateless": 1.0})


BRANDS = tuple(content(key, attributes={"brand": key[0]}) for key in ("a1", "a2", "a3", "b1"))
PRIORS = {"a1": 0.9, "a2": 0.8, "a3": 0.7, "b1": 0.1}


def test_at_most_n_of_one_value_are_shown_and_the_reasons_say_so():
    site = prepared(
        contents=BRANDS, priors=PRIORS, placements=(placement(count=3, diversity_attribute="brand", diversity_most=2),)
    )
    found = resolve(site, ask(), NOW)
    assert keys(found) == ["a1", "a2", "b1"]
    assert "diversity moved it up, before a3 with a higher score" in found.items[2].reasons
    assert found.dropped["a3"] == "diversity: at most 2 with brand = a in this placement"


def test_a_slot_that_diversity_leaves_nothing_for_stays_empty_and_a_pin_stays_where_it_is():
    placements = (placement(count=3, diversity_attribute="brand"),)
    pinned = rule("p", 'IF NOT vip = TRUE THEN PIN "a3" AT 3')
    found = resolve(prepared(pinned, contents=BRANDS, priors=PRIORS, placements=placements), ask(), NOW)
    assert [(item.content.key, item.rank) for item in found.items] == [("b1", 1), ("a3", 3)]


def test_what_a_rule_shows_stands_above_diversity():
    shown = rule("s", 'IF NOT vip = TRUE THEN SHOW WHERE brand = "a"')
    placements = (placement(count=4, diversity_attribute="brand", diversity_weight=1.0),)
    found = resolve(prepared(shown, contents=BRANDS, priors=PRIORS, placements=placements), ask(), NOW)
    assert keys(found) == ["a1", "a2", "a3", "b1"]


def test_marginal_relevance_takes_the_unlike_before_the_better():
    contents = (content("p1", ("red", "big")), content("p2", ("red", "big")), content("q", ("blue",)))
    fields = {"contents": contents, "priors": {"p1": 0.5, "p2": 0.45, "q": 0.2}}
    plain = resolve(prepared(**fields, placements=(placement(),)), ask(), NOW)
    varied = resolve(prepared(**fields, placements=(placement(diversity_weight=0.4),)), ask(), NOW)
    assert (keys(plain), keys(varied)) == (["p1", "p2"], ["p1", "q"])
    assert varied.items[1].score == 0.2


def test_a_cold_start_says_what_it_stands_on():
    def basis(who, **more):
        found = resolve(prepared(segment_priors=rates, **more), ask(who, context={"device": "kiosk"}), NOW)
        assert found.rung == ("rules+prior" if more.get("priors") != {} or rates else "rules")
        return found.basis, keys(found)[0]

    rates = {"lapsing": {"apple": 0.9}}
    assert basis(customer(segments=("lapsing",))) == ("segment prior: Lapsing shoppers", "apple")
    assert basis(customer({"clicked_contents": ["avocado"]})) == ("content similarity: avocado", "avocado")
    for odd in (["no longer"], [["avocado"], {}, None, 3], "avocado", 7):
        assert basis(customer({"clicked_contents": odd})) == ("popularity, smoothed", "cherry")
    rates = {"device=kiosk": {"banana": 0.8}}
    assert basis(None) == ("context prior: device=kiosk", "banana")
    rates = {}
    assert basis(None, priors={}) == ("rules alone", "apple")


def test_thompson_sampling_stands_on_the_counts_of_its_placement():
    counts = {"hero": {"apple": (60.0, 40.0), "banana": (1.0, 99.0)}}
    site = prepared(posteriors=counts, placements=(placement(policy="thompson", count=1),))
    answers = [resolve(site, ask(customer(), request_id=str(n)), NOW) for n in range(50)]
    assert {keys(found)[0] for found in answers} == {"apple", "avocado", "cherry"}
    found = next(found for found in answers if keys(found) == ["apple"])
    assert (found.rung, found.basis, found.degraded) == ("rules+prior", "posteriors of hero", ())
    assert found.items[0].propensity_estimated
    assert "60 successes in 100 showings here" in found.items[0].reasons


def test_without_counts_or_a_bandit_the_policy_falls_back_and_says_so():
    for policy, missing in (("thompson", "posteriors"), ("linucb", "bandit"), ("linear-thompson", "bandit")):
        found = resolve(prepared(placements=(placement(policy=policy),)), ask(customer()), NOW)
        assert keys(found) == ["cherry", "banana"]
        assert f"no {missing} of hero yet: best first" in found.degraded


def learned() -> bytes:
    """People of many orders take avocados, others bananas."""
    rows = [{"orders": 0.0}, {"orders": 100.0}] * 60
    bandit = LinearBandit(["orders"]).fit(rows, ["avocado"] * 120, [0.0, 1.0] * 60)
    return bandit.fit(rows, ["banana"] * 120, [1.0, 0.0] * 60).to_bytes()


@pytest.mark.parametrize("policy", ["linucb", "linear-thompson"])
def test_a_linear_bandit_chooses_by_the_customers_facts(policy):
    contents = (content("avocado"), content("banana"))
    item = placement(policy=policy, count=1, bandit_width=0.5, bandit_facts=("orders",))
    site = prepared(contents=contents, placements=(item,), bandits={"hero": learned()})
    many, few = (resolve(site, ask(customer({"orders": n})), NOW) for n in (100, 0))
    assert (keys(many), keys(few)) == (["avocado"], ["banana"])
    assert (many.rung, many.basis) == ("full", "bandit of hero")
    assert many.items[0].reasons[0].startswith("bandit expects 0.9")


def test_a_bandit_of_other_facts_or_a_damaged_one_is_left_out_and_named():
    for stored, facts in ((learned(), ("age",)), (b"damaged", ("orders",))):
        item = placement(policy="linucb", bandit_facts=facts)
        site = prepared(placements=(item,), bandits={"hero": stored})
        assert any("bandit of placement hero" in problem for problem in site.problems)
        assert keys(resolve(site, ask(customer()), NOW)) == ["cherry", "banana"]


def test_propensities_name_all_that_competed_for_each_slot():
    site = prepared(placements=(placement(policy="epsilon", exploration=0.4),))
    first, second = propensities(site, ask(customer()), NOW)
    assert len(first) == 4 and len(second) == 3
    assert sum(first.values()) == pytest.approx(1) and sum(second.values()) == pytest.approx(1)
    chosen = resolve(site, ask(customer()), NOW).items
    assert [first[chosen[0].content.key], second[chosen[1].content.key]] == [item.propensity for item in chosen]
