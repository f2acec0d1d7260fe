"""What a rule, a condition or an audience names cannot be deleted from under it; who names it is told."""

import re
from typing import Any

import pytest
from django.db import models
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign, Content, Placement
from decisioning.store import catalogue
from rules import rulebook
from rules.models import Rule, Segment

from .shop import NO_REACTIONS

pytestmark = pytest.mark.django_db


@pytest.fixture
def lapsing(shop: dict[str, Any]) -> Segment:
    return Segment.objects.create(key="lapsing", name="Lapsing <shoppers>", condition="orders_30d = 0")


def list_of(row: models.Model) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/"


def refusal(browser: Client, row: models.Model) -> str:
    """The page that refuses to delete a row, one by one and in bulk; it must still be there afterwards."""
    one = f"{list_of(row)}{row.pk}/delete/"
    bulk = {"action": "delete_selected", "_selected_action": [row.pk]}
    asked, told = browser.get(one).content.decode(), browser.post(one, {"post": "yes"}).content.decode()
    many = browser.post(list_of(row), bulk | {"post": "yes"}).content.decode()
    assert type(row).objects.filter(pk=row.pk).exists()
    lines = [
        re.findall(r"<li>\s*(.*?)\s*</li>", page.partition("protected related")[2]) for page in (asked, told, many)
    ]
    assert lines[0] == lines[1] == lines[2] != []
    return "\n".join(lines[0])


