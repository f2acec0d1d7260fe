"""The text of a batch in; the texts of its items, still unread, out: a bad one shall harm no other. Pure."""

import json
import re
from collections.abc import Sequence
from datetime import datetime

import msgspec

from .incoming import MAX_EVENT, Unreadable
from .strict import Unfit, read, unreadable

MOST_ITEMS = 2_500
# Lists and objects in a batch that is worth a second, slow reading: a full one of real events has some thousands.
MOST_PARTS = 20_000
SPACE = re.compile(r"[ \t\r\n]*")

Span = tuple[int, int]

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_moment = msgspec.json.Decoder(datetime | None)
# Only where values end is of interest, so numbers stay texts; NaN, half surrogates and the like are for the check.
_scan = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False).raw_decode


def split(body: bytes) -> tuple[Sequence[bytes], datetime | None]:
    """The items of `{"batch": […], "sentAt": …}`, or of a bare list, and when the client sent them.

    Raises Unreadable where items cannot be told from each other, for more than `MOST_ITEMS`, and for members beside
    the batch that are no strict JSON.
    """
    try:
        return _split(body)
    except Unfit as error:
        raise Unreadable(error.code, error.message) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        fault = unreadable(error, body)
        raise Unreadable(fault.code, fault.message) from None


def _split(body: bytes) -> tuple[Sequence[bytes], datetime | None]:
    bare = body.lstrip()[:1] == b"["
    try:
        if bare:
            return _few(_items.decode(body)), None
        members = _members.decode(body)
        batch = bytes(_batch(members))
        items = _few(_items.decode(batch))
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        return _slowly(body, bare, error)
    # The rest is checked as strictly as an event is, without walking the items once more.
    beside = _without(body, batch, items)
    if len(beside) > MAX_EVENT:
        raise Unfit("too_large", f"Beside the batch there are more than {MAX_EVENT // 1024} KB; send events only.")
    read(beside)
    return items, _sent(members.get("sentAt"))


def _few(items: list[msgspec.Raw]) -> list[bytes]:
    if len(items) > MOST_ITEMS:
        raise _too_many()
    return [bytes(item) for item in items]


def _too_many() -> Unfit:
    return Unfit("too_many_items", f"There are more than {MOST_ITEMS:,} events in the batch; send smaller ones.")


def _batch(members: dict[str, msgspec.Raw]) -> msgspec.Raw:
    if "batch" not in members:
        raise _no_batch()
    return members["batch"]


def _no_batch() -> Unfit:
    return Unfit("no_batch", 'The body has no list "batch" of events.')


def _sent(raw: msgspec.Raw | bytes | None) -> datetime | None:
    return None if raw is None else _moment.decode(raw)


def _without(body: bytes, batch: bytes, items: Sequence[bytes]) -> bytes:
    """The body with an empty list in the place of its batch, found by its first item: searching all of it is slow."""
    start = body.rfind(b"[", 0, body.find(items[0])) if items else -1
    if start < 0 or body[start : start + len(batch)] != batch:
        start = body.find(batch)
    return body[:start] + b"[]" + body[start + len(batch) :]


def _slowly(body: bytes, bare: bool, error: Exception) -> tuple[Sequence[bytes], datetime | None]:
    """For a body that is no strict JSON: clients send NaN or half an emoji, and mostly in one event of many."""
    if body.count(b"[") + body.count(b"{") > MOST_PARTS:
        raise unreadable(error, body)
    text = body.decode("utf-8", "surrogateescape")
    start = _skip(text, 0)
    try:
        spans, sent = (_elements(text, start)[0], None) if bare else _members_of(text, start)
    except Unfit:
        raise
    except (ValueError, IndexError):
        raise unreadable(error, body) from None
    return [_bytes(text, *span) for span in spans], _sent(_bytes(text, *sent) if sent else None)


def _bytes(text: str, start: int, end: int) -> bytes:
    return text[start:end].encode("utf-8", "surrogateescape")


def _members_of(text: str, index: int) -> tuple[list[Span], Span | None]:
    """Where the items of the batch and `sentAt` start and end in the object at `index`."""
    found: dict[str, Span] = {}
    items: list[Span] | None = None
    index, more = _next(text, index + 1, "}", first=True)
    while more:
        name, index = _scan(text, index)
        if name in found:
            raise Unfit("duplicate_key", f'The name "{name[:100]}" stands twice in one object; send it once.')
        start = _skip(text, _expect(text, _skip(text, index), ":"))
        if name == "batch" and text[start] == "[":
            items, end = _elements(text, start)
        else:
            _, end = _scan(text, start)
        found[name] = (start, end)
        index, more = _next(text, end, "}")
    if items is None:
        raise _no_batch()
    return items, found.get("sentAt")


def _elements(text: str, index: int) -> tuple[list[Span], int]:
    """Where each element of the list at `index` starts and ends, and where the list ends."""
    found: list[Span] = []
    index, more = _next(text, index + 1, "]", first=True)
    while more:
        _, end = _scan(text, index)
        found.append((index, end))
        if len(found) > MOST_ITEMS:
            raise _too_many()
        index, more = _next(text, end, "]")
    return found, index


def _next(text: str, index: int, closing: str, first: bool = False) -> tuple[int, bool]:
    """Where the next member starts, and whether there is one."""
    index = _skip(text, index)
    if text[index] == closing:
        return index + 1, False
    return (index if first else _skip(text, _expect(text, index, ","))), True


def _skip(text: str, index: int) -> int:
    found = SPACE.match(text, index)
    return found.end() if found else index


def _expect(text: str, index: int, sign: str) -> int:
    if text[index] != sign:
        raise ValueError(f"no {sign!r} at {index}")
    return index + 1
