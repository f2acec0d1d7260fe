"""Segments over REST: what keys may do, pages over changes, files, movements, lists changed from outside."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from decisioning.api import reading
from decisioning.customers.models import Customer, Identity
from decisioning.store import keys
from rules import history
from rules.models import Membership, Segment

from ..flows.conftest import *  # noqa: F403  (the small site)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def known_keys(site, monkeypatch):
    """Views that ask the holder themselves ask the test's; the clock stands."""
    monkeypatch.setattr(reading, "holder", site.holder)
    for module in ("segments",):
        monkeypatch.setattr(f"decisioning.api.{module}.clock.now", lambda: NOW)


def ask(site, path: str, method: str = "get", body: Any = None, key: str | None = None, **headers: str) -> Any:
    """Status and decoded body (or the answer itself where it is none)."""
    words: dict[str, Any] = {"headers": {"x-api-key": site.key if key is None else key, **headers}}
    if body is not None:
        words |= {"data": body if isinstance(body, bytes) else json.dumps(body), "content_type": "application/json"}
    answer = getattr(Client(), method)(path, **words)
    is_json = answer.headers.get("Content-Type") == "application/json" and answer.content
    return answer.status_code, json.loads(answer.content) if is_json else answer


@pytest.fixture
def vip(site) -> Segment:
    return Segment.objects.create(key="vip", name="VIP", kind="list", refreshed_at=NOW - HOUR, description="The best.")


def person(name: str) -> Customer:
    row = Customer.objects.create(key=name, facts={"orders": 2}, facts_at=NOW, facts_version=3)
    Identity.objects.create(customer=row, kind="user_id", value=name)
    return row


def stay(
    segment: Segment, customer: Customer, entered: datetime = NOW - HOUR, left: datetime | None = None
) -> Membership:
    words = {"entered_how": "event", "entered_by": "Order Completed (m-1)"}
    if left:
        words |= {"left_how": "time", "left_by": ""}
    return Membership.objects.create(segment=segment, customer=customer, entered_at=entered, left_at=left, **words)


PATHS = [
    "/v1/segments",
    "/v1/segments/vip",
    "/v1/segments/vip/members",
    "/v1/segments/vip/history",
    "/v1/facts",
    "/v1/customers/c-1/facts",
    "/v1/customers/c-1/segments",
]


@pytest.mark.parametrize("path", PATHS)
def test_reading_needs_a_key_that_may_read(site, vip, path):
    _, tracking = keys.create("track only", ["track", "decide", "lists"])
    site.publish()
    assert ask(site, path)[0] == 200
    status, answer = ask(site, path, key=tracking)
    assert (status, answer["error"]["code"]) == (403, "wrong_scope")
    assert ask(site, path, key="")[1]["error"]["code"] == "no_key"
    assert Client().get(path).headers["WWW-Authenticate"].startswith("Bearer")
    assert ask(site, path, key="dk_00000000_x")[0] == 401


@pytest.mark.parametrize("method", ["put", "patch"])
def test_changing_a_list_needs_a_scope_of_its_own(site, vip, method):
    _, reader = keys.create("read only", ["read", "track", "decide"])
    site.publish()
    assert ask(site, "/v1/segments/vip/list", method, {"entries": []}, key=reader)[0] == 403
    assert ask(site, "/v1/segments/vip/list")[1]["error"]["message"] == "Use PUT or PATCH."


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/segments/none", "unknown_segment"),
        ("/v1/segments/none/members", "unknown_segment"),
        ("/v1/segments/none/history", "unknown_segment"),
        ("/v1/customers/none/facts", "unknown_customer"),
        ("/v1/customers/none/segments", "unknown_customer"),
        ("/v1/segments/%00", "unknown_segment"),
        ("/v1/segments/a%00b/members", "unknown_segment"),
        ("/v1/segments/a%00b/history", "unknown_segment"),
        ("/v1/customers/%00/facts", "unknown_customer"),
        ("/v1/customers/x%00y/segments", "unknown_customer"),
    ],
)
def test_what_is_not_there_is_a_404_that_says_so(site, path, code):
    status, answer = ask(site, path)
    assert (status, answer["error"]["code"]) == (404, code)
    assert ask(site, path, "post", {})[0] == 405


