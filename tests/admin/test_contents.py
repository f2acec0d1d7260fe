"""Contents, placements, campaigns: what PostgreSQL or a mail cannot carry is a form error, not a failure."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from campaigns.models import Campaign, Content, Placement
from decisioning.store.freeze import freeze

pytestmark = pytest.mark.django_db

CONTENT = {"name": "Fuel", "body": "{}", "attributes": "{}", "tags": "", "value": "1", "active": "on"}
CAMPAIGN = {
    "name": "Welcome",
    "channel": "email",
    "trigger": "event",
    "event_name": "Order Completed",
    "subject": "Hello {{ customer.first_name }}",
    "body": "<p>Hi</p>",
    "active": "on",
}
PLACEMENT = {
    "name": "Home",
    "count": "1",
    "audience": "",
    "objective": "conversion",
    "policy": "epsilon",
    "exploration": "0.1",
    "window_hours": "24",
    "active": "on",
}


def errors_of(browser: Client, page: str, form: dict[str, Any]) -> dict[str, list[str]]:
    answer = browser.post(page, form)
    assert answer.status_code == 200, "the form was accepted"
    return answer.context["adminform"].form.errors


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("body", '{"a": NaN}', "NaN is not JSON"),
        ("body", '{"a": 1e999}', "lies outside"),
        ("body", '{"a": -1e30}', "The number -1e30 lies outside"),
        ("body", '{"a": "\\u0000"}', "NUL"),
        ("body", '{"a": "\\ud800"}', "surrogate"),
        ("body", '{"a": 1, "a": 2}', "stands twice"),
        ("body", "[" * 50_000, "at most 20 levels deep; move"),
        ("body", '{"a":' * 900 + "1" + "}" * 900, "at most 20 levels deep; move"),
        ("body", '{"a":' * 21 + "1" + "}" * 21, "at most 20 levels deep; move"),
        ("attributes", '{"a": [' + "1" * 30 + "]}", "write it as text, in quotes"),
        ("attributes", '{"a": -9007199254740993}', "lies outside ±9,007,199,254,740,992"),
        ("body", "{'a': 1}", "Line 1, column 2"),
        ("body", "[1]", "object"),
        ("attributes", '{\n "a": }', "Line 2, column 7"),
        ("attributes", "9" * 5000, "write it as text"),
        ("value", "nan", ""),
        ("value", "-1", ""),
        ("name", "a\x00b", ""),
    ],
)
def test_what_the_database_cannot_keep_is_a_form_error(
    browser: Client, shop: dict[str, Any], field: str, typed: str, said: str
) -> None:
    content = shop["campaigns_content"]
    before = Content.objects.filter(pk=content.pk).values().get()
    errors = errors_of(browser, f"/admin/campaigns/content/{content.pk}/change/", CONTENT | {field: typed})
    assert said in errors[field][0]
    assert Content.objects.filter(pk=content.pk).values().get() == before


def test_tags_and_objects_are_kept_as_typed(browser: Client, shop: dict[str, Any]) -> None:
    form = CONTENT | {"key": "new", "tags": "eco, produce,, eco", "attributes": '{"margin": 0.5, "ü": "é"}'}
    assert browser.post("/admin/campaigns/content/add/", form).status_code == 302
    content = Content.objects.get(key="new")
    assert (content.tags, content.attributes, content.body) == (
        ["eco", "produce"],
        {"margin": 0.5, "ü": "é"},
        {},
    )
    page = browser.get(f"/admin/campaigns/content/{content.pk}/change/").content.decode()
    assert 'value="eco, produce"' in page
    assert "ü" in page


def test_twenty_levels_and_the_largest_numbers_are_kept(browser: Client, shop: dict[str, Any]) -> None:
    content = shop["campaigns_content"]
    deepest = '{"a":' * 20 + "1" + "}" * 20
    form = CONTENT | {"body": deepest, "attributes": f'{{"most": {2**53}, "least": {-(2**53)}, "float": 1e15}}'}
    assert browser.post(f"/admin/campaigns/content/{content.pk}/change/", form).status_code == 302
    content.refresh_from_db()
    assert content.attributes == {"most": 2**53, "least": -(2**53), "float": 1e15}
    assert str(content.body).count("{") == 20


def test_a_content_that_came_in_too_deep_is_shown_cut_and_cannot_be_saved_so(
    browser: Client, shop: dict[str, Any]
) -> None:
    content = shop["campaigns_content"]
    with connection.cursor() as cursor:
        text = '{"a":' * 400 + "1" + "}" * 400
        cursor.execute("UPDATE campaigns_content SET body = %s::jsonb WHERE id = %s", [text, content.pk])
    page = f"/admin/campaigns/content/{content.pk}/change/"
    shown = browser.get(page).context["adminform"].form["body"].value()
    assert shown.count("{") == 20 and "…" in shown
    assert "Line 1" in errors_of(browser, page, CONTENT | {"body": shown})["body"][0]


def test_an_untouched_form_changes_nothing(browser: Client, shop: dict[str, Any]) -> None:
    content = Content.objects.get(key="eco-banner")
    form = CONTENT | {"name": content.name, "tags": " eco ", "attributes": '{"margin":  0.4}', "body": ""}
    browser.post(f"/admin/campaigns/content/{content.pk}/change/", form)
    assert Content.objects.filter(pk=content.pk).values("tags", "attributes", "body").get() == {
        "tags": ["eco"],
        "attributes": {"margin": 0.4},
        "body": {},
    }


def test_a_placements_audience_is_checked(browser: Client, shop: dict[str, Any]) -> None:
    page = f"/admin/campaigns/placement/{shop['campaigns_placement'].pk}/change/"
    assert "Line 1, column 1" in errors_of(browser, page, PLACEMENT | {"audience": 'divice = "web"'})["audience"][0]
    assert "count" in errors_of(browser, page, PLACEMENT | {"count": "0"})
    assert browser.post(page, PLACEMENT | {"audience": 'device = "web"'}).status_code == 302
    assert Placement.objects.get(key="home").audience == 'device = "web"'


def test_a_placements_default_contents_are_typed_on_its_page_and_go_live(browser: Client, shop: dict[str, Any]) -> None:
    home = shop["campaigns_placement"]
    for key in ("plain", "quiet"):
        Content.objects.create(key=key, name=key.title())
    page = f"/admin/campaigns/placement/{home.pk}/change/"
    refused = errors_of(browser, page, PLACEMENT | {"default_contents": "plain, quite"})["default_contents"]
    assert refused == ['There is no content "quite". Did you mean "quiet"?']
    assert browser.post(page, PLACEMENT | {"default_contents": "quiet, plain"}).status_code == 302
    assert [content.key for content in home.defaults.all()] == ["plain", "quiet"]
    assert freeze().placements[0].defaults == ("plain", "quiet")
    shown = browser.get(page).content.decode()
    assert 'value="plain, quiet"' in shown
    assert browser.post(page, PLACEMENT | {"default_contents": ""}).status_code == 302
    assert not home.defaults.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"subject": "Hello {{ customer.name"}, "subject"),
        ({"body": "{% if x %}never closed"}, "body"),
        ({"subject": "Hello\nBcc: everybody@example.com"}, "subject"),
        ({"audience": "orders_30d >"}, "audience"),
        ({"event_name": ""}, "event_name"),
        ({"trigger": "segment"}, "segment"),
    ],
)
def test_a_campaign_that_could_not_be_sent_is_a_form_error(
    browser: Client, shop: dict[str, Any], changes: dict[str, str], field: str
) -> None:
    campaign = shop["campaigns_campaign"]
    before = Campaign.objects.filter(pk=campaign.pk).values().get()
    errors = errors_of(browser, f"/admin/campaigns/campaign/{campaign.pk}/change/", CAMPAIGN | changes)
    assert list(errors) == [field]
    assert Campaign.objects.filter(pk=campaign.pk).values().get() == before


def test_a_campaign_is_saved(browser: Client, shop: dict[str, Any]) -> None:
    form = CAMPAIGN | {"key": "thanks", "trigger": "segment", "segment": shop["rules_segment"].pk}
    assert browser.post("/admin/campaigns/campaign/add/", form).status_code == 302
    assert Campaign.objects.get(key="thanks").segment == shop["rules_segment"]
