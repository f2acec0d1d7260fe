"""PyPI's `segment-analytics-python` and `rudder-sdk-python`, as anybody installs them, against a running server."""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import rudderstack.analytics.client
import segment.analytics
import time_machine

from .page import run_python
from .serving import RATE, Site, events_of, off_by, seconds_ago, until

pytestmark = pytest.mark.django_db
CLIENTS = {"segment": segment.analytics.Client, "rudder": rudderstack.analytics.client.Client}
PATIENCE = 0.5  # seconds that a client waits for an answer, where it is to lose patience
YEARS_AGO = datetime(2024, 5, 1, 10, tzinfo=UTC)

Connect = Callable[..., Any]


@pytest.fixture(params=CLIENTS)
def maker(request: pytest.FixtureRequest) -> str:
    """Whose client it is; customers are named after it."""
    return str(request.param)


@pytest.fixture
def connect(site: Site, maker: str) -> Iterator[Connect]:
    """Makes clients of this server; any batch that one of them gives up fails the test."""
    made: list[Any] = []
    lost: list[Exception] = []

    def client(**options: Any) -> Any:
        settings = {"write_key": site.key, "host": site.url, "upload_interval": 0.1, **options}
        made.append(CLIENTS[maker](on_error=lambda error, items: lost.append(error), **settings))
        return made[-1]

    yield client
    for one in made:
        one.shutdown()
    assert lost == []


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_every_call_is_stored_as_it_was_meant(maker: str, connect: Connect, gzip: bool) -> None:
    user, visitor = f"{maker}-{gzip}".lower(), f"{maker}-browser-{gzip}"
    client = connect(gzip=gzip)
    sent = [
        client.identify(user, {"email": f"{user}@Shop.example", "plan": "gold"}, anonymous_id=visitor),
        client.track(user, "Order Completed", {"total": 42.5, "at": YEARS_AGO}),
        client.page(user, "Shoes", "Sneakers", {"url": "https://shop.example/sneakers"}),
        client.screen(user, "Checkout", "Payment", {"step": 2}),
        client.group(user, "team-7", {"seats": 5}),
        client.alias(visitor, user),
    ]
    client.flush()
    stored = {event.type: event for event in events_of(user)}
    assert {kind: event.message_id for kind, event in stored.items()} == {
        message["type"]: message["messageId"] for _, message in sent
    }
    # RudderStack's identify has the traits within the context.
    assert stored["identify"].properties == {"email": f"{user}@Shop.example", "plan": "gold"}
    assert stored["identify"].identifiers == [
        ["user_id", user],
        ["email", f"{user}@shop.example"],
        ["anonymous_id", visitor],
    ]
    assert (stored["track"].name, stored["track"].properties["total"]) == ("Order Completed", 42.5)
    assert stored["page"].properties["category"] == "Shoes"
    assert (stored["page"].name, stored["screen"].name) == ("Sneakers", "Payment")
    assert stored["group"].properties == {"groupId": "team-7", "seats": 5}
    assert stored["alias"].properties == {"previousId": visitor}
    assert [event.bot for event in stored.values()] == [False] * 6
    assert all(-1 < seconds_ago(event.timestamp) < 60 for event in stored.values())


@pytest.mark.parametrize("ahead", [timedelta(hours=7), timedelta(days=-3)], ids=["ahead", "behind"])
def test_a_wrong_clock_is_corrected(maker: str, connect: Connect, ahead: timedelta) -> None:
    user = f"{maker} {ahead}"
    with time_machine.travel(datetime.now(UTC) + ahead, tick=True):
        client = connect()
        client.track(user, "Clicked")
        client.track(user, "Clicked", timestamp=YEARS_AGO)
        client.flush()
    past, now = events_of(user)
    assert abs(seconds_ago(now.timestamp)) < 60
    # What the wrong clock called that moment was so much earlier or later.
    assert off_by(past.timestamp, YEARS_AGO - ahead) < 60


