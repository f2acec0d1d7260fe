"""The page of attribution: what it credits, what it says without conversions, who may see it."""

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Content
from decisioning.flows import credit
from decisioning.flows.follow import USUAL
from decisioning.learning.attribution import Report
from decisioning.models import EventOutcome
from decisioning.store.attributing import Asked
from decisioning.store.limiting import OutOfTime

from ..flows.conftest import *  # noqa: F403  (the same small site)

PAGE = "admin:decisioning_outcome_changelist"


def test_without_conversions_it_says_what_to_do(admin_client):
    text = admin_client.get(reverse(PAGE)).content.decode()
    assert "Nothing to credit yet" in text and "decision_token" in text


@pytest.mark.parametrize("by", ["content", "placement", "campaign", "rule", "nonsense"])
def test_every_model_stands_beside_the_others(site, admin_client, by):
    token = site.decide()["placements"][0]["items"][0]["token"]
    site.ledger.flush()
    site.post("/v1/outcomes", {"token": token, "type": "conversion", "message_id": "c", "value": 4})
    page = admin_client.get(reverse(PAGE), {"by": by, "measure": "value", "days": "30"})
    assert [row["credits"] for row in page.context["rows"]] == [[4.0] * 6]
    for title in ("Last touch", "Position-based", "Shapley"):
        assert title in page.content.decode()


def test_a_report_that_takes_too_long_is_answered_with_a_shorter_span(admin_client, monkeypatch):
    def given_up(asked: Asked, deadline: float) -> Report:
        raise OutOfTime

    monkeypatch.setattr(credit, "attributed", given_up)
    page = admin_client.get(reverse(PAGE), {"days": "30", "by": "rule"})
    text = page.content.decode()
    assert page.status_code == 200
    assert "This report takes too long" in text and "Ask for a shorter period" in text
    assert '<a class="console-link" href="?days=7&amp;by=rule">Look at 7 days</a>' in text
    assert "Look at" not in admin_client.get(reverse(PAGE), {"days": "1"}).content.decode()


def test_names_are_drawn_whole_and_bars_in_percent_of_the_longest(site, admin_client):
    long = "Free delivery for members of the loyalty programme, whatever the basket"
    Content.objects.filter(key="apple").update(name=long)
    for number, item in enumerate(site.decide()["placements"][0]["items"]):
        for kind, value in (("impression", 0), ("conversion", 3 * number)):
            told = {"token": item["token"], "type": kind, "message_id": f"{kind} {number}", "value": value}
            assert site.post("/v1/outcomes", told)[0] == 200
    site.ledger.flush()
    page = admin_client.get(reverse(PAGE), {"measure": "value"})
    assert f'<span class="attribution-name">{long}</span>' in page.content.decode()
    last = {group["name"]: group["bars"][0]["share"] for group in page.context["chart"]}
    assert last[long] in (0, 100) and sorted(last.values()) == [0, 100]
    assert {len(group["bars"]) for group in page.context["chart"]} == {6}
    assert page.context["hidden"] == 0


def test_it_is_for_those_who_may_see_it(db):
    assert Client().get(reverse(PAGE)).status_code == 302


def test_what_an_event_counts_as_can_be_changed(admin_client):
    added = admin_client.post(reverse("admin:decisioning_eventoutcome_add"), {"event": "Lead Won", "kind": "click"})
    assert added.status_code == 302
    assert "Lead Won" in admin_client.get(reverse("admin:decisioning_eventoutcome_changelist")).content.decode()


def test_what_events_count_as_without_an_entry_is_shown_and_what_an_entry_changes_of_it(admin_client):
    url = reverse("admin:decisioning_eventoutcome_changelist")
    page = admin_client.get(url).content.decode()
    for event, kind in USUAL.items():
        assert f'<th scope="row">{event}</th><td>{kind}</td>' in page
    assert "There are no entries of your own" in page and "?event=Order%20Completed&amp;kind=conversion" in page
    EventOutcome.objects.create(event="Order Completed", kind="")
    page = admin_client.get(url).content.decode()
    assert "nothing, by your entry" in page and "event=Order%20Completed" not in page
    assert "There are no entries of your own" not in page
