"""A body in the Segment Spec's shape in; checked events, and a reason for each one refused, out. Pure.

Source: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/ (limits: 32 KB an event,
500 KB a batch). An item that is a CloudEvent is translated first. Refused is what PostgreSQL or a later reader could
not keep, what names nobody, and what cannot be told from its own repetition.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UnsetType

from . import cloudevents, identifiers
from .bots import is_bot
from .incoming import (
    EARLIEST,
    FUTURE,
    MAX_BATCH,
    MAX_EVENT,
    SINGLE,
    SOMEBODY,
    Bad,
    Checked,
    Incoming,
    Raw,
    Sender,
    Unreadable,
)
from .locating import located, place_of
from .splitting import split
from .strict import Unfit, read

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_event = msgspec.json.Decoder(Incoming)
_encode = msgspec.json.Encoder().encode


def check_body(body: bytes, kind: str, now: datetime, sender: Sender = SOMEBODY) -> tuple[list[Checked], list[Bad]]:
    """Events of a body posted to a door: `kind` is `batch`, `cloudevents` (a list of them) or one event's type.

    `now` is when it arrived. Raises Unreadable where no item can be told from another.
    """
    if len(body) > MAX_BATCH:
        raise Unreadable("too_large", f"The body is larger than {MAX_BATCH // 1024} KB; send smaller batches.")
    if kind in SINGLE or kind == "cloudevent":
        return _check_all([body], kind, None, now, sender)
    items, sent_at = split(body)
    return _check_all(items, kind, sent_at, now, sender)


def check_items(
    items: Sequence[bytes], now: datetime, kind: str | None = None, sender: Sender = SOMEBODY
) -> tuple[list[Checked], list[Bad]]:
    """The same for single events from a file, a topic or a dead letter; `kind` is the type of those that name none.

    `now` is when they arrived: for a dead letter, when it was refused.
    """
    return _check_all(items, kind, None, now, sender)


def _check_all(
    items: Sequence[bytes], kind: str | None, sent_at: datetime | None, now: datetime, sender: Sender
) -> tuple[list[Checked], list[Bad]]:
    good: list[Checked] = []
    bad: list[Bad] = []
    fixed = kind if kind in SINGLE else None
    for index, raw in enumerate(items):
        try:
            good.append(_check(raw, fixed, sent_at, now, sender))
        except Unfit as error:
            bad.append(Bad(index, error.code, error.message, _kept(raw, fixed, sent_at)))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            bad.append(Bad(index, "invalid_field", f"{error}.", _kept(raw, fixed, sent_at)))
    return good, bad


def _kept(raw: bytes, kind: str | None, sent_at: datetime | None) -> bytes:
    """The item as it can be checked again alone: with what its address and its batch said."""
    if len(raw) > MAX_EVENT:
        return b""
    start = raw.find(b"{") + 1
    if raw[:start].strip() != b"{":
        return raw
    try:
        members = frozenset(_members.decode(raw))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return raw
    said = f'"type":"{kind}",'.encode() if kind and "type" not in members else b""
    if sent_at is not None and "sentAt" not in members:
        said += f'"sentAt":"{sent_at.isoformat()}",'.encode()
    return raw[:start] + said + raw[start:] if said else raw


def _check(raw: bytes, kind: str | None, sent_at: datetime | None, now: datetime, sender: Sender) -> Checked:
    if len(raw) > MAX_EVENT:
        raise Unfit("event_too_large", f"The event is larger than {MAX_EVENT // 1024} KB; send less of it.")
    value, text = read(raw)
    if type(value) is dict and "specversion" in value:
        value = cloudevents.translated(value)
        text = _encode(value)
    event = _event.decode(text)
    type_ = kind or event.type
    if type_ is None:
        raise Unfit("no_type", "The event has no type; use identify, track, page, screen, group or alias.")
    if not event.message_id:
        raise Unfit("no_message_id", "The event has no messageId; without one a retry would count twice.")
    context = _object(value, "context") or {}
    agent = context.get("userAgent")
    if type(agent) is not str:
        agent = sender.agent
    return Checked(
        event.message_id,
        type_,
        _name(event, type_),
        _identifiers(event, type_, value, context, sender),
        _properties(event, type_, value),
        _context(event, value, context, sender),
        corrected(event.timestamp or event.original_timestamp, event.sent_at or sent_at, now),
        context.get("historical") is True,
        agent != "" and is_bot(agent),
    )


def _context(event: Incoming, value: dict[str, Any], context: dict[str, Any], sender: Sender) -> str:
    text = _text(event.context) if context else "{}"
    return text if sender.locate is None else located(text, context, place_of(value, context, sender))


def _name(event: Incoming, type_: str) -> str:
    name = event.event if type_ == "track" else event.name or type_
    if not name:
        raise Unfit("no_name", "The track event has no name; give it in the field 'event'.")
    return name


def _object(value: dict[str, Any], field: str) -> dict[str, Any] | None:
    found = value.get(field)
    if found is not None and type(found) is not dict:
        raise Unfit("invalid_field", f"The field '{field}' is no object; send {{…}}.")
    return found


def _identifiers(
    event: Incoming, type_: str, value: dict[str, Any], context: dict[str, Any], sender: Sender
) -> tuple[tuple[str, str], ...]:
    traits = _object(value, "traits") if type_ == "identify" else None
    user, anonymous = event.user_id, event.anonymous_id or sender.anonymous_id
    found = identifiers.found("" if user is None else str(user), str(anonymous), traits, context)
    if not found:
        said = (
            f" What it says ({user if user is not None else anonymous}) is one that names nobody."
            if user or anonymous
            else ""
        )
        raise Unfit("nobody", f"The event says nobody did it; give userId or anonymousId.{said}")
    return found


def _properties(event: Incoming, type_: str, value: dict[str, Any]) -> str:
    if type_ == "alias":
        if event.previous_id in (None, "") or identifiers.names_nobody(str(event.previous_id)):
            raise Unfit("no_previous_id", "The alias has no previousId; say which id is the same person's.")
        return _encode({"previousId": str(event.previous_id)}).decode()
    field = "traits" if type_ in ("identify", "group") else "properties"
    held = _object(value, field)
    if type_ == "identify" and not held:
        # RudderStack's clients send the traits within the context.
        said = (value.get("context") or {}).get("traits")
        return _encode(said).decode() if type(said) is dict else "{}"
    extra: dict[str, Any] = {}
    if type_ == "group" and event.group_id is not None:
        extra["groupId"] = event.group_id
    if type_ == "page" and event.category:
        extra["category"] = event.category
    if extra:
        return _encode({**extra, **(held or {})}).decode()
    return _text(event.traits if field == "traits" else event.properties) if held else "{}"


def _text(raw: Raw | UnsetType) -> str:
    return "{}" if isinstance(raw, UnsetType) else str(raw, "utf-8")


def corrected(timestamp: datetime | None, sent_at: datetime | None, now: datetime) -> datetime:
    """When it happened by our clock: arrival minus the client's own time between happening and sending.

    Without `sentAt` the client's time is taken, but nothing happens later than it arrives. Raises Unfit for a moment
    before `EARLIEST`.
    """
    if timestamp is None:
        return now
    happened = _aware(timestamp, now)
    try:
        if sent_at is not None:
            happened = now - (_aware(sent_at, now) - happened)
        if happened < EARLIEST:
            raise Unfit("bad_time", f"The timestamp lies before {EARLIEST:%Y-%m-%d}; nothing that old can be meant.")
    except OverflowError:
        raise Unfit(
            "bad_time", "timestamp and sentAt lie thousands of years apart; check the client's clock."
        ) from None
    return now if happened > now + FUTURE else happened


def _aware(moment: datetime, now: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
