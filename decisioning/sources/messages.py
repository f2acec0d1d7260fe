"""A Kafka message in; the items it carries, each with its place and the time it arrived at the broker, out. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from ..customers.intake import strict
from ..customers.intake.tracking import corrected
from .handing import Placed
from .items import Item

_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class Head(msgspec.Struct, rename="camel"):
    """What an item says about its time; of a CloudEvent (`specversion`) in `time`."""

    specversion: Any = None
    time: Any = None
    timestamp: Any = None
    original_timestamp: Any = None
    sent_at: Any = None

    def happened(self) -> Any:
        """When it happened, by the clock of who sent it."""
        return self.time if self.specversion else self.timestamp or self.original_timestamp


_head = msgspec.json.Decoder(Head).decode


class Carrier(Protocol):
    """What is asked of a message; `confluent_kafka.Message` has it."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def value(self) -> str | bytes | None: ...
    def timestamp(self) -> tuple[int, int]: ...


def items_of(message: Carrier) -> Iterator[Placed[Item]]:
    """The items of one message, whose value is one JSON object or a list of them. What is neither is one (bad) item."""
    value = message.value() or b""
    raw = value.encode() if isinstance(value, str) else value
    place = f"partition {message.partition()}, offset {message.offset()}"
    arrived = _arrived(message)
    many = _parts(raw)
    if many is None:
        yield Placed(place, Item(as_arrived(raw, arrived)))
        return
    for number, one in enumerate(many, 1):
        yield Placed(f"{place}, item {number}", Item(as_arrived(bytes(one), arrived)))


def as_arrived(raw: bytes, arrived: datetime | None) -> bytes:
    """The item with its time as the broker's clock would have it.

    It may lie in the topic for hours, so neither can the moment of reading stand in for a missing time, nor can
    `sentAt` be compared with it: both are done here, by the moment the broker got it.
    """
    if arrived is None:
        return raw
    try:
        head = _head(raw)
        if head.happened() is not None and head.sent_at is None:
            return raw
        item, _ = strict.read(raw)
        item.pop("sentAt", None)
        moment = corrected(_moment(head.happened()), _moment(head.sent_at), arrived)
        return _encode(item | {"time" if head.specversion else "timestamp": moment})
    except (ValueError, RecursionError, msgspec.MsgspecError):
        # The intake refuses it, and says why.
        return raw


def _moment(value: Any) -> datetime | None:
    return None if value is None else msgspec.convert(value, datetime)


def _arrived(message: Carrier) -> datetime | None:
    kind, milliseconds = message.timestamp()
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if kind and milliseconds > 0 else None


def _parts(raw: bytes) -> list[msgspec.Raw] | None:
    if raw.lstrip()[:1] != b"[":
        return None
    try:
        return _list(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
