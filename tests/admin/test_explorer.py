"""The explorer finds events by what they are, searches in bounded steps, follows the log live and tells one event."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from uuid_utils.compat import uuid7

from decisioning.customers.admin import asking
from decisioning.customers.admin.asking import PAGE, Question, answer
from decisioning.customers.admin.reading import as_row, first_id, pretty, rows
from decisioning.customers.intake.ingest import digest_of
from decisioning.customers.models import Customer, Event, Identity, Pending, PlannedEvent, Receipt
from decisioning.store import limiting
from decisioning.store.limiting import OutOfTime

from .crowd import NOW, a_customer, an_event, id_at

pytestmark = pytest.mark.django_db

LOG = "/admin/customers/event/"
TAIL = f"{LOG}tail/"


@pytest.fixture
def anna() -> Identity:
    return a_customer("u-1", ("user_id", "u-1"), ("email", "anna@example.com")).identities.get(kind="user_id")


@pytest.fixture
def bert() -> Identity:
    return a_customer("anonymous:a-1", ("anonymous_id", "a-1")).identities.get()


def found(browser: Client, **asked: Any) -> list[str]:
    page = browser.get(LOG, asked)
    assert page.status_code == 200
    assert page.context["question"].errors == {}
    return [event.message_id for event in page.context["found"].events]


def test_an_empty_log_says_how_to_fill_it(browser: Client) -> None:
    assert "No event has arrived yet" in browser.get(LOG).content.decode()


def test_the_newest_come_first(browser: Client, anna: Identity, bert: Identity) -> None:
    events = [an_event(identity) for identity in (anna, bert, anna)]
    assert found(browser) == [event.message_id for event in reversed(events)]


@pytest.fixture
def varied(anna: Identity, bert: Identity) -> None:
    an_event(anna, "Order Completed", message_id="order", source="web")
    an_event(bert, "Product Viewed", message_id="view", properties={"total": 7, "a.b": "x", "sku": "s%1"}, source="app")
    an_event(bert, "page", message_id="page", type="page", bot=True, properties={}, timestamp=NOW - timedelta(days=3))
    an_event(anna, "identify", message_id="told", type="identify", historical=True, properties={"plan": "gold"})


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"name": "Order Completed"}, ["order"]),
        ({"name": "Order"}, []),
        ({"type": "page"}, ["page"]),
        ({"who": "anna@example.com"}, ["told", "order"]),
        ({"who": "anonymous:a-1"}, ["page", "view"]),
        ({"who": "nobody"}, []),
        ({"source": "app"}, ["view"]),
        ({"historical": "yes"}, ["told"]),
        ({"historical": "no", "bot": "no"}, ["view", "order"]),
        ({"property": "total"}, ["view", "order"]),
        ({"property": "total", "value": "49.9"}, ["order"]),
        ({"property": "products.0.price", "value": "3"}, ["order"]),
        ({"property": "a.b", "value": "x"}, ["view"]),
        ({"property": "sku", "value": "s%1"}, ["view"]),
        ({"property": "') OR true --", "value": "x"}, []),
        ({"happened_to": "2026-03-01T00:00"}, ["page"]),
        ({"happened_from": "2026-03-01T12:00", "happened_to": "2026-03-01T12:01", "name": "page"}, []),
        ({"message": "view"}, ["view"]),
    ],
)
def test_events_are_found_by_what_they_are(
    browser: Client, varied: None, asked: dict[str, str], expected: list[str]
) -> None:
    assert found(browser, **asked) == expected


def test_an_event_is_found_by_its_id(browser: Client, anna: Identity) -> None:
    first, _ = an_event(anna, message_id="one"), an_event(anna, message_id="two")
    assert found(browser, message=str(first.pk)) == ["one"]


def test_a_message_id_that_never_came_is_known_without_a_search(browser: Client, anna: Identity) -> None:
    an_event(anna, message_id="known")
    Receipt.objects.create(digest=UUID(bytes=digest_of("dropped-since")))
    assert "was ever accepted" in browser.get(LOG, {"message": "lost"}).content.decode()
    assert "No event fits that." in browser.get(LOG, {"message": "dropped-since"}).content.decode()


def test_arrival_is_told_by_the_id_and_in_the_products_time(browser: Client, anna: Identity, settings: Any) -> None:
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    moments = [day, day + timedelta(minutes=1), day + timedelta(minutes=2)]
    for moment in moments:
        an_event(anna, id=id_at(moment), message_id=f"{moment:%M}")
    start, end = (f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in moments[1:])
    assert found(browser, arrived_from=start, arrived_to=end) == ["01"]
    settings.CLOCK_OFFSET = -3600
    start, end = (f"{moment - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}" for moment in moments[1:])
    assert found(browser, arrived_from=start, arrived_to=end) == ["01"]


@pytest.mark.parametrize(
    "asked",
    [
        {"value": "x"},
        {"arrived_from": "2026-03-02T00:00", "arrived_to": "2026-03-01T00:00"},
        {"happened_from": "soon"},
        {"type": "click"},
        {"name": "a\x00b"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused_at_its_field(browser: Client, asked: dict[str, str]) -> None:
    page = browser.get(LOG, asked)
    assert page.status_code == 200 and page.context["question"].errors and not page.context["rows"]


def test_pages_go_on_where_the_former_ended_whatever_arrives_meanwhile(browser: Client, anna: Identity) -> None:
    ids = [an_event(anna).pk for _ in range(PAGE + 5)]
    first = browser.get(LOG)
    an_event(anna)
    second = browser.get(LOG + first.context["older"])
    shown = [event.pk for page in (first, second) for event in page.context["found"].events]
    assert shown == ids[::-1]
    assert second.context["older"] == ""


def test_filters_stay_when_turning_pages(browser: Client, anna: Identity, bert: Identity) -> None:
    for _ in range(PAGE + 1):
        an_event(anna), an_event(bert)
    older = browser.get(LOG, {"who": "u-1", "name": ""}).context["older"]
    assert older.startswith("?who=u-1&before=")
    assert [event.identity_id for event in browser.get(LOG + older).context["found"].events] == [anna.pk]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Time that passes by one second with each window of a search."""
    ticks = [0.0]
    for module in (asking, limiting):
        monkeypatch.setattr(module, "monotonic", lambda: ticks.append(ticks[-1] + 1) or ticks[-1])
    return ticks


