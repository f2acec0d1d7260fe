"""The shapes around the check of events: one as clients send it, as the log keeps it, and as it was refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

MAX_EVENT = 32 * 1024
MAX_BATCH = 500 * 1024
FUTURE = timedelta(minutes=1)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
SINGLE = ("identify", "track", "page", "screen", "group", "alias")

Kind = Literal["identify", "track", "page", "screen", "group", "alias"]
Text = Annotated[str, Meta(max_length=200)]
Raw = msgspec.Raw


class Incoming(Struct, rename="camel", frozen=True, gc=False):
    """One event as clients send it; fields that nobody here reads are ignored."""

    type: Kind | None = None
    message_id: Annotated[str, Meta(max_length=300)] | None = None
    user_id: Text | int | None = None
    anonymous_id: Text | int | None = None
    event: Text | None = None
    name: Text | None = None
    category: Text | None = None
    group_id: Text | int | None = None
    previous_id: Text | int | None = None
    properties: Raw | UnsetType = UNSET
    traits: Raw | UnsetType = UNSET
    context: Raw | UnsetType = UNSET
    timestamp: datetime | None = None
    original_timestamp: datetime | None = None
    sent_at: datetime | None = None


class Checked(Struct, frozen=True, gc=False):
    """An event ready for the log.

    `identifiers` are (kind, value), the strongest first, never empty. `properties` is JSON text: of identify and group
    the traits, of alias {"previousId": …}. `timestamp` is by our clock.
    """

    message_id: str
    type: str
    name: str
    identifiers: tuple[tuple[str, str], ...]
    properties: str
    context: str
    timestamp: datetime
    historical: bool = False
    bot: bool = False


class Bad(Struct, frozen=True):
    """An item that was refused: its place in the batch, why, and what it was (b"" where it was too large to keep)."""

    index: int
    code: str
    message: str
    raw: bytes


class Sender(Struct, frozen=True):
    """What a request's headers say about its events: `User-Agent` of a browser, and RudderStack's `AnonymousId`.

    Where places are looked for: whether it is the customer's `own` device that sends, the `place` the request came from
    (JSON text, "" when unknown), and what tells the place of an address.
    """

    agent: str = ""
    anonymous_id: str = ""
    own: bool = False
    place: str = ""
    locate: Callable[[str], str] | None = None


class Unreadable(ValueError):
    """The whole body cannot be read: a short code, and the sentence that says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


SOMEBODY = Sender()