def test_segments_are_told_with_their_sizes_and_conditions(site, vip):
    Segment.objects.create(key="buyers", name="Buyers", condition="orders >= 1", size=7)
    _, answer = ask(site, "/v1/segments")
    assert [(one["key"], one["kind"], one["size"]) for one in answer["segments"]] == [
        ("buyers", "condition", 7),
        ("vip", "list", 0),
    ]
    _, one = ask(site, "/v1/segments/vip")
    assert one == {
        "key": "vip",
        "name": "VIP",
        "kind": "list",
        "active": True,
        "size": 0,
        "refreshed_at": "2026-05-01T11:00:00Z",
        "description": "The best.",
        "story": "",
        "condition": None,
    }


def test_the_same_answer_again_is_a_304_until_something_changes(site, vip):
    _, first = ask(site, "/v1/segments/vip")
    answer = Client().get("/v1/segments/vip", headers={"x-api-key": site.key})
    tag = answer.headers["ETag"]
    assert json.loads(answer.content) == first
    assert ask(site, "/v1/segments/vip", **{"if-none-match": f'"x", W/{tag}'})[0] == 304
    Segment.objects.update(size=1)
    assert ask(site, "/v1/segments/vip", **{"if-none-match": tag})[0] == 200


def members(site, query: str) -> tuple[list[str], str | None]:
    status, answer = ask(site, f"/v1/segments/vip/members?{query}")
    assert status == 200, answer
    return [one["customer_id"] for one in answer["members"]], answer["next"]


def test_who_stays_is_on_exactly_one_page_while_others_come_and_go(site, vip):
    people = [person(f"p-{number}") for number in range(7)]
    for one in people:
        stay(vip, one)
    first, follows = members(site, "limit=3")
    Membership.objects.filter(customer__in=[people[1], people[4]]).update(left_at=NOW)
    stay(vip, person("late"))
    second, end = members(site, f"limit=3&after={follows}")
    assert (first, second) == (["p-0", "p-1", "p-2"], ["p-3", "p-5", "p-6"])
    third, last = members(site, f"limit=3&after={end}")
    assert (third, last) == (["late"], None)
    _, answer = ask(site, "/v1/segments/vip/members?limit=1")
    assert answer["members"][0] == {
        "customer_id": "p-0",
        "entered_at": "2026-05-01T11:00:00Z",
        "how": "event",
        "by": "Order Completed (m-1)",
    }


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_parameter"),
        ("limit=1001", "invalid_parameter"),
        ("limit=x", "invalid_parameter"),
        ("limit=1_0", "invalid_parameter"),
        ("limit=%205", "invalid_parameter"),
        ("limit=007", "invalid_parameter"),
        ("limit=1.5", "invalid_parameter"),
        ("limit=", "invalid_parameter"),
        ("after=%21%21", "invalid_cursor"),
        ("after=eA", "invalid_cursor"),
        ("after=5", "invalid_cursor"),
    ],
)
def test_a_page_that_cannot_be_meant_is_refused(site, vip, query, code):
    for what in ("members", "history"):
        status, answer = ask(site, f"/v1/segments/vip/{what}?{query}")
        assert (status, answer["error"]["code"]) == (400, code)


def file_of(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode(), newline="")))


