"""What somebody else's log says was shown: to whom, when, with what chance, and what followed. Shapes alone."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from msgspec import Struct, field

NAMESPACE: Final = UUID("6d1c6f6e-0f2b-5d9c-9a7b-2f5a3f2b7c11")
UNKNOWN: Final = "unknown"


class Seen(Struct, omit_defaults=True, kw_only=True):
    """A content of a showing: `content` is its key here, `name` what the log calls it; moments where it was told."""

    content: str
    name: str
    rank: int | None = None
    propensity: float | None = None
    impression: datetime | None = None
    click: datetime | None = None
    conversion: datetime | None = None
    # Money of its conversion.
    value: float = 0.0
    # What else the log says of it.
    fields: dict[str, Any] = field(default_factory=dict)

    def outcomes(self) -> Iterator[tuple[str, datetime]]:
        """What followed, and when."""
        for kind in ("impression", "click", "conversion"):
            at = getattr(self, kind)
            if at is not None:
                yield kind, at


class Showing(Struct, omit_defaults=True, kw_only=True):
    """What was shown to somebody at once. `identity` tells it from all others; `who` is an identifier: kind, value."""

    identity: str
    who: tuple[str, str]
    at: datetime
    placement: str
    items: list[Seen]
    request_id: str = ""
    policy: str = UNKNOWN
    context: dict[str, Any] = field(default_factory=dict)
    # All facts as they were; where the log has none (None), those of our own log, below what it says of `traits`.
    facts: dict[str, Any] | None = None
    traits: dict[str, Any] = field(default_factory=dict)
    # What could have been chosen: key and name of each.
    candidates: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> UUID:
        """Its decision's id."""
        return id_of(self.identity)


class Followed(Struct, omit_defaults=True, kw_only=True):
    """What came of a content of the showing with this identity; unique by `message_id`.

    `event` is the same as an event of the log, in the Segment Spec's shape (JSON), where it shall be one.
    """

    identity: str
    content: str
    kind: str
    at: datetime
    message_id: str
    value: float = 0.0
    event: str = ""


class Terms(Struct, frozen=True, kw_only=True):
    """What an import decides for all of its showings: the window of outcomes, and what a new placement is for."""

    window_hours: float | None = None
    objective: str = "conversion"


def id_of(identity: str) -> UUID:
    """The id of the decision with this identity; of version 5 (RFC 9562), made from the name."""
    return uuid5(NAMESPACE, identity)
