"""Every page opens with and without data, strangers must log in, and read-only pages change nothing."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from campaigns.models import Message
from decisioning.store import snapshot

OURS = {"campaigns", "customers", "decisioning", "rules", "auth"}
PAGES = sorted(
    f"{model._meta.app_label}_{model._meta.model_name}"
    for model in admin.site._registry
    if model._meta.app_label in OURS
)
WRITTEN = ["campaigns_campaign", "campaigns_content", "campaigns_placement", "rules_rule", "rules_segment"]
READ_ONLY = ["campaigns_message", "customers_customer", "decisioning_artefact", "decisioning_decision"]

pytestmark = pytest.mark.django_db


def url(page: str, action: str = "changelist", *args: object) -> str:
    return reverse(f"admin:{page}_{action}", args=args)


def test_every_model_marketers_meet_has_its_page() -> None:
    assert {*WRITTEN, *READ_ONLY, "decisioning_apikey", "decisioning_snapshot"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_list_opens(browser: Client, page: str) -> None:
    assert browser.get(url(page)).status_code == 200


@pytest.mark.parametrize("page", [*WRITTEN, "decisioning_apikey", "auth_user", "auth_group"])
def test_an_empty_form_opens(browser: Client, page: str) -> None:
    assert browser.get(url(page, "add")).status_code == 200


@pytest.mark.parametrize("page", [*WRITTEN, *READ_ONLY, "decisioning_apikey"])
def test_a_list_and_a_row_open(browser: Client, shop: dict[str, Any], page: str) -> None:
    row = shop[page]
    assert str(row.pk) in browser.get(url(page)).content.decode()
    assert browser.get(url(page, "change", row.pk)).status_code == 200
    assert browser.get(url(page, "history", row.pk)).status_code == 200


@pytest.mark.parametrize("page", [*WRITTEN, *READ_ONLY, "decisioning_apikey"])
def test_a_search_never_fails(browser: Client, shop: dict[str, Any], page: str) -> None:
    for term in ("hh-1", "eco", "%00", "'"):
        assert browser.get(f"{url(page)}?q={term}").status_code in (200, 302)


def test_whoever_logs_in_without_having_asked_for_a_page_comes_to_the_first(client: Client, marketer: User) -> None:
    marketer.set_password("a long word")
    marketer.save()
    answer = client.post("/admin/login/", {"username": "mia", "password": "a long word"})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("page", PAGES)
def test_a_row_that_does_not_exist_leads_back_and_not_to_an_error(browser: Client, page: str) -> None:
    assert browser.get(url(page, "change", "no-such-row")).status_code == 302


@pytest.mark.parametrize("page", ["campaigns_message/send_again", "decisioning_artefact/activate"])
def test_an_action_on_a_row_that_does_not_exist_is_not_found(browser: Client, page: str) -> None:
    for row in ("no-such-row", "999999"):
        assert browser.post(url(*page.split("/"), row)).status_code == 404


@pytest.mark.parametrize("page", PAGES)
def test_strangers_are_asked_to_log_in(client: Client, page: str) -> None:
    answer = client.get(url(page))
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, reverse("admin:login"))


@pytest.mark.parametrize("page", PAGES)
def test_people_without_permission_are_refused(visitor: Client, page: str) -> None:
    assert visitor.get(url(page)).status_code == 403


@pytest.mark.parametrize("page", READ_ONLY)
def test_read_only_pages_refuse_whatever_is_posted(browser: Client, shop: dict[str, Any], page: str) -> None:
    row = shop[page]
    before = type(row).objects.filter(pk=row.pk).values().get()
    for action, args in (("change", (row.pk,)), ("add", ()), ("delete", (row.pk,))):
        assert browser.post(url(page, action, *args), {"key": "x", "post": "yes"}).status_code == 403
    browser.post(url(page), {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})
    assert type(row).objects.filter(pk=row.pk).values().get() == before


def test_a_snapshot_shows_the_rules_it_holds(browser: Client, shop: dict[str, Any]) -> None:
    row = snapshot.build()
    assert row is not None
    assert browser.get(url("decisioning_snapshot")).status_code == 200
    page = browser.get(url("decisioning_snapshot", "change", row.pk)).content.decode()
    assert "eco (revision 1" in page
    assert "SHOW &quot;eco-banner&quot;" in page


def test_names_are_escaped_wherever_they_are_shown(browser: Client, shop: dict[str, Any]) -> None:
    assert "<b>banner" not in browser.get(url("campaigns_content")).content.decode()


@pytest.mark.parametrize("levels", [30, 900, 940, 4000])
@pytest.mark.parametrize(("start", "end"), [('{"a":', "}"), ("[", "]")])
def test_a_decision_whose_context_nests_deep_is_shown_shortened(
    browser: Client, shop: dict[str, Any], levels: int, start: str, end: str
) -> None:
    nested = f'{{"os": {start * levels}1{end * levels}}}'
    with connection.cursor() as cursor:
        cursor.execute("UPDATE decisioning_decision SET context = %s::jsonb", [nested])
    page = browser.get(url("decisioning_decision", "change", shop["decisioning_decision"].pk))
    assert page.status_code == 200
    context = page.content.decode().partition("Context:")[2].partition("</p>")[0]
    assert "…" in context
    assert len(context) < 1000
    assert "eco-banner" in browser.get(url("decisioning_decision")).content.decode()


def test_a_customer_page_tells_their_story(browser: Client, shop: dict[str, Any]) -> None:
    page = browser.get(url("customers_customer", "change", shop["customers_customer"].pk)).content.decode()
    for word in ("hh-1@example.com", "35-44", "Order Completed", "Kiosk users", "eco-banner", "Welcome"):
        assert word in page


def test_a_customer_is_found_by_any_identity_but_not_by_half_of_one(browser: Client, shop: dict[str, Any]) -> None:
    found = browser.get(f"{url('customers_customer')}?q=hh-1@example.com").context["cl"].result_count
    half = browser.get(f"{url('customers_customer')}?q=example.com").context["cl"].result_count
    assert (found, half) == (1, 0)


def test_a_message_is_previewed_where_nothing_in_it_can_run(browser: Client, shop: dict[str, Any]) -> None:
    page = browser.get(url("campaigns_message", "change", shop["campaigns_message"].pk)).content.decode()
    assert 'sandbox srcdoc="' in page
    assert "<script>alert" not in page


def test_only_stopped_messages_are_sent_again(browser: Client, shop: dict[str, Any]) -> None:
    stopped = shop["campaigns_message"]
    sent = Message.objects.create(
        campaign=stopped.campaign, customer=stopped.customer, trigger_key="e2", state="sent", attempts=1
    )
    action = {"action": "send_selected_again", "_selected_action": [stopped.pk, sent.pk]}
    page = browser.post(url("campaigns_message"), action, follow=True).content.decode()
    assert "1 to be sent again" in page
    assert list(Message.objects.order_by("pk").values_list("state", flat=True)) == ["pending", "sent"]


def test_sending_one_again_asks_first(browser: Client, shop: dict[str, Any]) -> None:
    stopped = shop["campaigns_message"]
    again = url("campaigns_message", "send_again", stopped.pk)
    assert "twice" in browser.get(again).content.decode()
    stopped.refresh_from_db()
    assert stopped.state == "unknown"
    assert browser.post(again).status_code == 302
    stopped.refresh_from_db()
    assert stopped.state == "pending"
    assert "Nothing was changed" in browser.post(again, follow=True).content.decode()


def test_sending_again_needs_the_permission(visitor: Client, shop: dict[str, Any]) -> None:
    User.objects.get(username="vic").user_permissions.add(Permission.objects.get(codename="view_message"))
    stopped = shop["campaigns_message"]
    assert visitor.get(url("campaigns_message")).status_code == 200
    assert visitor.post(url("campaigns_message", "send_again", stopped.pk)).status_code == 403
    visitor.post(url("campaigns_message"), {"action": "send_selected_again", "_selected_action": stopped.pk})
    stopped.refresh_from_db()
    assert stopped.state == "unknown"
