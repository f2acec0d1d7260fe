"""What a Kafka message carries, and when it happened."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from decisioning.sources.messages import items_of

ARRIVED = datetime(2024, 5, 31, 18, 0, 10, tzinfo=UTC)


class Carried:
    """A message as the broker hands it out."""

    def __init__(self, value: bytes | str | None, arrived: datetime | None = ARRIVED) -> None:
        self._value = value
        self._time = (1, int(arrived.timestamp() * 1000)) if arrived else (0, -1)

    def topic(self) -> str:
        return "orders"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 17

    def value(self) -> bytes | str | None:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return self._time


def carried(value: Any, arrived: datetime | None = ARRIVED) -> list[dict[str, Any]]:
    return [json.loads(item.what.raw) for item in items_of(Carried(json.dumps(value).encode(), arrived))]


def test_a_message_is_one_item_or_a_list_of_them() -> None:
    assert [item.place for item in items_of(Carried(b'{"a": 1}'))] == ["partition 3, offset 17"]
    places = [item.place for item in items_of(Carried(' [{"a": 1}, 2]'))]
    assert places == ["partition 3, offset 17, item 1", "partition 3, offset 17, item 2"]
    assert list(items_of(Carried(b"[]"))) == []


@pytest.mark.parametrize("value", [b"", b"[1", b"{", b"\xff", b"[" * 100_000, b'{"sentAt": 1, "a": 1, "a": 2}', None])
def test_what_is_neither_is_left_for_the_intake_to_refuse(value: bytes | None) -> None:
    assert [item.what.raw for item in items_of(Carried(value))] == [value or b""]


def test_an_item_with_a_time_is_left_as_it_is() -> None:
    for raw in (b'{"timestamp":  "2024-05-31T17:00:00Z"}', b'{"specversion":"1.0","time":  "2024-05-31T17:00:00Z"}'):
        assert [item.what.raw for item in items_of(Carried(raw))] == [raw]


def test_the_sender_s_clock_is_corrected_by_when_the_broker_got_it() -> None:
    item = {"timestamp": "2024-05-31T17:00:00Z", "sentAt": "2024-05-31T17:00:05Z", "event": "E"}
    assert carried(item) == [{"timestamp": "2024-05-31T18:00:05Z", "event": "E"}]


@pytest.mark.parametrize("item", [{}, {"properties": {"timestamp": "2020-01-01T00:00:00Z"}}, {"time": "2020"}])
def test_without_a_time_it_happened_when_the_broker_got_it(item: dict[str, Any]) -> None:
    assert carried(item) == [item | {"timestamp": "2024-05-31T18:00:10Z"}]


def test_a_cloudevent_has_its_own_name_for_time() -> None:
    assert carried({"specversion": "1.0"}) == [{"specversion": "1.0", "time": "2024-05-31T18:00:10Z"}]


def test_without_the_broker_s_time_nothing_is_corrected() -> None:
    item = {"timestamp": "2024-05-31T17:00:00Z", "sentAt": "2024-05-31T17:00:05Z"}
    assert carried(item, None) == [item]
