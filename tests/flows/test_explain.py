"""A decision explained: candidates and where they fell, rules with their tests, shares of the score, safe words."""

import json
import math
from uuid import UUID, uuid4

import pytest

from campaigns.models import Content, Placement
from decisioning.config import clock
from decisioning.flows.explain import explain_row, explained
from decisioning.flows.path import STEPS, step_of
from decisioning.models import Decision, Snapshot
from rules.models import Segment

from .explaining import decided, knows, train, write


def test_every_candidate_is_there_with_the_step_at_which_it_fell(site):
    Placement.objects.filter(key="hero").update(count=1)
    Content.objects.create(key="cherry", name="Cherry")
    write(site, "adults", 'IF age > 18 THEN HIDE "apple"')
    site.publish()
    told = explain_row(decided(site, exclude=["cherry"]))
    found = {one["id"]: (one["step"], one["chosen"]) for one in told["candidates"]}
    assert found == {"banana": ("pick", True), "apple": ("rules", False), "cherry": ("eligibility", False)}
    assert told["candidates"][0] | {"rank": 1, "propensity": 1.0} == told["candidates"][0]
    assert {one["id"]: one["reason"] for one in told["candidates"]}["apple"] == "hidden by rule adults"
    assert {one["id"]: one["name"] for one in told["candidates"]}["cherry"] == "Cherry"


def test_the_path_counts_what_each_step_left(site):
    Placement.objects.filter(key="hero").update(count=1)
    Content.objects.create(key="cherry", name="Cherry")
    write(site, "adults", 'IF age > 18 THEN HIDE "apple"')
    site.publish()
    told = explain_row(decided(site, exclude=["cherry"]))["path"]
    assert [one["step"] for one in told] == list(STEPS)
    assert {one["step"]: (one["came"], one["left"]) for one in told} == {
        "audience": (3, 3),
        "eligibility": (3, 2),
        "holdout": (2, 2),
        "rules": (2, 1),
        "pick": (1, 1),
    }
    assert told[1]["fell"] == {"excluded by the request": 1}


def test_the_default_contents_stand_outside_the_path(site):
    write(site, "none", 'IF age > 18 THEN HIDE "apple", HIDE "banana"')
    site.publish()
    told = explain_row(decided(site))
    assert told["path"][-1]["left"] == 0
    assert [(one["id"], one["step"]) for one in told["candidates"] if one["chosen"]] == [("default", "default")]
    assert told["because"] == "shown to everybody"


def test_a_rules_else_that_decided_is_told_to_operators_and_customers(site):
    write(site, "young", 'IF age < 18 THEN SHOW "apple" ELSE SHOW "banana"')
    site.publish()
    told = explain_row(decided(site, placements=[{"key": "hero", "n": 1}]))
    assert told["reason"] == "TARGETING_MATCH"
    words = "Rule young does not hold, so its ELSE decided: SHOW banana."
    assert told["decided_by"] == {"rule": "young", "branch": "ELSE", "words": words}
    assert [(rule["state"], rule["branch"]) for rule in told["rules"]] == [("does not hold", "ELSE")]
    assert told["because"] == "shown to everybody else"


def test_a_rules_then_that_decided_is_told_as_such_and_no_rule_as_none(site):
    assert explain_row(decided(site))["decided_by"] is None
    write(site, "old", 'IF age > 18 THEN SHOW "apple" ELSE SHOW "banana"')
    write(site, "idle", 'IF age < 18 THEN SHOW "apple"')
    site.publish()
    told = explain_row(decided(site, placements=[{"key": "hero", "n": 1}]))
    assert told["decided_by"]["words"] == "Rule old holds, so its THEN decided: SHOW apple."
    assert {rule["key"]: rule["branch"] for rule in told["rules"]} == {"old": "THEN", "idle": None}
    assert told["because"] == "chosen for you"


def test_candidates_of_the_callers_own_are_called_by_name_title_or_id(site):
    own = [
        {"id": "named", "attributes": {"name": "A name", "title": "A title"}},
        {"id": "titled", "attributes": {"title": "A title"}},
        {"id": "bare", "attributes": {"title": 5}},
        {"id": "apple", "attributes": {"name": "Not this"}},
        "banana",
    ]
    told = explain_row(decided(site, candidates=own, placements=[{"key": "hero", "n": 3}]))
    names = {one["id"]: one["name"] for one in told["candidates"]}
    expected = {"named": "A name", "titled": "A title", "bare": "bare", "apple": "Apple", "banana": "Banana"}
    assert names == expected
    assert [one["name"] for one in told["items"]] == [expected[one["key"]] for one in told["items"]]


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        ("customer is outside the placement's audience", "audience"),
        ("hidden by rule x", "rules"),
        ("not in ONLY of rule x", "rules"),
        ("ranked below the number asked for", "pick"),
        ("outside its dates", "eligibility"),
        ("its cap: shown 3 times in 24 hours, at most 3 are allowed", "eligibility"),
        ("customer has not consented to email", "eligibility"),
        ("customer is in the holdout", "holdout"),
        ("diversity: at most 1 with kind = a in this placement", "pick"),
        ("something that is new", "eligibility"),
    ],
)
def test_each_reason_belongs_to_one_step(reason, step):
    assert step_of(reason) == step


