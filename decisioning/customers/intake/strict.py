"""A JSON text in; its value and one canonical text out, or why PostgreSQL and later readers cannot keep it.

Sources: RFC 8259 (JSON), RFC 7493 (I-JSON: unique names, numbers that every reader understands), PostgreSQL's `jsonb`
(no U+0000, no lone surrogates, no NaN).
"""

import json
import re
from typing import Any

import msgspec

DEEPEST = 32
LARGEST, SMALLEST = 2**63 - 1, -(2**63)
# An escaped NUL, but not the harmless text of a backslash followed by "u0000".
NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
# How msgspec begins to say that something else than an escape is wrong.
NO_CHARACTER = "malformed: invalid c"
_DIGITS = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))
_LONG = b"0" * 19

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Unfit(ValueError):
    """What cannot be kept: a short stable code, and a sentence that says the cure."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def read(raw: bytes) -> tuple[Any, bytes]:
    """The value of a JSON text and its canonical text (compact, UTF-8, escapes only where needed).

    Raises Unfit for what is not JSON, names a member twice, nests deeper than `DEEPEST` levels, or holds a NUL, a lone
    surrogate or a number that 64 bits cannot hold.
    """
    value = _decoded(raw)
    text = _encode(value)
    if text != raw:
        _refuse_duplicates(raw, text)
    refuse_nul(text)
    refuse_depth(value, text)
    if _LONG in text.translate(_DIGITS):
        _refuse_long_numbers(value)
    return value, text


def _decoded(raw: bytes) -> Any:
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise unreadable(error, raw) from None


def unreadable(error: Exception, raw: bytes) -> Unfit:
    """What msgspec's error on `raw` means to the sender."""
    if isinstance(error, RecursionError):
        return Unfit("too_deep", f"It is nested deeper than {DEEPEST} levels; send it flatter.")
    if isinstance(error, UnicodeDecodeError):
        return Unfit("not_utf8", f"It is not UTF-8 (byte {error.start} of a text); encode it as UTF-8.")
    if isinstance(error, msgspec.ValidationError):
        if "out of range" in str(error):
            return Unfit("number_range", f"{error}; send a number that 64 bits can hold, or a text.")
        return Unfit("invalid_field", f"{error}.")
    if SURROGATE.search(raw) and NO_CHARACTER not in str(error):
        return Unfit(
            "lone_surrogate", "There is half a surrogate pair (\\ud800 to \\udfff) in it; cut texts elsewhere."
        )
    return Unfit("not_json", f"It cannot be read: {error}.")


def _refuse_duplicates(raw: bytes, text: bytes) -> None:
    """A text has a `":` for every name; where both texts have as many, no name was dropped.

    That proves nothing where a name may stand apart from its colon or a quote or colon may be escaped: such texts are
    read once more, slowly.
    """
    apart = b" :" in raw or b"\n" in raw or b"\t" in raw or b"\r" in raw
    escaped = b"\\" in raw and (b"\\u0022" in raw or b"\\u003" in raw)
    if apart or escaped or raw.count(b'":') != text.count(b'":'):
        json.loads(raw, object_pairs_hook=_unique)


def refuse_twice(raw: bytes) -> None:
    """Refuse a JSON text that names a member of an object twice: readers would differ in which one counts.

    Where no two names of the whole text are equal there is nothing to look for; else it is read once more, slowly.
    """
    plain = b"\\" not in raw and not (b" :" in raw or b"\n:" in raw or b"\t:" in raw or b"\r:" in raw)
    if plain:
        # Where nothing is escaped a name is what stands between a quote and the next `":`.
        parts = raw.split(b'":')[:-1]
        if len({part[part.rfind(b'"') :] for part in parts}) == len(parts):
            return
    json.loads(raw, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in pairs:
        if name in names:
            raise Unfit("duplicate_key", f'The name "{name[:100]}" stands twice in one object; send it once.')
        names.add(name)


def refuse_nul(raw: bytes) -> None:
    """Text in PostgreSQL cannot hold U+0000."""
    if b"\\" in raw and NUL.search(raw):
        raise Unfit("nul", "There is a NUL character (\\u0000) in it, which text in PostgreSQL cannot hold.")


def refuse_depth(value: Any, raw: bytes, deepest: int = DEEPEST) -> None:
    """Pages, workers and databases walk a value by recursion; `raw` lets the usual small ones pass unwalked."""
    if raw.count(b"[") + raw.count(b"{") <= deepest:
        return
    layer, depth = [value], 0
    while layer:
        depth += 1
        if depth > deepest:
            raise Unfit("too_deep", f"It is nested deeper than {deepest} levels; send it flatter.")
        layer = [
            child
            for part in layer
            for child in (part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())
            if isinstance(child, dict | list)
        ]


def _refuse_long_numbers(value: Any) -> None:
    """Later readers hold whole numbers in 64 bits with a sign."""
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            parts.extend(part.values())
        elif isinstance(part, list):
            parts.extend(part)
        elif isinstance(part, int) and not SMALLEST <= part <= LARGEST:
            raise Unfit("number_range", "A whole number needs more than 64 bits; send it as a text.")
