"""A small ledger, and what its conversions are credited to: windows, merged customers, channels and doors."""

import json
import math
from datetime import UTC, datetime, timedelta
from io import StringIO
from time import monotonic
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.test import Client

from campaigns.models import Placement
from decisioning.api import reading
from decisioning.config import clock
from decisioning.customers.models import Customer, Identity
from decisioning.flows.credit import TooLong, report_of
from decisioning.models import Decision, Outcome
from decisioning.store import attributing
from decisioning.store.attributing import Asked, attributed
from decisioning.store.counting import count_new
from decisioning.store.limiting import OutOfTime, until

from ..flows.conftest import *  # noqa: F403  (the same small site)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPAN = (NOW - timedelta(days=30), NOW)


def decide(number: int, customer: Customer | None, content: str, hours_ago: float, placement: str = "hero", **more):
    return Decision.objects.create(
        id=UUID(int=number),
        at=NOW - timedelta(hours=hours_ago),
        customer_id=customer.pk if customer else None,
        placement=placement,
        rung="full",
        reason="RANKED",
        policy="greedy",
        items=[{"key": content}],
        **more,
    )


def follow(decision: Decision, kind: str, hours_ago: float, value: float = 0):
    Outcome.objects.create(
        decision_id=decision.id,
        content=decision.items[0]["key"],
        kind=kind,
        value=value,
        at=NOW - timedelta(hours=hours_ago),
        message_id=f"{decision.id}-{kind}-{hours_ago}",
    )


@pytest.fixture
def history(db):
    """One person, known by two rows since merged, sees `a`, then `b`, and buys for 10; somebody else buys too late."""
    Placement.objects.create(key="hero", name="Hero", window_hours=24)
    Placement.objects.create(key="side", name="Side", window_hours=24)
    kept = Customer.objects.create(key="kept")
    merged = Customer.objects.create(key="merged", merged_into=kept)
    first = decide(1, merged, "a", 20)
    rules = {"rules": [{"key": "no", "matched": False}, {"key": "yes", "matched": True}]}
    second = decide(2, kept, "b", 10, "side", explanation=rules)
    follow(first, "impression", 20)
    follow(second, "impression", 10)
    follow(second, "click", 9.5)
    follow(second, "conversion", 9, 10)
    late = decide(3, None, "a", 100)
    follow(late, "impression", 100)
    follow(late, "conversion", 1, 7)


def test_a_conversion_is_shared_among_what_the_person_saw_under_all_their_identities(history):
    report = attributed(Asked(*SPAN))
    assert report.values["linear"] == {"a": 5, "b": 5}
    assert (report.values["first"], report.values["last"]) == ({"a": 10, "b": 0}, {"a": 0, "b": 10})
    assert (report.customers, report.converted) == (2, 2)


@pytest.mark.parametrize("seen_as", ["anonymous:a-1", "kept", "email:ann@example.org"])
def test_what_somebody_saw_before_anybody_knew_them_counts_once_it_is_known_who_that_was(history, seen_as):
    kept = Customer.objects.get(key="kept")
    stranger = decide(9, None, "c", 15, customer_key=seen_as)
    follow(stranger, "impression", 15)
    credited = {key for key, value in attributed(Asked(*SPAN)).values["linear"].items() if value}
    assert ("c" in credited) == (seen_as == "kept"), "nobody knows yet whom the other names are of"
    Identity.objects.create(customer=kept, kind="anonymous_id", value="a-1")
    Identity.objects.create(customer=Customer.objects.get(key="merged"), kind="email", value="ann@example.org")
    Identity.objects.create(customer=Customer.objects.create(key="other"), kind="anonymous_id", value="a-2")
    report = attributed(Asked(*SPAN))
    assert report.values["linear"] == pytest.approx({"a": 10 / 3, "b": 10 / 3, "c": 10 / 3})
    assert report.customers == 2


def test_what_comes_after_its_window_is_kept_and_said_to_be_unattributed(history):
    report = attributed(Asked(*SPAN))
    assert (report.attributed, report.unattributed, report.unattributed_value) == (1, 1, 7)
    assert attributed(Asked(*SPAN, hours=200)).unattributed == 0


@pytest.mark.parametrize(
    ("by", "expected"),
    [("placement", {"hero", "side"}), ("rule", {"(none)", "yes"}), ("campaign", {"(none)"})],
)
def test_channels_are_what_is_asked_for(history, by, expected):
    assert set(attributed(Asked(*SPAN, by=by)).touched) == expected


def test_clicks_alone_may_be_touches_and_one_placement_may_be_looked_at(history):
    assert set(attributed(Asked(*SPAN, seen="clicked")).touched) == {"b"}
    assert set(attributed(Asked(*SPAN, placement="side")).touched) == {"b"}


def test_a_conversion_before_the_span_is_not_in_it(history):
    assert attributed(Asked(NOW - timedelta(hours=5), NOW)).attributed == 0


@pytest.fixture
def no_time(monkeypatch):
    """A report is given up as soon as it has read its first rows."""
    monkeypatch.setattr(attributing, "monotonic", lambda: math.inf)


