"""What was refused or set aside in; one row for each such thing and reason, kept for 90 days, out.

A letter is dead until it is replayed. The same thing refused again for the same reason is the same row, counted.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import connection

from ..models import DeadLetter
from .tracking import MAX_EVENT, Checked

INTAKE: Final = str(DeadLetter.Stage.INTAKE)
HANDLING: Final = str(DeadLetter.Stage.HANDLING)
KEPT_DAYS: Final = 90
# A write key is public, and must not fill the disk: so many KB of new rows may a process write at once, and so many a
# minute on the long run. The rest is counted in one row a day.
BURST: Final = 50_000
A_MINUTE: Final = 1_000
TOO_MANY: Final = "too_many"
LOST: Final = (
    "So many different items were refused that these were only counted, and not kept. "
    "Look for a broken client under the newest letters."
)
LARGE: Final = f" It is larger than {MAX_EVENT // 1024} KB and was not kept, so it cannot be replayed."
SET_ASIDE: Final = "cannot_be_handled"

# Sorted, so that two processes that refuse the same wait for each other in one order. One that was replayed and is
# refused again is dead again.
KEEP: Final = """
INSERT INTO customers_deadletter (stage, source, code, reason, body, event_id, digest, times, at, outcome)
SELECT %s, %s, code, reason, body, event_id, digest, times, %s, ''
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bytea[], %s::uuid[], %s::int[])
    AS v(digest, code, reason, body, event_id, times) ORDER BY digest
ON CONFLICT (digest) DO UPDATE SET times = customers_deadletter.times + excluded.times, reason = excluded.reason,
    source = excluded.source, at = greatest(customers_deadletter.at, excluded.at), replayed_at = NULL
RETURNING digest, xmax = 0
"""

Refusal = tuple[str, str, bytes]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Allowance:
    """How many KB of new rows this process may still write: a bucket that fills by `A_MINUTE` up to `BURST`."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin with a full one."""
        self._left, self._at = float(BURST), 0.0

    def left(self, now: datetime) -> float:
        """KB left at `now`."""
        moment = now.timestamp()
        self._left = min(BURST, self._left + max(0.0, moment - self._at) * A_MINUTE / 60)
        # A replay comes with the moment of the first refusal.
        self._at = max(self._at, moment)
        return self._left

    def use(self, size: float) -> None:
        """Note that so many KB were written."""
        self._left -= size


allowance = Allowance()


def digest_of(stage: str, code: str, raw: bytes) -> UUID:
    """What a letter is told by: 128 bits of the SHA-256 (FIPS 180-4) of stage, code and body."""
    return UUID(bytes=sha256(b"|".join([stage.encode(), code.encode(), raw])).digest()[:16])


def keep(bads: Sequence[Refusal], source: str, now: datetime) -> int:
    """Keep refused items, each (code, reason, body), in one statement; how many are new.

    Two of the same count as two. Past the allowance they are only counted.
    """
    if not bads:
        return 0
    unique: dict[UUID, list[Any]] = {}
    for code, reason, raw in bads:
        code = _clean(code)[:40]
        row = unique.setdefault(digest_of(INTAKE, code, raw), [code, _told(reason, raw), _kept(raw), None, 0])
        row[-1] += 1
    rows, lost = _affordable(unique, allowance.left(now))
    if lost:
        rows[digest_of(INTAKE, TOO_MANY, f"{now:%Y-%m-%d}".encode())] = [TOO_MANY, LOST, b"", None, lost]
    new = [unique[digest] for digest in _write(INTAKE, source, rows, now) if digest in unique]
    allowance.use(sum(map(_size, new)))
    return len(new)


def _affordable(rows: Mapping[UUID, list[Any]], left: float) -> tuple[dict[UUID, list[Any]], int]:
    """As many as there is room for, and how many items the others stood for."""
    kept, lost = {}, 0
    for digest, row in rows.items():
        if left >= _size(row):
            kept[digest] = row
            left -= _size(row)
        else:
            lost += row[-1]
    return kept, lost


def _size(row: list[Any]) -> int:
    """KB, one at least."""
    return 1 + len(row[2]) // 1024


def set_aside(event_id: UUID, reason: str, now: datetime, source: str = "log") -> None:
    """Keep note of an event of the log that could not be handled; the event itself stays where it is.

    Belongs into the transaction that takes the event out of what is pending.
    """
    digest = digest_of(HANDLING, SET_ASIDE, event_id.bytes)
    _write(HANDLING, source, {digest: [SET_ASIDE, _clean(reason), b"", event_id, 1]}, now)


def age_out(now: datetime, days: int = KEPT_DAYS) -> int:
    """Delete the letters last refused longer ago than this; how many went."""
    return DeadLetter.objects.filter(at__lt=now - timedelta(days=days)).delete()[0]


def item_of(event: Checked) -> bytes:
    """A checked event as an item that can be sent again and is checked to the same."""
    named = dict(event.identifiers)
    context = _decode(event.context)
    if event.bot and "userAgent" not in context:
        # It was told by a header, which an item does not have.
        context["userAgent"] = "bot"
    properties = _decode(event.properties)
    item = {"type": event.type, "messageId": event.message_id, "timestamp": event.timestamp, "context": context}
    item |= {field: named[kind] for kind, field in FIELDS.items() if kind in named}
    if event.type == "alias":
        return _encode(item | properties)
    if event.type == "track" or event.name != event.type:
        item["event" if event.type == "track" else "name"] = event.name
    item["traits" if event.type in ("identify", "group") else "properties"] = properties
    return _encode(item)


# The other identifiers are found again where they were, in the traits and the context.
FIELDS: Final = {"user_id": "userId", "anonymous_id": "anonymousId"}


def _write(stage: str, source: str, rows: Mapping[UUID, list[Any]], now: datetime) -> list[UUID]:
    """One statement; the digests of rows that are new."""
    columns = [list(column) for column in zip(*([digest, *row] for digest, row in rows.items()), strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(KEEP, [stage, _clean(source)[:200], now, *columns])
        return [digest for digest, is_new in cursor.fetchall() if is_new]


def _told(reason: str, raw: bytes) -> str:
    return _clean(reason) + (LARGE if len(raw) > MAX_EVENT else "")


def _kept(raw: bytes) -> bytes:
    return raw if len(raw) <= MAX_EVENT else b""


def _clean(text: str) -> str:
    """What PostgreSQL can keep as text: a reason may quote what was wrong."""
    return text.replace("\0", "\\u0000").encode(errors="backslashreplace").decode()