def test_all_members_come_as_one_file_when_asked_for_csv(site, vip):
    for name in ("=1+1", "b"):
        stay(vip, person(name))
    status, answer = ask(site, "/v1/segments/vip/members", accept="text/csv")
    assert (status, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert file_of(answer) == [
        ["customer_id", "entered_at", "why"],
        ["'=1+1", "2026-05-01T11:00:00+00:00", "event: Order Completed (m-1)"],
        ["b", "2026-05-01T11:00:00+00:00", "event: Order Completed (m-1)"],
    ]
    assert file_of(ask(site, "/v1/segments/vip/members?safe=0", accept="text/csv")[1])[1][0] == "=1+1"
    for odd in ("no", "2", "0_0", ""):
        status, answer = ask(site, f"/v1/segments/vip/members?safe={odd}", accept="text/csv")
        assert (status, answer["error"]["message"]) == (400, "'safe' is 0 or 1.")


@pytest.mark.parametrize("accept", ["*/*", "application/json, text/csv", "text/html"])
def test_json_is_given_to_whoever_does_not_ask_for_csv(site, vip, accept):
    assert ask(site, "/v1/segments/vip/members", accept=accept)[1] == {"members": [], "next": None}


def moves(site, query: str = "") -> tuple[list[tuple[str, str]], str | None]:
    status, answer = ask(site, f"/v1/segments/vip/history?{query}")
    assert status == 200, answer
    return [(one["customer_id"], one["what"]) for one in answer["movements"]], answer["next"]


def test_movements_come_in_the_order_they_happened_page_by_page(site, vip):
    ann, bob = person("ann"), person("bob")
    stay(vip, ann, NOW - 3 * HOUR, NOW - HOUR)
    stay(vip, ann, NOW - HOUR)
    stay(vip, bob, NOW - 2 * HOUR)
    stay(vip, person("old"), NOW - 48 * HOUR, NOW - 30 * HOUR)
    told = [("ann", "entered"), ("bob", "entered"), ("ann", "left"), ("ann", "entered")]
    assert moves(site) == (told, None)
    found, follows = moves(site, "limit=3")
    assert found == told[:3]
    assert moves(site, f"limit=3&after={follows}") == (told[3:], None)
    assert len(moves(site, "from=2026-04-01T00:00:00Z")[0]) == 6
    assert moves(site, "from=2026-05-01T10:00:00Z&to=2026-05-01T13:00:00%2B02:00")[0] == [("bob", "entered")]
    _, answer = ask(site, "/v1/segments/vip/history?limit=1")
    assert answer["movements"][0]["by"] == "Order Completed (m-1)"


@pytest.mark.parametrize("zone", ["Z", "%2B14:00", "-12:00", "%2B23:59", "-23:59:59"])
def test_a_moment_at_the_end_of_all_calendars_is_answered(site, vip, zone):
    stay(vip, person("ann"))
    assert moves(site, f"to=0001-01-01T00:00:00{zone}") == ([], None)
    assert moves(site, f"from=0001-01-01T00:00:00{zone}") == ([("ann", "entered")], None)
    assert moves(site, f"from=9999-12-31T23:59:59{zone}") == ([], None)
    assert moves(site, f"to=9999-12-31T23:59:59{zone}") == ([("ann", "entered")], None)


@pytest.mark.parametrize("query", ["from=yesterday", "to=2026-05-01", "from=2026-05-01T12:00:00"])
def test_a_moment_without_its_zone_is_refused_with_an_example(site, vip, query):
    status, answer = ask(site, f"/v1/segments/vip/history?{query}")
    assert status == 400
    assert "2026-05-01T12:00:00Z" in answer["error"]["message"]


def test_a_customers_facts_and_segments_are_found_by_key_by_user_id_and_after_a_merge(site, vip):
    winner, loser = person("a/b:c"), person("loser")
    Identity.objects.filter(customer=loser).update(customer=winner)
    Customer.objects.filter(pk=loser.pk).update(merged_into=winner)
    stay(vip, winner)
    for name in ("a/b:c", "a%2Fb%3Ac", "loser"):
        _, answer = ask(site, f"/v1/customers/{name}/facts")
        assert answer == {"customer_id": "a/b:c", "facts_at": "2026-05-01T12:00:00Z", "facts": {"orders": 2}}
        _, answer = ask(site, f"/v1/customers/{name}/segments")
        assert [(one["key"], one["how"]) for one in answer["segments"]] == [("vip", "event")]


def test_the_catalogue_tells_which_facts_are_of_the_moment(site):
    _, answer = ask(site, "/v1/facts")
    known = {one["name"]: one for one in answer["facts"]}
    assert (known["orders_30d"]["type"], known["orders_30d"]["of"]) == ("number", "customer")
    assert known["country"]["of"] == "moment"


def entry(value: Any, kind: str = "user_id") -> dict[str, Any]:
    return {"kind": kind, "value": value}


def test_a_list_is_replaced_added_to_and_taken_from(site, vip):
    for name in ("ann", "bob"):
        person(name)
    path = "/v1/segments/vip/list"
    _, answer = ask(site, path, "put", {"entries": [entry("ann"), entry("Late@X.de", "email"), entry("ann")]})
    assert answer == {"added": 2, "removed": 0, "entered": 1, "left": 0, "entries": 2}
    _, again = ask(site, path, "put", {"entries": [entry("ann", "customer"), entry("late@x.de", "email")]})
    assert again == {"added": 0, "removed": 0, "entered": 0, "left": 0, "entries": 2}
    assert ask(site, path, "patch", {"add": [entry("bob")]})[1]["entered"] == 1
    assert ask(site, path, "patch", {"remove": [entry("ann")]})[1] == {
        "added": 0,
        "removed": 1,
        "entered": 0,
        "left": 1,
        "entries": 2,
    }
    assert [one.customer.key for one in history.members(vip.pk, "", 10).stays] == ["bob"]
    assert Membership.objects.get(customer__key="bob").entered_by == "the API"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_request"),
        ({"entries": [{"kind": "email"}]}, "invalid_request"),
        ({"add": []}, "invalid_request"),
        ({"entries": [entry("x", "email")]}, "invalid_identifier"),
        ({"entries": [entry("x", "shoe_size")]}, "invalid_identifier"),
        ({"entries": [entry("ann"), entry("undefined")]}, "invalid_identifier"),
        ({"entries": [entry("a")] * 10_001}, "invalid_request"),
        (b'{"entries": [{"kind": "user_id", "value": "\\u0000"}]}', "invalid_request"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused_as_a_whole(site, vip, body, code):
    ask(site, "/v1/segments/vip/list", "put", {"entries": [entry("kept")]})
    status, answer = ask(site, "/v1/segments/vip/list", "put", body)
    assert (status, answer["error"]["code"]) == (400, code)
    assert vip.entries.count() == 1


@pytest.mark.parametrize(
    ("value", "said"), [(b'"\\ud800"', "cut texts elsewhere"), (b'"\xff"', "encode it as UTF-8"), (b"{", "Expected")]
)
def test_a_body_that_cannot_be_read_is_refused_with_the_cure(site, vip, value, said):
    body = b'{"entries": [{"kind": "user_id", "value": %b}]}' % value
    _, answer = ask(site, "/v1/segments/vip/list", "put", body)
    assert said in answer["error"]["message"]


def test_a_body_too_large_and_a_segment_that_is_no_list_are_refused(site, vip):
    assert ask(site, "/v1/segments/vip/list", "put", b" " * (3 * 2**20))[0] == 413
    Segment.objects.create(key="buyers", name="B", condition="orders >= 1")
    status, answer = ask(site, "/v1/segments/buyers/list", "put", {"entries": []})
    assert (status, answer["error"]["code"]) == (409, "no_list")


@pytest.mark.parametrize("body", [{"add": [entry("a")], "remove": [entry("b")]}, {"add": [], "remove": []}])
def test_a_change_adds_or_removes_and_not_both(site, vip, body):
    assert ask(site, "/v1/segments/vip/list", "patch", body)[0] == 400


def test_without_the_database_it_says_when_to_come_back(site, vip, monkeypatch):
    def away(*args: Any, **words: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(history, "members", away)
    status, answer = ask(site, "/v1/segments/vip/members")
    assert (status, answer["error"]["code"]) == (503, "unavailable")