def test_a_report_that_nobody_waits_for_has_all_the_time_there_is(history):
    assert attributed(Asked(*SPAN), deadline=math.inf).attributed == 1


@pytest.mark.usefixtures("history", "no_time")
def test_a_report_that_takes_too_long_is_given_up_and_says_the_cure():
    with pytest.raises(TooLong, match=r"after 20 s. Ask for a shorter period or for one placement"):
        report_of(Asked(*SPAN), 20)


@pytest.mark.usefixtures("no_time")
def test_a_report_given_up_is_a_400_that_no_client_tries_again(site, monkeypatch):
    monkeypatch.setattr(reading, "holder", site.holder)
    token = site.decide()["placements"][0]["items"][0]["token"]
    site.ledger.flush()
    assert site.post("/v1/outcomes", {"token": token, "type": "conversion", "message_id": "m"})[0] == 200
    answer = Client().get("/v1/reports/attribution", headers={"authorization": f"Bearer {site.key}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "takes_too_long")
    assert "shorter period" in answer.json()["error"]["message"]


def test_a_statement_of_a_report_ends_by_the_deadline(db):
    with pytest.raises(OutOfTime), until(monotonic() + 0.02) as cursor:
        cursor.execute("SELECT pg_sleep(60)")
    with pytest.raises(OutOfTime), until(monotonic()):
        raise AssertionError("Nothing is begun after the deadline.")
    with until(math.inf) as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_outcomes_are_found_by_their_moment(db):
    with database.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        statement = attributing.ROWS.format(channel="o.content", also="")
        cursor.execute(f"EXPLAIN {statement}", SPAN)
        assert "outcome_by_moment" in "".join(line for (line,) in cursor.fetchall())


def test_the_command_prints_what_the_report_says(history, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    out = StringIO()
    call_command("attribution", "--json", stdout=out)
    assert json.loads(out.getvalue()) == report_of(Asked(*SPAN))
    call_command("attribution", "--value", stdout=out)
    assert "10.0 attributed, 7.0 without" in out.getvalue()


def test_the_report_is_served_to_keys_that_may_manage(site, monkeypatch):
    from_key = {"authorization": f"Bearer {site.key}"}
    monkeypatch.setattr(reading, "holder", site.holder)
    token = site.decide()["placements"][0]["items"][0]["token"]
    site.ledger.flush()
    for kind in ("impression", "conversion"):
        body = {"token": token, "type": kind, "message_id": kind, "value": 3}
        assert site.post("/v1/outcomes", body)[0] == 200
    answer = Client().get("/v1/reports/attribution", headers=from_key).json()
    credited = {row["channel"]: row["models"]["shapley"] for row in answer["channels"]}
    assert list(credited.values()) == [{"conversions": 1, "value": 3}]
    for wrong in (
        "by=x",
        "touches=x",
        "lookback_hours=nan",
        "lookback_hours=1_0",
        "lookback_hours=%205%20",
        "lookback_hours=",
        "since=2020-01-01T00:00:00Z",
        "half_life_hours=0",
    ):
        assert Client().get(f"/v1/reports/attribution?{wrong}", headers=from_key).status_code == 400


@pytest.mark.parametrize(
    ("query", "status", "code", "cure"),
    [
        ("placement=heroo", 404, "unknown_placement", "Did you mean 'hero'?"),
        ("placement=%00", 404, "unknown_placement", "There are: hero"),
        ("placment=hero", 400, "invalid_parameter", "Did you mean 'placement'?"),
        ("days=7", 400, "invalid_parameter", "There are: by, touches, since"),
    ],
)
def test_a_name_that_the_report_does_not_know_is_refused_with_the_nearest(site, monkeypatch, query, status, code, cure):
    monkeypatch.setattr(reading, "holder", site.holder)
    answer = Client().get(f"/v1/reports/attribution?{query}", headers={"authorization": f"Bearer {site.key}"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert cure in error["message"]


def test_a_placement_that_is_gone_is_reported_on_while_its_figures_are_there(history):
    assert not attributing.known("sid")
    while count_new():
        pass
    Placement.objects.filter(key="side").delete()
    assert attributing.known("side")
    with pytest.raises(CommandError, match="There is no placement 'sid'"):
        call_command("attribution", "--placement", "sid")


def test_a_conversion_before_its_decision_is_credited_to_what_was_seen_before_it(db):
    somebody = Customer.objects.create(key="c")
    seen, later = decide(1, somebody, "a", 20), decide(2, somebody, "b", 8)
    follow(seen, "impression", 20)
    follow(later, "conversion", 10, 5)
    report = attributed(Asked(*SPAN))
    assert (report.values["last"], set(report.touched)) == ({"a": 5}, {"a"})


def test_a_conversion_a_little_before_its_decision_is_one_of_a_clock_that_differs(db):
    late = decide(2, Customer.objects.create(key="c"), "b", 8)
    follow(late, "conversion", 8.08, 5)
    assert attributed(Asked(*SPAN)).values["last"] == {"b": 5}