def deleted(browser: Client, *rows: models.Model) -> bool:
    form = {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"}
    browser.post(list_of(rows[0]), form)
    return not type(rows[0]).objects.filter(pk__in=[row.pk for row in rows]).exists()


@pytest.mark.parametrize(
    "condition",
    [
        'segments CONTAINS "lapsing"',
        'customer_segment = "Lapsing <shoppers>"',
        'device = "web" AND NOT customer_segment IN ("kiosk-users", "LAPSING <SHOPPERS>") IGNORING CASE',
    ],
)
def test_a_segment_in_a_draft_stays(browser: Client, lapsing: Segment, condition: str) -> None:
    rule = Rule.objects.create(key="draft", name="Win <b>back", text=f'IF {condition} THEN SHOW "eco-banner"')
    told = refusal(browser, lapsing)
    assert f"/admin/rules/rule/{rule.pk}/change/" in told
    assert "Win &lt;b&gt;back</a>: the draft names “Lapsing &lt;shoppers&gt;”" in told


def test_a_segment_in_what_was_published_stays_though_the_draft_left_it(browser: Client, lapsing: Segment) -> None:
    rule = Rule.objects.create(key="r", name="Back", text='IF segments CONTAINS "lapsing" THEN HIDE "fuel-coupon"')
    rulebook.publish(rule, None, catalogue.current())
    Rule.objects.filter(pk=rule.pk).update(text='IF device = "web" THEN HIDE "fuel-coupon"')
    told = refusal(browser, lapsing)
    assert "published revision 1 names" in told
    assert "the draft" not in told
    rule.delete()
    assert deleted(browser, lapsing)


def test_a_segment_in_conditions_and_audiences_stays(browser: Client, shop: dict[str, Any], lapsing: Segment) -> None:
    asks = 'segments CONTAINS "lapsing"'
    other = Segment.objects.create(key="other", name="Other one", condition=f"{asks} AND orders_30d > 1")
    Placement.objects.filter(key="home").update(audience=asks)
    Campaign.objects.filter(key="welcome").update(audience=asks)
    told = refusal(browser, lapsing)
    assert len(told.splitlines()) == 3
    for line in ("Other one</a>: the condition", "Home page</a>: the audience", "Welcome</a>: the audience"):
        assert line in told
    Placement.objects.update(audience="")
    Campaign.objects.update(audience="")
    assert not deleted(browser, lapsing)
    assert deleted(browser, lapsing, other)


@pytest.mark.parametrize(
    "actions",
    ['HIDE "fuel-coupon"', 'SHOW "eco-banner" ELSE PIN "fuel-coupon" AT 1', 'BOOST WHERE key = "fuel-coupon" BY 2'],
)
def test_a_content_a_rule_aims_at_stays(browser: Client, shop: dict[str, Any], actions: str) -> None:
    Rule.objects.create(key="aims", name="Aims", text=f'IF device = "web" THEN {actions}')
    assert rulebook.find_problems(Rule.objects.get(key="aims").text, catalogue.current()) == []
    assert "Aims</a>: the draft names “Fuel coupon”" in refusal(browser, shop["campaigns_content"])


def test_a_campaign_a_rule_starts_stays(browser: Client, shop: dict[str, Any]) -> None:
    campaign = Campaign.objects.create(key="thanks", name="Thanks", trigger="event", event_name="x", subject="x")
    rule = Rule.objects.create(key="starts", name="Starts", text='IF device = "web" THEN START CAMPAIGN "thanks"')
    assert "Starts</a>: the draft names “Thanks”" in refusal(browser, campaign)
    rule.delete()
    assert deleted(browser, campaign)


def test_what_nobody_names_goes(browser: Client, shop: dict[str, Any], lapsing: Segment) -> None:
    Rule.objects.create(key="broken", name="Broken", text='IF segments CONTAINS "lapsing" THEN')
    assert deleted(browser, lapsing)
    assert deleted(browser, shop["campaigns_content"])
    assert Content.objects.filter(key="eco-banner").exists()


@pytest.mark.parametrize(
    ("of_a", "of_b", "said"),
    [
        ('segments CONTAINS "a"', "orders_30d > 1", "its own segment"),
        ('customer_segment = "Alpha"', "orders_30d > 1", "its own segment"),
        ('segments CONTAINS "b"', 'segments CONTAINS "a"', "a → b → a"),
        ('customer_segment = "Beta"', 'NOT customer_segment = "Alpha"', "a → b → a"),
    ],
)
def test_a_circle_of_segments_is_a_form_error(
    browser: Client, shop: dict[str, Any], of_a: str, of_b: str, said: str
) -> None:
    a = Segment.objects.create(key="a", name="Alpha", condition="orders_30d > 2")
    Segment.objects.create(key="b", name="Beta", condition=of_b)
    form = {"name": "Alpha", "kind": "condition", "condition": of_a, "active": "on", **NO_REACTIONS}
    answer = browser.post(f"/admin/rules/segment/{a.pk}/change/", form)
    assert said in answer.context["adminform"].form.errors["condition"][0]
    a.refresh_from_db()
    assert a.condition == "orders_30d > 2"


def test_segments_may_build_on_one_another_without_a_circle(browser: Client, lapsing: Segment) -> None:
    text = 'segments CONTAINS "lapsing"'
    form = {"name": "New", "key": "new", "kind": "condition", "condition": text, **NO_REACTIONS}
    assert browser.post("/admin/rules/segment/add/", form | {"active": "on"}).status_code == 302
    new = Segment.objects.get(key="new")
    both = form | {"condition": 'customer_segment IN ("lapsing", "Kiosk users")', "active": "on"}
    assert browser.post(f"/admin/rules/segment/{new.pk}/change/", both).status_code == 302
    # Another segment of the same name is asked for too, and would close the circle.
    Segment.objects.filter(key="kiosk-users").update(name="New")
    form |= {"name": "Lapsing", "condition": 'customer_segment = "New"', "active": "on"}
    answer = browser.post(f"/admin/rules/segment/{lapsing.pk}/change/", form)
    assert "lapsing → new → lapsing" in answer.context["adminform"].form.errors["condition"][0]


@pytest.mark.parametrize("change", [{"name": "Other"}, {"active": ""}])
def test_a_name_that_others_count_on_is_neither_changed_nor_switched_off(
    browser: Client, change: dict[str, str]
) -> None:
    inner = Segment.objects.create(key="eco", name="Eco people", condition="orders_30d >= 1")
    outer = Segment.objects.create(key="nest", name="Nest", condition='customer_segment = "Eco people"')
    form = {"name": "Eco people", "condition": inner.condition, "active": "on", **NO_REACTIONS, **change}
    form = {name: value for name, value in form.items() if value}
    answer = browser.post(reverse("admin:rules_segment_change", args=[inner.pk]), form)
    inner.refresh_from_db()
    assert (answer.status_code, inner.name, inner.active) == (200, "Eco people", True)
    assert "take it out there first" in answer.text
    Segment.objects.filter(pk=outer.pk).update(condition='customer_segment = "eco"')
    renamed = browser.post(reverse("admin:rules_segment_change", args=[inner.pk]), form | {"active": "on"})
    assert renamed.status_code == 302, "by its key it is still known"


def test_two_segments_never_go_by_one_word(browser: Client) -> None:
    Segment.objects.create(key="nest1", name="Nest", condition="orders_30d >= 1")
    form = {"name": "NEST1", "key": "other", "kind": "condition", "condition": "orders_30d >= 2", "active": "on"}
    answer = browser.post(reverse("admin:rules_segment_add"), {**form, **NO_REACTIONS})
    assert answer.status_code == 200 and "take another one" in answer.text
    assert Segment.objects.count() == 1


def test_the_kind_of_a_segment_is_chosen_once_and_never_clustering(browser: Client) -> None:
    segment = Segment.objects.create(key="s", name="S", condition="orders_30d >= 1")
    form = {"name": "S", "kind": "list", "condition": segment.condition, "active": "on", **NO_REACTIONS}
    assert browser.post(reverse("admin:rules_segment_change", args=[segment.pk]), form).status_code == 302
    segment.refresh_from_db()
    assert segment.kind == "condition"
    new = {**form, "name": "New", "key": "new", "kind": "cluster"}
    assert browser.post(reverse("admin:rules_segment_add"), new).status_code == 200
    assert Segment.objects.count() == 1
