"""A body in the Segment Spec's shape in; checked events, and a reason for each one refused, out. Pure.

Source: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/ (limits: 32 KB an event,
500 KB a batch). Refused here is what PostgreSQL or a later reader could not keep: NUL, lone surrogates, no customer,
no name.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from .strict import refuse_depth, refuse_nul

MAX_EVENT = 32 * 1024
MAX_BATCH = 500 * 1024
FUTURE = timedelta(minutes=1)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

Kind = Literal["identify", "track", "page", "screen", "group", "alias"]
Id = Annotated[str, Meta(max_length=200)]


class Incoming(Struct, rename="camel", frozen=True):
    """One event as clients send it; fields that nobody here reads are ignored."""

    type: Kind | None = None
    message_id: Annotated[str, Meta(max_length=100)] = ""
    user_id: Id | None = None
    anonymous_id: Id | None = None
    event: Annotated[str, Meta(max_length=200)] = ""
    name: Annotated[str, Meta(max_length=200)] | None = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    timestamp: datetime | None = None
    sent_at: datetime | None = None


class Batch(Struct, rename="camel", frozen=True):
    """The body of `/v1/batch`; each item is decoded on its own, so that a bad one harms no other."""

    batch: list[msgspec.Raw]
    sent_at: datetime | None = None


class Checked(Struct, frozen=True):
    """An event ready for the log."""

    message_id: str
    type: str
    name: str
    user_id: str | None
    anonymous_id: str | None
    traits: dict[str, Any]
    properties: str
    context: str
    timestamp: datetime


class Bad(Struct, frozen=True):
    """An item that was refused: its place in the batch, and why."""

    index: int
    message: str


class Unreadable(ValueError):
    """The whole body cannot be read; the message says why."""


_batch = msgspec.json.Decoder(Batch)
_event = msgspec.json.Decoder(Incoming)
_encode = msgspec.json.Encoder()


def check_body(body: bytes, kind: str, now: datetime) -> tuple[list[Checked], list[Bad]]:
    """Events of a body posted to `/v1/<kind>` (`batch` or one event's type). `now` is when it arrived."""
    if len(body) > MAX_BATCH:
        raise Unreadable(f"The body is larger than {MAX_BATCH // 1024} KB; send smaller batches.")
    if kind != "batch":
        return _check_all([msgspec.Raw(body)], None, kind, now)
    try:
        batch = _batch.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"The body cannot be read: {error}.") from None
    return _check_all(batch.batch, batch.sent_at, None, now)


def _check_all(
    items: list[msgspec.Raw], sent_at: datetime | None, kind: str | None, now: datetime
) -> tuple[list[Checked], list[Bad]]:
    good: list[Checked] = []
    bad: list[Bad] = []
    for index, raw in enumerate(items):
        try:
            good.append(_check(bytes(raw), sent_at, kind, now))
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            bad.append(Bad(index, str(error)))
    return good, bad


def _check(raw: bytes, sent_at: datetime | None, kind: str | None, now: datetime) -> Checked:
    if len(raw) > MAX_EVENT:
        raise ValueError(f"The event is larger than {MAX_EVENT // 1024} KB.")
    refuse_nul(raw)
    event = _event.decode(raw)
    for part in (event.properties, event.context, event.traits):
        refuse_depth(part, raw)
    type_ = kind or event.type
    if type_ is None:
        raise ValueError("The event has no type; use identify, track, page, screen, group or alias.")
    if not event.message_id:
        raise ValueError("The event has no messageId; without one a retry would count twice.")
    if not (event.user_id or event.anonymous_id):
        raise ValueError("The event says nobody did it; give userId or anonymousId.")
    name = event.event if type_ == "track" else event.name or type_
    if not name:
        raise ValueError("The track event has no name; give it in the field 'event'.")
    return Checked(
        event.message_id,
        type_,
        name,
        event.user_id or None,
        event.anonymous_id or None,
        (event.traits or {}) if type_ == "identify" else {},
        _encode.encode(event.properties or {}).decode(),
        _encode.encode(event.context or {}).decode(),
        corrected(event.timestamp, event.sent_at or sent_at, now),
    )


def corrected(timestamp: datetime | None, sent_at: datetime | None, now: datetime) -> datetime:
    """When it happened by our clock: arrival minus the client's own time between happening and sending.

    Without `sentAt` the client's time is taken, but nothing happens later than it arrives. Raises ValueError for a
    moment before `EARLIEST`.
    """
    if timestamp is None:
        return now
    happened = _aware(timestamp, now)
    try:
        if sent_at is not None:
            happened = now - (_aware(sent_at, now) - happened)
        if happened < EARLIEST:
            raise ValueError(f"The timestamp lies before {EARLIEST:%Y-%m-%d}; nothing that old can be meant.")
    except OverflowError:
        raise ValueError("timestamp and sentAt lie thousands of years apart; check the client's clock.") from None
    return now if happened > now + FUTURE else happened


def _aware(moment: datetime, now: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
