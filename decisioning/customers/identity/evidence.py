"""What is known about who is who: identifiers, the ties between them, and what became of each tie. Types only, pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# The strongest first: it leads its group, and it keeps what two sides claim.
KINDS = {
    "user_id": "user id",
    "loyalty_id": "loyalty id",
    "email": "e-mail",
    "phone": "phone",
    "device_id": "device id",
    "anonymous_id": "anonymous id",
}
STRENGTH = {kind: place for place, kind in enumerate(KINDS)}
USER = "user_id"
# Theirs alone, not their machine's: two people who claim one of these are worth a look.
PERSONAL = frozenset(("user_id", "loyalty_id", "email", "phone"))


class Code(StrEnum):
    """What became of a tie: the first two are followed, the others are not."""

    JOINED = "joined"
    SAME = "same"
    REFUSED = "refused"
    KEPT_APART = "kept_apart"
    SHARED = "shared"
    KIOSK = "kiosk"
    TWO_USER_IDS = "two_user_ids"
    CONFLICT = "conflict"
    BELONGS_ELSEWHERE = "belongs_elsewhere"
    TOO_LARGE = "too_large"


# A person should look at these: evidence about people, not about their machines, that was not followed.
TO_REVIEW = frozenset((Code.TWO_USER_IDS, Code.CONFLICT))


@dataclass(frozen=True, slots=True)
class Node:
    """An identifier; `first_at` is the earliest event it was in."""

    id: int
    kind: str
    value: str
    first_at: datetime

    @property
    def order(self) -> tuple[int, datetime, str]:
        """Who leads: the strongest kind, then the one first seen, then the value."""
        return STRENGTH[self.kind], self.first_at, self.value

    def __str__(self) -> str:
        return f"{KINDS[self.kind]} {self.value}"

    def opening(self) -> str:
        """The same at the beginning of a sentence; the value stays as it is."""
        return f"{KINDS[self.kind].capitalize()} {self.value}"


@dataclass(frozen=True, slots=True)
class Edge:
    """Evidence that two identifiers are one person's: `how` is event, alias, import or person; `at` is event time.

    A refused one says the opposite: a person decided that its two ends are different people.
    """

    id: int
    one: int
    other: int
    how: str
    at: datetime
    message_id: str
    refused: bool = False

    def __str__(self) -> str:
        day = f"on {self.at:%Y-%m-%d}"
        if self.how in ("event", "alias"):
            return f"in {'alias call' if self.how == 'alias' else 'event'} {self.message_id} {day}"
        return f"{'by hand' if self.how == 'person' else 'in an import'} {day}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a tie was followed, and why, in words for marketers."""

    followed: bool
    code: Code
    reason: str


@dataclass(frozen=True, slots=True)
class Group:
    """One person: node ids, and the one that leads."""

    leader: int
    members: frozenset[int]


@dataclass(frozen=True, slots=True)
class Groups:
    """Everybody, the leaders in their order; a verdict for each edge id."""

    groups: list[Group]
    verdicts: dict[int, Verdict]
