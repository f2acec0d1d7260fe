"""The first page, decisions, artefacts and API keys: what is shown is what the database holds."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, RequestFactory

from decisioning.admin import environment_label
from decisioning.config import clock
from decisioning.console.tables import figures_of
from decisioning.models import ApiKey, Artefact, Decision
from decisioning.store import artefacts, keys

from .shop import NOW, a_decision, a_scorer

pytestmark = pytest.mark.django_db


def label(settings: Any) -> list[str]:
    return environment_label(RequestFactory().get("/"))


def test_the_badge_names_where_this_runs(settings: Any) -> None:
    assert label(settings) == ["test", "info"]


def test_the_badge_names_the_date_where_the_clock_was_set_back(settings: Any) -> None:
    settings.ENVIRONMENT, settings.CLOCK_OFFSET = "demo", -86400 * 365
    today = clock.now()
    assert label(settings) == [f"demo · it is {today.day} {today:%B %Y} here", "warning"]


def test_an_empty_overview_says_what_to_do_first(browser: Client) -> None:
    page = browser.get("/admin/").content.decode()
    for advice in ("Write a rule", "Describe an audience", "API key", "Nothing to send so far"):
        assert advice in page


def test_the_overview_counts_decisions_of_the_products_last_day(browser: Client, shop: dict[str, Any]) -> None:
    Decision.objects.all().delete()
    now, customer = clock.now(), shop["customers_customer"]
    moments = [("full", 1), ("full", 5), ("default", 23), ("full", 25)]
    for number, (rung, hours) in enumerate(moments):
        at = now - timedelta(hours=hours)
        Decision.objects.create(**a_decision(customer, id=UUID(int=100 + number), at=at, rung=rung))
    rungs = {rung["name"]: (rung["count"], rung["share"]) for rung in browser.get("/admin/").context["rungs"]}
    assert rungs["full"] == ("2", 66.7)
    assert rungs["default"] == ("1", 33.3)
    assert rungs["rules"] == ("0", 0)


def test_the_overview_shows_messages_segments_and_the_scorer(browser: Client, shop: dict[str, Any]) -> None:
    artefacts.activate(shop["decisioning_artefact"], tried=True)
    answer = browser.get("/admin/")
    assert [(state["label"], state["count"]) for state in answer.context["messages_by_state"]] == [
        ("may have been sent", "1")
    ]
    assert [(segment["name"], segment["share"]) for segment in answer.context["segments"]] == [("Kiosk users", 100)]
    assert "AUC 0.812" in answer.content.decode()


def test_a_decision_is_told_with_its_reasons(browser: Client, shop: dict[str, Any]) -> None:
    page = browser.get(f"/admin/decisioning/decision/{shop['decisioning_decision'].pk}/change/").content.decode()
    for word in (
        "shown by rule eco",
        "0.3125",
        "0.95",
        "SHOW eco-banner",
        "does not hold",
        "outside its dates",
    ):
        assert word in page
    assert f"/admin/rules/rule/{shop['rules_rule'].pk}/change/" in page
    assert f"/admin/customers/customer/{shop['customers_customer'].pk}/change/" in page


@pytest.mark.parametrize(
    "changes",
    [
        {"items": [], "explanation": {}, "facts": {}, "context": {}},
        {"customer_id": None, "customer_key": "", "snapshot": None, "scorer": None, "rung": "default"},
        {"items": [{"key": "gone", "rank": 1, "score": None, "propensity": 1.0}]},
    ],
)
def test_a_decision_with_hardly_anything_known_is_still_told(
    browser: Client, shop: dict[str, Any], changes: dict[str, Any]
) -> None:
    row = Decision.objects.create(**a_decision(shop["customers_customer"], id=UUID(int=8)) | changes)
    assert browser.get(f"/admin/decisioning/decision/{row.pk}/change/").status_code == 200


def test_activating_an_artefact_asks_first_and_replaces_the_other(browser: Client, shop: dict[str, Any]) -> None:
    old, new = shop["decisioning_artefact"], artefacts.keep("scorer", a_scorer(), "0" * 64, {}, NOW)
    artefacts.activate(old, tried=True)
    page = f"/admin/decisioning/artefact/{new.pk}/activate/"
    assert "replaces the active scorer" in browser.get(page).content.decode()
    assert Artefact.objects.get(active=True) == old
    assert browser.post(page).status_code == 302
    assert Artefact.objects.get(active=True) == new


def test_an_altered_artefact_is_not_activated(browser: Client, shop: dict[str, Any]) -> None:
    artefact = shop["decisioning_artefact"]
    Artefact.objects.filter(pk=artefact.pk).update(data=b"other")
    page = browser.post(f"/admin/decisioning/artefact/{artefact.pk}/activate/", follow=True).content.decode()
    assert "was altered" in page
    assert not Artefact.objects.filter(active=True).exists()


def test_the_gates_word_is_asked_back_before_it_is_overruled_and_the_former_scorer_is_one_click_away(
    browser: Client, shop: dict[str, Any]
) -> None:
    check = {"name": "AUC against the champion", "passed": False, "words": "AUC gains nothing"}
    gate = {"promoted": False, "words": "keep the champion", "checks": [check]}
    metrics = {"refused": "keep the champion: AUC gains nothing", "gate": gate}
    old, new = shop["decisioning_artefact"], artefacts.keep("scorer", a_scorer(), "0" * 64, metrics, NOW)
    artefacts.activate(old, tried=True)
    page = f"/admin/decisioning/artefact/{new.pk}"
    shown = browser.get(f"{page}/change/")
    assert "Gate" not in dict(shown.context["tables"]) and shown.context["gate"].words == "keep the champion"
    assert "✗ failed" in shown.content.decode() and "against the gate" not in shown.content.decode()
    assert (
        "The gate refused it: keep the champion: AUC gains nothing" in browser.get(f"{page}/activate/").content.decode()
    )
    assert f"/{old.pk}/rollback/" not in browser.get(f"/admin/decisioning/artefact/{old.pk}/change/").content.decode()
    browser.post(f"{page}/activate/")
    assert Artefact.objects.get(active=True).note == "by mia in the admin"
    overruled = browser.get(f"{page}/change/").content.decode()
    assert f"/{new.pk}/rollback/" in overruled and "against the gate: “by mia in the admin”" in overruled
    assert "as it did before" in browser.get(f"{page}/rollback/").content.decode()
    assert "is active again" in browser.post(f"{page}/rollback/", follow=True).content.decode()
    assert Artefact.objects.get(active=True) == old
    assert browser.get(f"{page}/rollback/").status_code == 404


def test_metrics_are_tables(browser: Client, shop: dict[str, Any]) -> None:
    answer = browser.get(f"/admin/decisioning/artefact/{shop['decisioning_artefact'].pk}/change/")
    assert answer.context["tables"] == [("Metrics", [("AUC", "0.8123")]), ("By", [("Split", "2017-08-01")])]


def test_a_new_keys_secret_is_shown_once_and_kept_nowhere(browser: Client, marketer: Any) -> None:
    form = {"name": "Web shop", "scopes": ["decide", "track"], "active": "on"}
    answer = browser.post("/admin/decisioning/apikey/add/", form)
    secret = answer.context["secret"]
    key = ApiKey.objects.get()
    assert secret in answer.content.decode()
    assert (key.digest, key.scopes, secret.startswith(key.prefix)) == (
        keys.digest_of(secret),
        ["decide", "track"],
        True,
    )
    assert secret not in str(answer.cookies)
    assert secret not in str(dict(browser.session))
    for page in ("/admin/decisioning/apikey/", f"/admin/decisioning/apikey/{key.pk}/change/", "/admin/"):
        assert secret not in browser.get(page).content.decode()


def test_a_key_that_may_do_nothing_is_a_form_error(browser: Client) -> None:
    answer = browser.post("/admin/decisioning/apikey/add/", {"name": "Web shop", "active": "on"})
    assert list(answer.context["adminform"].form.errors) == ["scopes"]
    assert not ApiKey.objects.exists()


def test_changing_a_key_keeps_its_secret(browser: Client, shop: dict[str, Any]) -> None:
    key = shop["decisioning_apikey"]
    form = {"name": "Renamed", "scopes": ["read"]}
    assert browser.post(f"/admin/decisioning/apikey/{key.pk}/change/", form).status_code == 302
    row = ApiKey.objects.get(pk=key.pk)
    assert (row.name, row.scopes, row.active, row.digest) == ("Renamed", ["read"], False, key.digest)


def test_the_overview_shows_nothing_to_whoever_may_see_nothing(visitor: Client, shop: dict[str, Any]) -> None:
    artefacts.activate(shop["decisioning_artefact"], tried=True)
    answer = visitor.get("/admin/")
    page = answer.content.decode()
    assert "Ask whoever looks after accounts" in page
    for secret in ("Kiosk users", "AUC", "Rules in force", "Snapshot", "by rung", "Messages, by state"):
        assert secret not in page
    assert not {"segments", "rungs", "messages_by_state", "rules_on", "scorer", "snapshot"} & set(answer.context.keys())


@pytest.mark.parametrize(
    ("permission", "title"),
    [
        ("view_segment", "Segments, by size"),
        ("change_segment", "Segments, by size"),
        ("view_rule", "Rules in force"),
        ("view_snapshot", "Snapshot"),
        ("view_artefact", "Active scorer"),
        ("view_decision", "by rung"),
        ("view_message", "Messages, by state"),
    ],
)
def test_the_overview_shows_what_the_pages_of_the_same_rows_would(
    visitor: Client, shop: dict[str, Any], permission: str, title: str
) -> None:
    User.objects.get(username="vic").user_permissions.add(Permission.objects.get(codename=permission))
    page = visitor.get("/admin/").content.decode()
    titles = {"Segments, by size", "Rules in force", ">Snapshot<", "Active scorer", "by rung", "Messages, by state"}
    assert title in page
    assert (
        sum(one in " ".join(page.replace("\n", " ").split()).replace("> ", ">").replace(" <", "<") for one in titles)
        == 1
    )


def test_figures_are_told_in_words_and_with_their_intervals_in_one_row() -> None:
    estimate = {"value": 0.80125, "low": 0.7787, "high": 0.8221}
    found = figures_of({"auc_low": 0.7, "trained_rows": 12, "figures": {"AUC": {"value": estimate, "baseline": 0.5}}})
    assert found == [
        ("AUC lower end", "0.7"),
        ("Figures: AUC: baseline", "0.5"),
        ("Figures: AUC: value", "0.8013 [0.7787, 0.8221]"),
        ("Trained rows", "12"),
    ]