def test_rules_that_did_not_hold_are_told_with_the_tests_that_failed(site):
    write(site, "young", 'IF age < 18 AND NOT device = "kiosk" THEN SHOW "banana"')
    write(site, "old", 'IF age > 20 THEN SHOW "apple"')
    site.publish()
    rules = {rule["key"]: rule for rule in explain_row(decided(site, context={"device": "kiosk"}))["rules"]}
    assert (rules["old"]["state"], rules["old"]["failed"]) == ("holds", [])
    assert rules["young"]["state"] == "does not hold"
    assert rules["young"]["failed"] == ["age < 18", 'NOT device = "kiosk"']
    first = rules["young"]["tests"]["parts"][0]
    assert (first["text"], first["value"], first["result"]) == ("age < 18", 30, False)


def test_rules_behind_a_stop_are_named_as_not_read(site):
    for key, text in (("first", "IF age > 1 THEN STOP"), ("second", 'IF age > 2 THEN HIDE "apple"')):
        write(site, key, text)
    site.publish()
    rules = {rule["key"]: rule for rule in explain_row(decided(site))["rules"]}
    assert (rules["first"]["state"], rules["second"]["state"]) == ("holds", "not read")
    assert rules["second"]["why"] == "rule first said STOP"


def test_the_shares_of_the_winner_sum_to_its_log_odds(site):
    train(site)
    knows(site, age=70, orders_30d=3)
    row = decided(site)
    told = explain_row(row)
    scores = told["scores"]
    assert row.rung == "full"
    assert scores["id"] == row.items[0]["key"] == "apple"
    total = scores["base"] + sum(factor["share"] for factor in scores["factors"]) + scores["others"]["share"]
    assert math.isclose(total, scores["log_odds"], abs_tol=1e-6)
    assert math.isclose(1 / (1 + math.exp(-scores["log_odds"])), row.items[0]["score"], abs_tol=1e-9)
    age = next(factor for factor in scores["factors"] if factor["name"] == "age")
    assert (age["value"], age["share"] > 0) == (70, True)
    assert age["words"] == "age is 70: raises the chance"
    assert told["decided_again"] == {"same": True, "note": ""}


def test_without_a_scorer_nothing_is_made_up(site):
    assert explain_row(decided(site))["scores"] is None


def test_the_customer_is_told_what_they_did_and_nothing_more(site):
    Segment.objects.create(key="rich", name="Rich and lonely", condition="age > 20")
    knows(site, age=30, recent_purchase_in_category=["trail shoes"])
    condition = 'age > 20 AND recent_purchase_in_category = "trail shoes" AND NOT customer_segment = "Rich and lonely"'
    write(site, "shoes", f'IF {condition} THEN SHOW "banana"')
    site.publish()
    told = explain_row(decided(site))
    assert told["because"] == told["items"][0]["because"] == "because you bought trail shoes"
    assert told["items"][1]["because"] == "chosen for you"
    safe = json.dumps([item["because"] for item in told["items"]])
    assert not [word for word in ("rich", "lonely", "30", "apple") if word in safe.casefold()]


def test_versions_name_snapshot_scorer_and_revisions(site):
    write(site, "adults", 'IF age > 18 THEN HIDE "apple"')
    site.publish()
    row = decided(site)
    versions = explain_row(row)["versions"]
    assert (versions["snapshot"], versions["scorer"], versions["rules"]) == (row.snapshot, None, {"adults": 1})


def test_a_revision_published_since_does_not_change_the_explanation(site):
    write(site, "adults", 'IF age > 18 THEN HIDE "apple"')
    site.publish()
    row = decided(site)
    write(site, "adults", 'IF age > 50 THEN HIDE "banana"')
    site.publish()
    rule = explain_row(row)["rules"][0]
    assert (rule["text"], rule["state"]) == ('IF age > 18 THEN HIDE "apple"', "holds")


def test_a_row_whose_snapshot_is_gone_is_told_from_what_it_kept(site):
    write(site, "adults", 'IF age > 18 THEN HIDE "apple"')
    site.publish()
    row = decided(site)
    Snapshot.objects.filter(pk=row.snapshot).delete()
    told = explain_row(row)
    assert told["decided_again"]["same"] is False
    assert "is gone" in told["decided_again"]["note"]
    assert told["rules"][0]["tests"]["value"] == 30
    assert {one["id"]: one["step"] for one in told["candidates"]}["apple"] == "rules"


def test_a_row_from_before_the_question_was_kept_says_what_is_not_known(site):
    row = decided(site)
    Decision.objects.filter(pk=row.pk).update(asked={})
    told = explained(row.pk)
    assert told["unknown"] == ["n", "exclude", "person", "unit", "scores"]
    assert told["facts"] == {"age": 30}


def test_an_unknown_decision_is_none(site):
    assert explained(uuid4()) is None


def test_an_import_without_anything_is_told(db):
    row = Decision(id=UUID(int=3), at=clock.now(), placement="hero", rung="default", reason="X", policy="greedy")
    told = explain_row(row)
    assert (told["candidates"], told["rules"], told["because"]) == ([], [], "")
    assert "without a snapshot" in told["decided_again"]["note"]
