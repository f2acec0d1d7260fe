"""A seed and a number in; what clients send, in the order it arrives, and what must come of it, out.

Of the items a fifth are repetitions, 2 % cannot be kept, 10 % arrive out of order, 5 % happened 30 days earlier. People
visit on one to three devices, some log in, a few share a device; 1 % of the events are history, 1 % are a robot's.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

DUPLICATES, MALFORMED, SHUFFLED, LATE = 0.20, 0.02, 0.10, 0.05
DAYS = 20
EVENTS_A_PERSON = 50
ORDER = "Order Completed"
DEPARTMENTS = ("Dairy", "Produce", "Bakery", "Meat", "Drinks", "Household")
CITIES = ("Athens", "Berlin", "Cork", "Dijon", "Espoo")
ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

Item = dict[str, Any]
_encode = msgspec.json.Encoder().encode


class Sent(NamedTuple):
    """One valid event as it is sent, and when it happened."""

    timestamp: str
    message_id: str
    raw: bytes


@dataclass(slots=True)
class Stream:
    """`arriving` are all items as they come; `valid` those to be kept, each once, in the order they happened.

    `malformed` are (code, body) as the dead letters must hold them; `orders` message ids that owe a message each.
    """

    arriving: list[bytes] = field(default_factory=list)
    valid: list[Sent] = field(default_factory=list)
    malformed: list[tuple[str, bytes]] = field(default_factory=list)
    orders: set[str] = field(default_factory=set)


def stream(seed: int, items: int, until: datetime) -> Stream:
    """So many items of a site on which the last thing happens shortly before `until`."""
    dice = random.Random(seed)
    made = Stream()
    wanted = round(items * (1 - DUPLICATES - MALFORMED))
    events = sorted(_happenings(dice, wanted, until), key=lambda pair: pair[0])
    arrival: list[tuple[float, bytes]] = []
    for number, (at, event) in enumerate(events):
        if dice.random() < LATE:
            at -= timedelta(days=30)
        event |= {"messageId": f"m-{seed}-{number:07d}", "timestamp": at.isoformat().replace("+00:00", "Z")}
        raw = _encode(event)
        made.valid.append(Sent(event["timestamp"], event["messageId"], raw))
        if event.get("event") == ORDER and "context" not in event:
            made.orders.add(event["messageId"])
        place = number + (dice.uniform(1, min(3000, wanted / 10)) if dice.random() < SHUFFLED else 0)
        arrival.append((place, raw))
    arrival += _again(dice, arrival, round(items * DUPLICATES))
    for number in range(items - len(arrival)):
        code, raw = _malformed(dice, number, events[dice.randrange(len(events))][1])
        made.malformed.append((code, raw))
        arrival.append((dice.uniform(0, wanted), raw))
    made.arriving = [raw for _, raw in sorted(arrival)]
    made.valid.sort()
    return made


def batches(items: Sequence[bytes], size: int = 100) -> Iterator[bytes]:
    """The items as bodies of `/v1/batch`."""
    for start in range(0, len(items), size):
        yield b'{"batch":[' + b",".join(items[start : start + size]) + b"]}"


def _again(dice: random.Random, arrival: Sequence[tuple[float, bytes]], count: int) -> list[tuple[float, bytes]]:
    """Some of them once more: at once, as clients retry, or much later."""
    found = [arrival[dice.randrange(len(arrival))] for _ in range(count)]
    return [
        (place + (dice.random() * 50 if dice.random() < 0.5 else dice.random() * len(arrival)), raw)
        for place, raw in found
    ]


def _happenings(dice: random.Random, count: int, until: datetime) -> list[tuple[datetime, Item]]:
    people = max(20, count // EVENTS_A_PERSON)
    found: list[tuple[datetime, Item]] = []
    while len(found) < count:
        start = until - timedelta(seconds=dice.uniform(3600, DAYS * 86400))
        found += _visit(dice, dice.randrange(people), people, start)
    return found[:count]


def _visit(dice: random.Random, person: int, people: int, at: datetime) -> list[tuple[datetime, Item]]:
    """One to ten events of one person on one device, some of them at the very same moment."""
    device = dice.randrange(people) if dice.random() < 0.01 else person
    who: Item = {"anonymousId": f"anon-{device}-{dice.randrange(1 + device % 3)}"}
    events: list[Item] = []
    if person % 10 and dice.random() < 0.4:
        who["userId"] = f"user-{person}"
        events.append({"type": "identify", **who, "traits": _traits(dice, person)})
    if person % 20 == 5:
        who = {"userId": f"user-{person}"}
    events += [_act(dice, who) for _ in range(dice.randint(1, 9))]
    if person % 10 and dice.random() < 0.01:
        events.append({"type": "alias", "userId": f"user-{person}", "previousId": f"anon-{person}-9"})
    found: list[tuple[datetime, Item]] = []
    for event in events:
        found.append((at, event))
        at += timedelta(milliseconds=dice.choice((0, 5, 900, 12_000, 45_000)))
    return found


def _traits(dice: random.Random, person: int) -> Item:
    traits: Item = {"city": dice.choice(CITIES), "visits": dice.randrange(100), "plan": dice.choice(("free", "paid"))}
    if person % 2:
        traits["email"] = f"user{person}@Mail.example"
    return traits


def _act(dice: random.Random, who: Item) -> Item:
    draw = dice.random()
    event: Item
    if draw < 0.35:
        event = {"type": "page", **who, "name": dice.choice(("Home", "Shelf", "Basket")), "properties": {"path": "/"}}
    elif draw < 0.85:
        seen = {"department": dice.choice(DEPARTMENTS), "price": dice.randrange(100, 5000) / 100}
        event = {"type": "track", **who, "event": "Product Viewed", "properties": seen}
    elif draw < 0.97:
        event = {"type": "track", **who, "event": ORDER, "properties": _order(dice)}
    else:
        event = {"type": "screen", **who, "name": "Wallet"}
    if dice.random() < 0.02:
        event["context"] = {"historical": True} if dice.random() < 0.5 else {"userAgent": ROBOT}
    return event


def _order(dice: random.Random) -> Item:
    lines = [
        {
            "department": dice.choice(DEPARTMENTS),
            "price": dice.randrange(100, 5000) / 100,
            "quantity": dice.randint(1, 4),
        }
        for _ in range(dice.randint(1, 4))
    ]
    return {"total": round(sum(line["price"] * line["quantity"] for line in lines), 2), "products": lines}


def _malformed(dice: random.Random, number: int, event: Item) -> tuple[str, bytes]:
    """One that cannot be kept, each in its own way and each different; the code it must be refused with."""
    code, spoil = SPOILED[dice.randrange(len(SPOILED))]
    item = {key: value for key, value in event.items() if key not in ("messageId", "timestamp")}
    return code, spoil(item | {"messageId": f"bad-{number}"})


def _without(*names: str) -> Callable[[Item], bytes]:
    return lambda item: _encode({"mark": item["messageId"], **{k: v for k, v in item.items() if k not in names}})


def _with(**more: Any) -> Callable[[Item], bytes]:
    return lambda item: _encode(item | more)


def _inserted(text: bytes) -> Callable[[Item], bytes]:
    return lambda item: _encode(item)[:-1] + b',"more":' + text + b"}"


SPOILED: tuple[tuple[str, Callable[[Item], bytes]], ...] = (
    ("no_message_id", _without("messageId")),
    ("nobody", _without("userId", "anonymousId", "traits")),
    ("nobody", _with(userId="undefined", anonymousId="null", traits={})),
    ("no_type", _without("type")),
    ("invalid_field", _with(type="purchase")),
    ("invalid_field", _with(timestamp="yesterday")),
    ("invalid_field", _with(userId="u" * 300)),
    ("bad_time", _with(timestamp="1815-06-18T11:00:00Z")),
    ("no_name", _with(type="track", event="")),
    ("nul", _with(note="a\0b")),
    ("too_deep", _inserted(b"[" * 40 + b"]" * 40)),
    ("number_range", _inserted(b"9" * 25)),
    ("duplicate_key", _inserted(b'{"a":1,"a":2}')),
)
