"""Rows become items: by the names of their columns, or as a mapping file says."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from decisioning.sources.items import Finish, Occurrences
from decisioning.sources.mapping import RowMapping, Unusable, read_words
from decisioning.sources.shapes import CONTENTS, CUSTOMERS, EVENTS, Shape
from decisioning.sources.values import Misfit

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)


def meaning(row: dict[str, Any], mapping: str = "", typed: bool = False, shape: Shape = EVENTS) -> dict[str, Any]:
    return RowMapping(shape, read_words(mapping), typed).item(row)


def event(row: dict[str, Any], mapping: str = "", typed: bool = False, historical: bool = False) -> dict[str, Any]:
    finish = Finish(Occurrences().before, historical, AS_OF)
    return dict(json.loads(finish.event(meaning(row, mapping, typed)).raw))


def test_segment_names_are_known_however_they_are_written() -> None:
    wanted = {
        "messageId": "m-1",
        "userId": "7",
        "anonymousId": "a-1",
        "event": "Order Completed",
        "timestamp": "2024-05-31T18:04:00Z",
        "type": "track",
        "properties": {"total": 42.5, "coupon": "X1"},
    }
    values = ["m-1", "7", "a-1", "Order Completed", "2024-05-31T18:04:00Z", "42.5", "X1"]
    for names in (
        ["messageId", "userId", "anonymousId", "event", "timestamp", "properties.total", "coupon"],
        ["message_id", "user_id", "anonymous_id", "event_name", "original_timestamp", "total", "coupon"],
        ["Message ID", "User ID", "ANONYMOUS-ID", "Event", "Timestamp", "total", "properties.coupon"],
    ):
        assert event(dict(zip(names, values, strict=True))) == wanted


def test_a_warehouse_table_reads_itself() -> None:
    row = {
        "id": "m-1",
        "received_at": "2024-05-31 18:05:00 UTC",
        "original_timestamp": "2024-05-31 18:04:00 UTC",
        "sent_at": "2024-05-31 18:04:30 UTC",
        "uuid_ts": "2024-05-31 19:00:00 UTC",
        "user_id": "u-1",
        "event": "order_completed",
        "event_text": "Order Completed",
        "context_page_url": "https://shop.example/",
        "context_user_agent": "Mozilla",
        "context_ip": "203.0.113.5",
        "total": "9.90",
    }
    assert event(row) == {
        "messageId": "m-1",
        "type": "track",
        "event": "Order Completed",
        "userId": "u-1",
        "timestamp": "2024-05-31T18:04:00Z",
        "context": {"page": {"url": "https://shop.example/"}, "userAgent": "Mozilla", "ip": "203.0.113.5"},
        "properties": {"total": 9.9},
    }


def test_an_event_as_a_client_sends_it_stays_as_it_is() -> None:
    sent = {
        "type": "page",
        "name": "Home",
        "messageId": "m-1",
        "userId": 42,
        "timestamp": "2024-05-31T18:04:00Z",
        "sentAt": "2024-05-31T18:04:02Z",
        "properties": {"zip": "01234", "price": "9", "list": [1, None, {"a": "1"}]},
        "context": {"ip": "203.0.113.5"},
        "projectId": "p",
    }
    wanted = {name: sent[name] for name in ("type", "name", "messageId", "timestamp", "properties", "context")}
    assert event(sent, typed=True) == wanted | {"userId": "42"}


def test_types_of_columns_are_kept_where_the_file_has_types() -> None:
    assert event({"event": "E", "timestamp": "2024-05-31", "sku": "42"}, typed=True)["properties"] == {"sku": "42"}
    assert event({"event": "E", "timestamp": "2024-05-31", "sku": "42"})["properties"] == {"sku": 42}


def test_a_mapping_says_everything() -> None:
    mapping = """
    [file]
    decimal = ","
    zone = "Europe/Berlin"

    [fields]
    messageId = "Bon"
    userId = "Kundennr"
    event = { constant = "Order Completed" }
    timestamp = { column = "Datum", format = "%d.%m.%Y %H:%M" }
    "properties.total" = { column = "Betrag", kind = "number" }
    context.device.id = "Kasse"

    [fields.properties]
    products = { column = "Positionen", kind = "json" }
    column = "Filiale"
    shop = { constant = { name = "Mitte", open = true } }
    """
    row = {
        "Bon": "0815",
        "Kundennr": "0042",
        "Datum": "31.05.2024 18:04",
        "Betrag": "1.234,50",
        "Kasse": "12",
        "Positionen": '[{"sku": "a", "price": 9.5}]',
        "Filiale": "007",
        "Notiz": "not named, so not read",
    }
    assert event(row, mapping) == {
        "messageId": "0815",
        "userId": "0042",
        "event": "Order Completed",
        "type": "track",
        "timestamp": "2024-05-31T16:04:00Z",
        "properties": {
            "total": 1234.5,
            "products": [{"sku": "a", "price": 9.5}],
            "column": "007",
            "shop": {"name": "Mitte", "open": True},
        },
        "context": {"device": {"id": "12"}},
    }


def test_a_constant_is_not_shared_between_rows() -> None:
    mapping = '[fields]\nproperties = { constant = { shop = "s" } }\n"properties.n" = "n"'
    mapped = RowMapping(EVENTS, read_words(mapping), typed=False)
    assert mapped.item({"n": "1"}) == {"properties": {"shop": "s", "n": 1}}
    assert mapped.item({"n": ""}) == {"properties": {"shop": "s"}}


def test_unnamed_columns_may_keep_their_standard_meaning() -> None:
    mapping = '[file]\nothers = "standard"\n[fields]\nevent = "what"'
    assert meaning({"what": "Tea", "user_id": "u"}, mapping) == {"event": "Tea", "userId": "u"}


def test_members_of_objects_are_reached_by_dots() -> None:
    row = {"actor": {"id": 7, "tags": {"plan": "pro"}}, "at": "2024-05-31T00:00:00Z"}
    mapping = '[fields]\nuserId = "actor.id"\nproperties.plan = "actor.tags.plan"\nproperties.no = "actor.tags.none.x"'
    assert meaning(row, mapping, typed=True) == {"userId": "7", "properties": {"plan": "pro"}}


def test_rest_goes_to_the_traits_of_identify_and_group() -> None:
    row = {"type": "identify", "user_id": "u", "timestamp": "2024-05-31", "city": "Rom"}
    assert event(row)["traits"] == {"city": "Rom"}
    assert event(row | {"type": "group", "group_id": "g"})["traits"] == {"city": "Rom"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"event": "E", "timestamp": "31/05/24"}, "timestamp is '31/05/24'; a moment in ISO 8601"),
        ({"event": "E"}, "when it happened"),
        ({"timestamp": "2024-05-31"}, "names no event"),
        ({"event": "E", "timestamp": "2024-05-31", "properties": "[1]"}, "properties is \\[1\\]; a JSON object"),
        ({"event": "E", "timestamp": "2024-05-31", "properties": "{]"}, "properties is not usable as JSON"),
        ({"event": "E", "timestamp": "2024-05-31", "a": "caf\udce9"}, "not UTF-8"),
        ({"event": "E\udce9", "timestamp": "2024-05-31"}, "not UTF-8"),
    ],
)
def test_a_row_that_means_nothing_says_why(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(Misfit, match=reason):
        event(row)


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ("[fields]\nuserid = 'a'", "no field userid for events. Did you mean userId"),
        ("[fields]\n'userId.x' = 'a'", "has no names below it"),
        ("[fields]\nuserId = {column = 'a', constant = 'b'}", "either a column or a constant"),
        ("[fields]\nuserId = {column = 'a', kind = 'nubmer'}", "Did you mean number"),
        ("[fields]\nuserId = {column = 'a', colour = 'b'}", "unknown field `colour`"),
        ("[fields]\ntimestamp = {column = 'a', format = 'DD.MM'}", "like %d.%m.%Y"),
        ("[fields]\ntimestamp = {constant = 'soon'}", "The constant of timestamp is 'soon'"),
        ("[file]\nzone = 'Mars'", "no time zone 'Mars'"),
        ("[file]\nfarmat = 'csv'", "unknown field `farmat`"),
        ("[file", "not TOML"),
    ],
)
def test_a_wrong_mapping_is_refused_before_any_row(mapping: str, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        meaning({}, mapping)


def test_a_column_that_the_file_does_not_have_is_named() -> None:
    mapped = RowMapping(EVENTS, read_words("[fields]\nuserId = 'custmer'\nevent = 'a.b'"), typed=True)
    assert mapped.missing(["customer", "a"]) == ['The file has no column "custmer". Did you mean customer?']


def test_customers_have_traits_and_consent() -> None:
    row = {"key": "7", "email": "a@b.example", "phone": "0049301", "City": "Rom", "consent.email": "yes",
           "consent_at": "2024-01-01"}  # fmt: skip
    made = Finish(Occurrences().before, True, AS_OF, ("email",)).customer(meaning(row, shape=CUSTOMERS))
    item = json.loads(made.raw)
    assert item.pop("messageId").startswith("import-")
    assert item == {
        "type": "identify",
        "userId": "7",
        "timestamp": "2024-06-01T00:00:00Z",
        "traits": {"email": "a@b.example", "phone": "0049301", "City": "Rom"},
        "context": {"historical": True},
    }
    assert made.consents == {"email": (True, datetime(2024, 1, 1, tzinfo=UTC))}


def test_contents_have_attributes_tags_and_dates() -> None:
    row = {"key": "tea", "name": "Tea", "price": "4.50", "tags": "hot|green", "body.title": "Tea!",
           "starts": "2024-05-31", "active": "no"}  # fmt: skip
    assert meaning(row, shape=CONTENTS) == {
        "key": "tea",
        "name": "Tea",
        "tags": ["hot", "green"],
        "body": {"title": "Tea!"},
        "starts_at": datetime(2024, 5, 31, tzinfo=UTC),
        "active": False,
        "*": {"price": 4.5},
    }


def test_the_same_row_has_the_same_message_id_wherever_it_stands() -> None:
    row = {"event": "E", "timestamp": "2024-05-31", "user_id": "u", "n": "1"}
    other = dict(reversed(row.items()))
    assert event(row)["messageId"] == event(other)["messageId"] == event(row, historical=True)["messageId"]
    assert event(row)["messageId"] != event(row | {"n": "2"})["messageId"]


def test_a_row_that_stands_twice_in_one_file_is_two_events() -> None:
    row = {"event": "E", "timestamp": "2024-05-31", "user_id": "u"}
    finish = Finish(Occurrences().before, False, AS_OF)
    first, second, third = (json.loads(finish.event(meaning(row)).raw)["messageId"] for _ in range(3))
    assert (second, third) == (f"{first}-1", f"{first}-2")