def test_a_search_that_takes_too_long_says_how_far_it_came_and_goes_on(anna: Identity, clock: list[float]) -> None:
    start = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    now = start + timedelta(days=3)
    an_event(anna, id=id_at(start + timedelta(minutes=1)), message_id="old")
    said = Question({"property": "total"})
    assert said.is_valid()
    before, seen, steps = None, [], 0
    for _ in range(50):
        answered = answer(said.cleaned_data, before, now)
        seen += [event.message_id for event in answered.events]
        steps += 1
        if answered.older is None:
            break
        assert answered.reached is not None and not answered.stuck
        assert before is None or answered.older < before
        before = answered.older
    assert seen == ["old"] and steps > 1


def test_a_statement_that_runs_too_long_is_stopped_by_the_database(anna: Identity) -> None:
    an_event(anna)
    slow = rows().extra(where=["pg_sleep(5) IS NOT NULL"])
    with pytest.raises(OutOfTime):
        asking.read(slow, asking.monotonic() + 0.05)
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_a_search_that_finds_no_time_at_all_says_what_to_do(
    browser: Client, anna: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_event(anna)
    monkeypatch.setattr(asking, "SECONDS", 0.0)
    for asked in ({}, {"who": "u-1"}):
        assert "Choose an event name" in browser.get(LOG, asked).content.decode()


def test_names_are_suggested_from_the_plan_and_the_page(browser: Client, anna: Identity) -> None:
    PlannedEvent.objects.bulk_create([PlannedEvent(name="*", seen=9), PlannedEvent(name="Cart Viewed", seen=1)])
    an_event(anna, "Order Completed", source="app")
    context = browser.get(LOG).context
    assert (context["names"], context["sources"]) == (["Cart Viewed", "Order Completed"], ["app"])


# The live tail


def test_the_tail_gives_what_arrived_since_and_where_to_go_on(browser: Client, anna: Identity) -> None:
    old = an_event(anna)
    after = str(uuid7())
    new = an_event(anna, properties={"total": 1})
    answered = browser.get(TAIL, {"after": after}).json()
    assert [row["id"] for row in answered["rows"]] == [str(new.pk)]
    assert answered["rows"][0]["said"] == '{"total": 1}' and answered["more"] is False
    assert browser.get(TAIL, {"after": str(first_id(datetime.now(UTC) - timedelta(hours=1)))}).json()["rows"][1][
        "id"
    ] == str(old.pk)
    assert UUID(answered["after"]) < new.pk, "the next look reaches back, for what commits late"


def test_the_tail_follows_the_filters_and_is_bounded(browser: Client, anna: Identity, bert: Identity) -> None:
    after = str(uuid7())
    for _ in range(PAGE + 2):
        an_event(anna)
    an_event(bert)
    only = browser.get(TAIL, {"after": after, "who": "a-1"}).json()
    assert [row["customer"] for row in only["rows"]] == ["anonymous:a-1"]
    every = browser.get(TAIL, {"after": after}).json()
    assert (len(every["rows"]), every["more"]) == (PAGE, True)


@pytest.mark.parametrize("asked", [{}, {"after": "x"}, {"after": str(UUID(int=0)), "value": "x"}])
def test_the_tail_refuses_what_it_cannot_read(browser: Client, asked: dict[str, str]) -> None:
    assert browser.get(TAIL, asked).status_code == 400


def test_people_without_permission_see_neither_log_nor_tail(visitor: Client, anna: Identity) -> None:
    event = an_event(anna)
    for address in (LOG, f"{TAIL}?after={uuid7()}", f"{LOG}{event.pk}/change/"):
        assert visitor.get(address).status_code == 403
    user = User.objects.get(username="vic")
    user.user_permissions.add(Permission.objects.get(codename="view_event"))
    assert visitor.get(LOG).status_code == 200
    assert visitor.post(f"{LOG}{event.pk}/change/", {"name": "x"}).status_code == 403


# One event


def test_an_event_is_told_whole(browser: Client, anna: Identity) -> None:
    event = an_event(
        anna,
        identifiers=[["user_id", "u-1"], ["email", "anna@example.com"]],
        properties={"note": "<script>alert(1)</script>"},
        timestamp=NOW - timedelta(days=2),
        bot=True,
    )
    page = browser.get(f"{LOG}{event.pk}/change/")
    text = page.content.decode()
    assert page.context["state"]["text"] == "handled"
    assert page.context["identifiers"] == [("user_id", "u-1"), ("email", "anna@example.com")]
    for words in (
        "&lt;script&gt;",
        "&quot;path&quot;: &quot;/checkout&quot;",
        "2\xa0days later",
        "for ever",
        event.message_id,
    ):
        assert words in text
    assert "<script>alert" not in text


@pytest.mark.parametrize(("problem", "state"), [("", "pending"), ("ValueError: 7", "set aside")])
def test_an_event_says_how_far_it_is(browser: Client, anna: Identity, problem: str, state: str) -> None:
    event = an_event(anna)
    Pending.objects.create(event_id=event.pk, identity_id=anna.pk, attempts=6, problem=problem)
    page = browser.get(f"{LOG}{event.pk}/change/")
    assert page.context["state"]["text"] == state and problem in page.content.decode()
    assert browser.get(LOG).context["rows"][0]["state"]["text"] == state


def test_json_that_nests_deep_is_shown_as_it_is(browser: Client, anna: Identity) -> None:
    event = an_event(anna)
    deep = '{"a":' * 3000 + "1" + "}" * 3000
    with connection.cursor() as cursor:
        cursor.execute("UPDATE customers_event SET properties = %s::json WHERE id = %s", [deep, event.pk])
    assert browser.get(f"{LOG}{event.pk}/change/").status_code == 200
    assert len(as_row(rows().get(pk=event.pk), None)["said"]) <= 120
    assert pretty(deep) == deep


def test_the_newest_of_a_long_log_are_read_from_an_index() -> None:
    customers = Customer.objects.bulk_create(Customer(key=f"user-{n}") for n in range(400))
    people = Identity.objects.bulk_create(
        Identity(kind="user_id", value=row.key, customer=row, home=row) for row in customers
    )
    Event.objects.bulk_create(
        Event(id=uuid7(), message_id="m", identity=person, type="track", name="A", timestamp=NOW, received_at=NOW)
        for person in people * 10
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE customers_event; ANALYZE customers_identity; ANALYZE customers_customer")
    for asked in ({}, {"name": "A"}):
        plan = asking.narrowed(asked).order_by("-id")[:51].explain()
        assert "Seq Scan on customers_event" not in plan, plan


@pytest.mark.parametrize(
    "asked",
    [
        "arrived_from=0001-01-01T00:00",
        "arrived_to=9999-12-31T23:59:59",
        "arrived_from=1960-01-01T00:00&arrived_to=1961-01-01T00:00",
        "before=fffffff0-ffff-ffff-ffff-ffffffffffff",
    ],
)
def test_moments_that_no_event_can_have_are_told_and_never_an_error(browser, asked):
    assert browser.get(f"/admin/customers/event/?{asked}").status_code in (200, 404)
