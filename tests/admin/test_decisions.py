"""The page of a decision, and of its replay: what was shown, the path, rules, shares, outcomes; who may see them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from campaigns.models import Content, Placement
from decisioning.admin.telling import known, story
from decisioning.customers.models import Customer
from decisioning.engine.resolver import resolve
from decisioning.engine.types import Ask, Profile
from decisioning.flows.recording import row_of
from decisioning.flows.rerun import read
from decisioning.learning.features import learn_schema, paired_matrix
from decisioning.learning.scorer import Trees
from decisioning.models import Decision, Outcome, Snapshot
from decisioning.store import artefacts, catalogue, snapshot
from rules import rulebook
from rules.models import Rule

from .shop import NOW, a_decision

pytestmark = pytest.mark.django_db

FACTS = {"orders_30d": 3, "recent_purchase_in_category": ["trail shoes"]}


def page_of(decision: Decision, action: str = "change") -> str:
    return f"/admin/decisioning/decision/{decision.pk}/{action}/"


def a_rule(key: str, text: str) -> None:
    rule, _ = Rule.objects.update_or_create(key=key, defaults={"name": f"The rule {key}", "text": text})
    rulebook.publish(rule, None, catalogue.current())


def learned() -> None:
    """An active scorer by which those who order often convert more."""
    dice = np.random.default_rng(3)
    facts = [{"orders_30d": int(orders)} for orders in dice.integers(0, 8, 1500)]
    contents = list(Content.objects.order_by("key"))
    schema = learn_schema({"orders_30d": "number"}, facts, contents, {})
    which = list(dice.integers(0, len(contents), 1500))
    converted = (dice.random(1500) < [who["orders_30d"] / 10 for who in facts]).astype(np.int8)
    rows = paired_matrix(schema, facts, contents, which)
    scorer = Trees(schema, trees=10).fit(rows, converted, [contents[n].key for n in which])
    artefacts.activate(artefacts.keep("scorer", scorer.to_artefact(), schema.hash, {}, NOW), tried=True)


def a_shop_with_a_decision(shop: dict[str, Any]) -> Decision:
    """One that the product itself decided: a rule that held, one that did not, a scorer, something dropped."""
    Placement.objects.filter(key="home").update(policy="greedy", exploration=0)
    Rule.objects.filter(key="eco").update(active=False)
    Content.objects.filter(key="eco-banner").update(
        body={"title": "Walk on", "image": "/static/decisioning/favicon.svg"}
    )
    Content.objects.create(key="late", name="Too late", ends_at=NOW)
    a_rule("shoes", 'IF recent_purchase_in_category = "trail shoes" THEN SHOW "eco-banner"')
    a_rule("kiosk", 'IF device = "kiosk" AND NOT orders_30d > 2 THEN HIDE "eco-banner"')
    learned()
    built = snapshot.build()
    assert built is not None
    prepared, customer = read(built.pk), shop["customers_customer"]
    profile = Profile(customer.pk, customer.key, 1, FACTS, ("kiosk-users",))
    ask = Ask("home", None, profile, {"device": {"type": "kiosk"}}, customer.key, "r-1")
    found = resolve(prepared, ask, NOW)
    row = row_of(UUID(int=77), prepared, ask, found, NOW, "api", {"mode": "execute"})
    row.save(force_insert=True)
    return Decision.objects.get(pk=row.pk)


@pytest.fixture
def decision(shop: dict[str, Any]) -> Decision:
    return a_shop_with_a_decision(shop)


def test_the_page_tells_everything_of_a_decision(browser: Client, decision: Decision) -> None:
    Outcome.objects.create(
        decision_id=decision.pk, content="eco-banner", kind="click", at=NOW + timedelta(minutes=3), message_id="m-3"
    )
    page = browser.get(page_of(decision)).content.decode()
    for words in (
        "because you bought trail shoes",
        "Eco &lt;b&gt;banner&lt;/b&gt;",
        "/static/decisioning/favicon.svg",
        "shown by rule shoes",
        "SHOW eco-banner",
        "does not hold",
        "Recent purchases",
        "outside its dates",
        "Orders in 30 days",
        "Kiosk users",
        "+3.0 min",
        "Replay on the same snapshot",
    ):
        assert words in page, words


def test_the_path_narrows_from_step_to_step(decision: Decision) -> None:
    steps = {step["step"]: (step["came"], step["left"]) for step in story(decision)["funnel"]}
    assert steps == {"audience": (3, 3), "eligibility": (3, 2), "holdout": (2, 2), "rules": (2, 2), "pick": (2, 1)}


def test_a_rule_that_did_not_hold_shows_what_failed(decision: Decision) -> None:
    rules = {rule["key"]: rule for rule in story(decision)["rules"]}
    assert rules["kiosk"]["state"] == "does not hold"
    tests = rules["kiosk"]["tree"]["parts"]
    assert [part["result"] for part in tests] == [True, False]
    assert tests[1]["parts"][0]["shown"] == "3"


def test_the_bars_have_the_length_and_side_of_their_shares(decision: Decision) -> None:
    scores = story(decision)["scores"]
    assert scores is not None
    orders = next(part for part in scores["parts"] if part["label"] == "Orders in 30 days")
    assert orders["width"] == pytest.approx(scores["half"], abs=0.1)
    assert orders["up"] == (orders["share"] > 0) == (orders["x"] == scores["half"])
    assert sum(part["share"] for part in scores["parts"]) + scores["base"] == pytest.approx(
        scores["log_odds"], abs=1e-6
    )


@pytest.mark.parametrize("address", ["https://elsewhere.example/a.png", "//elsewhere.example/a.png", 7, None])
def test_no_other_host_is_asked_for_a_picture(browser: Client, decision: Decision, address: Any) -> None:
    Content.objects.filter(key="eco-banner").update(body={"image": address})
    told = story(decision)
    assert told["chosen"][0]["picture"] == ""
    assert "<img class" not in browser.get(page_of(decision)).content.decode()


def test_a_replay_on_the_same_snapshot_is_equal(browser: Client, decision: Decision) -> None:
    page = browser.get(page_of(decision, "replay"))
    assert page.context["told"]["identical"] is True
    assert "Equal to the last bit" in page.content.decode()


def test_a_replay_on_the_current_one_names_what_made_the_difference(browser: Client, decision: Decision) -> None:
    a_rule("shoes", 'IF recent_purchase_in_category = "trail shoes" THEN SHOW "fuel-coupon"')
    Content.objects.filter(key="late").update(name="Far too late")
    snapshot.build()
    answer = browser.get(f"{page_of(decision, 'replay')}?on=current")
    page = answer.content.decode()
    assert [(cause["key"], cause["label"]) for cause in answer.context["causes"]] == [
        ("shoes", "changes the answer"),
        ("late", "changes nothing here"),
    ]
    slot = answer.context["slots"][0]
    assert (slot["then"]["key"], slot["now"]["key"], slot["same"]) == ("eco-banner", "fuel-coupon", False)
    assert f"/admin/rules/rule/{Rule.objects.get(key='shoes').pk}/change/" in page
    assert Decision.objects.filter(placement="home").count() == 2


def test_a_snapshot_that_is_gone_is_said_with_the_cure(browser: Client, decision: Decision) -> None:
    a_rule("other", 'IF orders_30d > 1 THEN HIDE "late"')
    snapshot.build()
    Snapshot.objects.filter(pk=decision.snapshot).delete()
    page = browser.get(page_of(decision, "replay")).content.decode()
    assert f"Snapshot {decision.snapshot} is gone" in page
    assert (
        "the snapshot of then is gone"
        in browser.get(f"{page_of(decision, 'replay')}?on=current").content.decode().lower()
    )
    assert "is gone" in browser.get(page_of(decision)).content.decode()


def test_a_decision_of_nobody_without_anything_says_what_to_do(browser: Client, shop: dict[str, Any]) -> None:
    changes = {"items": [], "explanation": {}, "facts": {}, "context": {}, "customer_id": None, "customer_key": ""}
    row = Decision.objects.create(**a_decision(shop["customers_customer"], id=UUID(int=8)) | changes)
    page = browser.get(page_of(row)).content.decode()
    for words in (
        "nobody known yet",
        "Give it one",
        "No content was a candidate",
        "No impression, click or conversion",
    ):
        assert words in page


def test_only_those_who_may_view_decisions_see_page_and_replay(visitor: Client, decision: Decision) -> None:
    addresses = [page_of(decision), page_of(decision, "replay"), "/admin/decisioning/decision/"]
    assert [visitor.get(address).status_code for address in addresses] == [403, 403, 403]
    User.objects.get(username="vic").user_permissions.add(Permission.objects.get(codename="view_decision"))
    assert [visitor.get(address).status_code for address in addresses] == [200, 200, 200]


def test_an_unknown_decision_has_no_replay(browser: Client) -> None:
    assert browser.get(f"/admin/decisioning/decision/{UUID(int=5)}/replay/").status_code == 404


def test_the_customers_page_leads_to_their_decisions(browser: Client, shop: dict[str, Any], decision: Decision) -> None:
    page = browser.get(f"/admin/customers/customer/{shop['customers_customer'].pk}/change/").content.decode()
    assert "/admin/decisioning/decision/?customer=hh-1" in page


def test_a_name_comes_with_its_page(shop: dict[str, Any]) -> None:
    found = known(Content, {"eco-banner", "nothing"})
    assert list(found) == ["eco-banner"]
    assert found["eco-banner"]["url"].startswith("/admin/campaigns/content/")
    assert Customer.objects.filter(key="hh-1").exists()