def test_an_import_keeps_its_times_and_is_marked(maker: str, connect: Connect) -> None:
    client = connect()
    for days in range(3):
        then = YEARS_AGO + timedelta(days=days)
        client.track(f"{maker}-import", "Clicked", timestamp=then, context={"historical": True})
    client.flush()
    stored = events_of(f"{maker}-import")
    assert all(off_by(event.timestamp, YEARS_AGO + timedelta(days=n)) < 60 for n, event in enumerate(stored))
    assert [event.historical for event in stored] == [True] * 3


def test_while_the_database_is_busy_the_client_waits_and_the_event_counts_once(
    site: Site, maker: str, connect: Connect
) -> None:
    before = site.said("the database is away")
    client = connect()
    with psycopg.connect(site.variables["DATABASE_URL"]) as other:
        other.execute("LOCK TABLE customers_receipt IN ACCESS EXCLUSIVE MODE")
        client.track(f"{maker}-patient", "Clicked")
        until("the client was told 503", lambda: site.said("the database is away") > before)
    client.flush()
    assert len(events_of(f"{maker}-patient")) == 1


def test_a_client_that_lost_patience_and_sent_again_is_counted_once(site: Site, maker: str, connect: Connect) -> None:
    client = connect(timeout=PATIENCE)
    with site.stopped():
        client.track(f"{maker}-impatient", "Clicked")
        time.sleep(1.6 * PATIENCE)
    client.flush()
    assert len(events_of(f"{maker}-impatient")) == 1


@pytest.mark.parametrize("maker", ["segment"], indirect=True)
def test_a_killed_server_loses_nothing(site: Site, connect: Connect) -> None:
    client = connect()
    client.track("steadfast", "Before")
    client.flush()
    site.kill()
    client.track("steadfast", "After")
    site.start()
    client.flush()
    assert [event.name for event in events_of("steadfast")] == ["Before", "After"]


@pytest.mark.parametrize("maker", ["segment"], indirect=True)
def test_more_than_the_key_may_send_is_waited_for(
    site: Site, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(write_key=site.other_key, upload_size=RATE)
    with caplog.at_level(logging.DEBUG, "segment"):
        for number in range(3 * RATE):
            client.track("busy", "Clicked", {"number": number})
        client.flush()
    assert "Rate-limited (status 429)" in caplog.text
    assert sorted(event.properties["number"] for event in events_of("busy")) == list(range(3 * RATE))


@pytest.mark.parametrize(
    ("key", "user", "status", "words"),
    [("dk_wrong", "stranger", 401, "API key is not known"), ("", "undefined", 400, "names nobody")],
    ids=["wrong key", "nobody"],
)
def test_a_refusal_reaches_the_client_with_its_reason_and_is_not_tried_again(
    site: Site, maker: str, key: str, user: str, status: int, words: str
) -> None:
    heard: list[Any] = []
    client = CLIENTS[maker](
        key or site.key, host=site.url, upload_interval=0.1, on_error=lambda error, items: heard.append(error)
    )
    client.track(user, "Clicked")
    client.shutdown()
    assert [error.status for error in heard] == [status]
    assert words in heard[0].message
    assert events_of(user) == []


def test_the_pages_example_of_segments_client(site: Site, tmp_path: Path) -> None:
    run_python("segment", site.url, site.key, tmp_path)
    identify, order = events_of("c-8")
    assert [kind for kind, _ in identify.identifiers] == ["user_id", "email", "anonymous_id"]
    assert (order.name, order.properties) == ("Order Completed", {"total": 42.5})


def test_the_pages_example_of_an_import(site: Site, tmp_path: Path) -> None:
    run_python("segment import", site.url, site.key, tmp_path)
    [order] = events_of("c-9")
    assert order.historical
    assert off_by(order.timestamp, YEARS_AGO) < 60


def test_the_pages_example_of_rudderstacks_client(site: Site, tmp_path: Path) -> None:
    run_python("rudder", site.url, site.key, tmp_path)
    identify, order = events_of("c-10")
    assert identify.properties == {"email": "bob@shop.example"}
    assert order.properties == {"total": 7.5}
