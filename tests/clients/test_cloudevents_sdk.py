"""Events made by PyPI's `cloudevents`, sent in all three ways by a plain HTTP library, against a running server."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from .page import run_python
from .serving import DIRECT, Site, events_of, seconds_ago

pytestmark = pytest.mark.django_db
YEARS_AGO = datetime(2024, 5, 1, 10, tzinfo=UTC)


def order(customer: str, number: int, **more: Any) -> CloudEvent:
    attributes = {"id": f"o-{number}", "source": "/till/4", "type": "Order Completed", "subject": customer}
    return CloudEvent({**attributes, "time": YEARS_AGO, **more}, {"number": number, "café": "à la carte"})


def send(site: Site, headers: Mapping[str, str], body: bytes) -> Any:
    """By Python's own library, which calls itself `Python-urllib`: the name of a program, and yet no bot's."""
    request = Request(f"{site.url}/v1/events", body, {**headers, "authorization": f"Bearer {site.key}"})
    with DIRECT.open(request, timeout=30.0) as answer:
        return json.load(answer)


def test_an_event_is_stored_whichever_way_it_is_sent(site: Site) -> None:
    structured = to_structured_event(order("ce-1", 1))
    binary = to_binary_event(order("ce-1", 2, datacontenttype="application/json"))
    batch = b"[" + b",".join(JSONFormat().write(order("ce-1", number)) for number in (3, 4)) + b"]"
    answers = [
        send(site, structured.headers, structured.body),
        send(site, binary.headers, binary.body),
        send(site, {"content-type": "application/cloudevents-batch+json"}, batch),
    ]
    assert [answer["added"] for answer in answers] == [1, 1, 2]
    stored = {event.message_id: event for event in events_of("ce-1")}
    assert sorted(stored) == [f"/till/4 o-{number}" for number in (1, 2, 3, 4)]
    assert sorted(event.properties["number"] for event in stored.values()) == [1, 2, 3, 4]
    assert {event.properties["café"] for event in stored.values()} == {"à la carte"}
    assert {(event.type, event.name, event.timestamp) for event in stored.values()} == {
        ("track", "Order Completed", YEARS_AGO)
    }
    assert not any(event.bot for event in stored.values())


def test_extensions_say_who_was_anonymous_and_what_is_history(site: Site) -> None:
    message = to_structured_event(order("ce-5", 5, type="identify", anonymousid="browser-5", historical=True))
    send(site, message.headers, message.body)
    [event] = events_of("ce-5")
    assert event.type == "identify"
    assert event.identifiers == [["user_id", "ce-5"], ["anonymous_id", "browser-5"]]
    assert event.historical


def test_a_batch_stores_what_is_right_and_names_what_is_not(site: Site) -> None:
    nobody = CloudEvent({"source": "/till/4", "type": "Order Completed"}, {})
    batch = b"[" + JSONFormat().write(order("ce-6", 6)) + b"," + JSONFormat().write(nobody) + b"]"
    answer = send(site, {"content-type": "application/cloudevents-batch+json"}, batch)
    assert (answer["added"], [(error["index"], error["code"]) for error in answer["errors"]]) == (1, [(1, "nobody")])
    assert len(events_of("ce-6")) == 1


def test_the_pages_example_sends_one_event_in_two_ways_and_it_is_stored_once(site: Site, tmp_path: Path) -> None:
    run_python("cloudevents", site.url, site.key, tmp_path)
    [event] = events_of("c-12")
    assert (event.type, event.name, event.properties) == ("track", "Order Completed", {"total": 42.5})
    assert abs(seconds_ago(event.timestamp)) < 60
