"""Bytes of a stored state come in; what one identity's events have added up to comes out, and the way back.

A `State` holds just enough to give, at any later moment and for any vocabulary, the facts that all its events would
give: single readings as long as a window can still lose them, sums of what every window has lost for good.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import accumulate
from operator import add, sub
from typing import Any, Final

import msgspec
from msgspec.structs import replace

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
DAY: Final = 86_400_000_000
QUARTER: Final = 900_000_000
"""A quarter of an hour: since 2012 no zone's clock has a midnight or a change within one, but once in Antarctica."""
LAYOUT: Final = 3  # a state of another layout cannot be read and is rebuilt from the log


class FoldedEvent(msgspec.Struct, frozen=True, gc=False):
    """What the fold reads of one event. `timestamp` has a zone, `properties` and `context` are JSON texts."""

    message_id: str
    type: str
    name: str
    timestamp: datetime
    properties: str
    context: str = "{}"


class Bought(msgspec.Struct, array_like=True, gc=False):
    """One order: amounts in ten-thousandths, the count of product lines, and what was paid for what.

    A row of `lines` is department, category and brand (positions in `State.words`, −1 for none) and the amount.
    """

    at: int
    total: int
    discount: int
    coupon_discount: int
    items: int
    lines: list[tuple[int, int, int, int]]


class Redeemed(msgspec.Struct, array_like=True, gc=False):
    """One redemption: how many coupons, and of which content."""

    at: int
    coupons: int
    content_key: str | None


class Touch(msgspec.Struct, array_like=True, gc=False, order=True, frozen=True):
    """Something done to the basket: see `shopping.py` for `kind`; `quantity` in hundredths, `price` in units."""

    at: int
    kind: int
    product: str = ""
    quantity: int = 0
    price: int = -1  # not told


class Told(msgspec.Struct, array_like=True, gc=False):
    """Traits that one identify event told and no later one has overwritten, as a JSON object."""

    at: int
    message_id: str
    traits: str


class Heard(msgspec.Struct, array_like=True, gc=False):
    """One history of the rule language: `readings` are pairs (microseconds, value), in no order.

    `summary` is what those came to that need not be told apart any more: the state of the language's `aggregate`, as
    JSON; "" for none. Only a history without a window has one.
    """

    aggregate: str
    summary: str = ""
    readings: list[tuple[int, Any]] = msgspec.field(default_factory=list)


Hours = list[int]
"""An hour (see `counting.hour_of`) and how often, the next hour and how often, …: rising."""
Sight = tuple[int, tuple[str, ...]]
"""When something was last told, and what ("" where it was not)."""


class State(msgspec.Struct, array_like=True, gc=False):
    """All times are microseconds since 1970 UTC, all lists are in rising order of time.

    `names`: event name → how many there were, and when the last. `first`, `last`: activity. `visited`: quarters of an
    hour (since 1970) with activity that left all windows, thinned so that every day is still touched.
    `starts`, `ends`, `counts`: of each quarter of an hour with later activity the first, the last and how many.
    `past_…`: orders that left all windows: how many, their total, the first one's time. `checkouts`: those that no
    order answered. `counted`, `viewed`: how often by event name, and looks at products by category ("" for none).
    `searched`, `clicked`: the latest queries and contents (keys), and when. `sights`: what `contexts.UNITS` last was.
    `devices`, `countries`: days (since 1970) with each. `ahead`: events the clock has not come to, as they came.
    """

    names: dict[str, list[int]] = msgspec.field(default_factory=dict)
    first: int | None = None
    last: int | None = None
    visited: list[int] = msgspec.field(default_factory=list)
    starts: list[int] = msgspec.field(default_factory=list)
    ends: list[int] = msgspec.field(default_factory=list)
    counts: list[int] = msgspec.field(default_factory=list)
    past_orders: int = 0
    past_spend: int = 0
    past_first: int | None = None
    orders: list[Bought] = msgspec.field(default_factory=list)
    words: list[str] = msgspec.field(default_factory=list)
    redeemed: list[Redeemed] = msgspec.field(default_factory=list)
    touches: list[Touch] = msgspec.field(default_factory=list)
    checkouts: list[int] = msgspec.field(default_factory=list)
    counted: dict[str, Hours] = msgspec.field(default_factory=dict)
    viewed: dict[str, Hours] = msgspec.field(default_factory=dict)
    searched: dict[str, int] = msgspec.field(default_factory=dict)
    clicked: dict[str, int] = msgspec.field(default_factory=dict)
    sights: dict[int, Sight] = msgspec.field(default_factory=dict)
    devices: dict[str, list[int]] = msgspec.field(default_factory=dict)
    countries: dict[str, list[int]] = msgspec.field(default_factory=dict)
    told: list[Told] = msgspec.field(default_factory=list)
    heard: dict[str, Heard] = msgspec.field(default_factory=dict)
    ahead: list[FoldedEvent] = msgspec.field(default_factory=list)

    @property
    def events(self) -> int:
        """How many events it holds, all-time."""
        return sum(times[0] for times in self.names.values()) + len(self.ahead)


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(State)


def pack(state: State) -> bytes:
    """The state as msgpack, to be stored; it stays as it is."""
    # Distances are short numbers, and so half as long as times.
    starts = state.starts
    return _encoder.encode(
        replace(
            state,
            visited=_distances(state.visited),
            starts=_distances(starts),
            ends=list(map(sub, state.ends, starts)),
        )
    )


def unpack(data: bytes | memoryview) -> State:
    """The state `pack` was given. Raises `msgspec.MsgspecError` for anything else: rebuild it from the log then."""
    state = _decoder.decode(data)
    if state.visited:
        state.visited = list(accumulate(state.visited))
    if state.starts:
        state.starts = list(accumulate(state.starts))
        state.ends = list(map(add, state.ends, state.starts))
    return state


def _distances(rising: list[int]) -> list[int]:
    """The first number, and of each other one how far it is from the one before."""
    return [*rising[:1], *map(sub, rising[1:], rising)]


def schema_of(histories: Iterable[str]) -> str:
    """32 hex digits that tell how a state was folded: the layout, and which histories (canonical texts) it heard.

    A stored state with another digest has to be folded again from the log.
    """
    text = "\0".join([str(LAYOUT), *sorted(histories)])
    return blake2b(text.encode(), digest_size=16).hexdigest()


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970 UTC. Raises `TypeError` for a moment without a zone."""
    return (moment - EPOCH) // MICROSECOND


class _Days(dict[int, str]):
    """The date of each day since 1970 as a text; as many as there are days."""

    def __missing__(self, day: int) -> str:
        self[day] = (EPOCH + timedelta(days=day)).date().isoformat()
        return self[day]


_days: Final = _Days()


def moment_text(micros: int | None) -> str | None:
    """The moment as an RFC 3339 text in UTC, as facts are stored."""
    if micros is None:
        return None
    seconds, fraction = divmod(micros, 1_000_000)
    day, second = divmod(seconds, 86_400)
    text = f"{_days[day]}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    return f"{text}.{fraction:06d}Z" if fraction else f"{text}Z"
