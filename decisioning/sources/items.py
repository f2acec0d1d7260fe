"""What a row means in; the item that goes to the intake, as JSON, or what is to be written out. Pure.

A row without a message id gets one from its content, so that an import repeated, or another file with the same row,
adds nothing. A row that stands twice in one file is two events: the second gets a number.
"""

import sqlite3
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec

from .shapes import REST
from .values import Misfit

_encode = msgspec.json.Encoder(decimal_format="number").encode
_encode_sorted = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode
IN_TRAITS: Final = frozenset({"identify", "group"})
NAMED: Final = frozenset({"page", "screen"})


@dataclass(frozen=True, slots=True)
class Item:
    """What one row became: JSON in the Segment Spec's shape, and the consent it states: {channel: (yes, since)}."""

    raw: bytes
    consents: dict[str, tuple[bool, datetime]] = field(default_factory=dict)


class Occurrences:
    """How often a row was met in this file, on disk rather than in memory: files are larger than memory."""

    def __init__(self) -> None:
        # An empty name is SQLite's word for a private file that is deleted when it is closed.
        self._seen = sqlite3.connect("", isolation_level=None)
        for line in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -16000", "BEGIN"):
            self._seen.execute(line)
        self._seen.execute("CREATE TABLE met (digest BLOB PRIMARY KEY, times INTEGER) WITHOUT ROWID")

    def before(self, digest: bytes) -> int:
        """How often this digest was asked for before."""
        sql = "INSERT INTO met VALUES (?, 0) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times"
        return int(self._seen.execute(sql, (digest,)).fetchone()[0])

    def close(self) -> None:
        """Delete the file."""
        self._seen.close()


@dataclass(frozen=True, slots=True)
class Finish:
    """Makes items of rows' meanings: of one kind of import, for one run."""

    before: Callable[[bytes], int]
    # History triggers nothing (`context.historical`).
    historical: bool
    # The moment of customers' rows that name none.
    as_of: datetime
    # Channels that consent may be given for.
    channels: Collection[str] = ()

    def event(self, made: dict[str, Any]) -> Item:
        """An event. Raises Misfit where there is no time or no name."""
        rest = made.pop(REST, {})
        type_ = made.setdefault("type", "track")
        if type_ == "track" and "event" not in made:
            raise Misfit("The row names no event; map a column to `event`, or a constant.")
        if "timestamp" not in made:
            raise Misfit("The row says nothing about when it happened; map a column to `timestamp`.")
        if type_ in NAMED and "name" in rest:
            made.setdefault("name", rest.pop("name"))
        if rest:
            part = "traits" if type_ in IN_TRAITS else "properties"
            made[part] = rest | made.get(part, {})
        return Item(self._raw(made))

    def customer(self, made: dict[str, Any]) -> Item:
        """An identify call, and what the row says about consent."""
        rest = made.pop(REST, {})
        said, since = made.pop("consent", {}), made.pop("consent_at", {})
        made["type"] = "identify"
        at = made.setdefault("timestamp", self.as_of)
        made["traits"] = rest | made.get("traits", {})
        consents = _consents(said, since, at)
        if unknown := sorted(set(consents) - set(self.channels)):
            raise Misfit(f"There is no channel {unknown[0]} to consent to; there is: {', '.join(self.channels)}.")
        return Item(self._raw(made), consents)

    def _raw(self, made: dict[str, Any]) -> bytes:
        try:
            if "messageId" not in made:
                digest = blake2b(_encode_sorted(made), digest_size=16)
                times = self.before(digest.digest())
                made["messageId"] = f"import-{digest.hexdigest()}" + (f"-{times}" if times else "")
            if self.historical:
                made["context"] = made.get("context", {}) | {"historical": True}
            return _encode(made)
        except UnicodeError:
            raise Misfit("The row holds text that is not UTF-8; name the file's encoding in the mapping.") from None
        except (TypeError, ValueError, RecursionError) as error:
            raise Misfit(f"The row cannot be written as JSON: {error}.") from None


def _consents(said: Any, since: Any, at: datetime) -> dict[str, tuple[bool, datetime]]:
    """What was said for each channel, and when: at its own moment, the one for all channels, or the row's."""
    if not isinstance(said, dict):
        raise Misfit("consent needs a channel: name the column consent.email.")
    moments = since if isinstance(since, dict) else dict.fromkeys(said, since)
    return {channel: (granted, moments.get(channel, at)) for channel, granted in said.items()}
