"""What the served schema allows of an event is what the intake takes, and what it forbids is what that refuses."""

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from decisioning.api.lists import CHANGES, Changes, wanted
from decisioning.api.ofrep import QUESTION
from decisioning.api.schema import BATCH, event_of
from decisioning.customers.intake.tracking import check_body
from decisioning.flows.contract import Refused
from decisioning.flows.flag_questions import Failed, read

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EMAIL = {"traits": {"email": "ann@shop.example"}}
LONG = "x" * 201


def fits(schema: dict[str, Any], body: Any) -> bool:
    return jsonschema_rs.Draft202012Validator(schema).is_valid(body)


@pytest.mark.parametrize(
    ("kind", "body", "taken"),
    [
        ("track", {"userId": "c-1"}, True),
        ("track", {"anonymousId": 17}, True),
        ("track", {"anonymousId": 1.5}, False),
        ("track", {"anonymousId": "1.5"}, True),
        ("track", {"anonymousId": True}, False),
        ("track", {"anonymousId": ["a"], "userId": "c-1"}, False),
        ("track", {"anonymousId": LONG, "userId": "c-1"}, False),
        ("track", {"userId": None, "anonymousId": "a-1"}, True),
        ("track", {"userId": "c-1", "anonymousId": ""}, True),
        ("track", {"userId": "c-1", "anonymousId": None, "previousId": ""}, True),
        ("track", {"userId": "", "anonymousId": None}, False),
        ("track", {}, False),
        ("track", {"userId": "c-1", "event": ""}, False),
        ("track", {"userId": "c-1", "messageId": ""}, False),
        ("track", {"userId": "c-1", "messageId": None}, False),
        ("track", {"context": EMAIL}, True),
        ("track", {"context": "text", "userId": "c-1"}, False),
        ("track", {"context": None, "userId": "c-1"}, True),
        ("track", {"properties": [], "userId": "c-1"}, False),
        ("track", {"properties": None, "userId": "c-1"}, True),
        ("track", {"traits": "passed over", "userId": "c-1"}, True),
        ("identify", EMAIL, True),
        ("identify", {"traits": 5, "userId": "c-1"}, False),
        ("identify", {"properties": 5, "userId": "c-1"}, True),
        ("group", {"traits": 5, "userId": "c-1"}, False),
        ("group", EMAIL, False),
        ("page", {"properties": 5, "anonymousId": "a-1"}, False),
        ("alias", {"userId": "c-1", "previousId": "a-1"}, True),
        ("alias", {"anonymousId": "a-2", "previousId": "a-1"}, True),
        ("alias", {"userId": "c-1", "previousId": ""}, False),
        ("alias", {"userId": "c-1"}, False),
        ("alias", {"userId": "c-1", "previousId": "a-1", "traits": 5, "properties": 5}, True),
    ],
)
def test_an_event_that_the_schema_allows_is_taken_and_no_other(kind: str, body: dict[str, Any], taken: bool) -> None:
    event = {"messageId": "m-1", **({"event": "Seen"} if kind == "track" else {}), **body}
    good, bad = check_body(json.dumps(event).encode(), kind, NOW)
    assert (len(good), len(bad)) == ((1, 0) if taken else (0, 1))
    assert fits(event_of(kind), event) is taken
    # A batch does not say of each member in which call it is passed over.
    if taken and 5 not in body.values() and "passed over" not in body.values():
        assert fits(BATCH, {"batch": [{**event, "type": kind}]})


@pytest.mark.parametrize(
    ("context", "fine"),
    [
        ({"targetingKey": "c" * 200}, True),
        ({"targetingKey": "c" * 201}, False),
        ({"targetingKey": "anonymous:" + "a" * 200}, True),
        ({"targetingKey": "anonymous:" + "a" * 201}, False),
        ({"targetingKey": "c-1", "anonymous": "yes"}, False),
        ({"targetingKey": "c-1", "anonymous": None, "more": [1]}, True),
    ],
)
def test_a_flags_context_that_the_schema_allows_is_read_and_no_other(context: dict[str, Any], fine: bool) -> None:
    body = {"context": context}
    assert fits(QUESTION, body) is fine
    if fine:
        assert read(json.dumps(body).encode()).who
    else:
        with pytest.raises(Failed):
            read(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "fine"),
    [
        ({"add": [{"kind": "email", "value": "a"}]}, True),
        ({"add": [{"kind": "email", "value": "a"}], "remove": []}, True),
        ({"add": [], "remove": [{"kind": "customer", "value": 5}]}, True),
        ({"add": [{"kind": "email", "value": "a"}], "remove": [{"kind": "email", "value": "b"}]}, False),
        ({"add": [], "remove": []}, False),
        ({}, False),
    ],
)
def test_a_change_of_a_list_is_one_of_the_two(body: dict[str, Any], fine: bool) -> None:
    assert fits(CHANGES, body) is fine
    asked = msgspec.convert(body, Changes)
    if fine:
        assert wanted(asked)[0] == ("add" if body.get("add") else "remove")
    else:
        with pytest.raises(Refused, match="one of the two"):
            wanted(asked)
