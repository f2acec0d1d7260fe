"""A seed in; what a shop's visitors send, packed in batches of a hundred as a collector would, out.

Sessions of one to ten events, some sixty of them at once, so that each batch mixes visitors and each visitor spreads
over a few batches. 20,000 known customers (user id and anonymous id in each event, as browsers send them), 10 % of the
visits anonymous, of which a third log in; 5 % of the events are orders with products. About 650 bytes an event.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

CUSTOMERS = 20_000
BATCH = 100
AT_ONCE = 60
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
DEPARTMENTS = ("Dairy", "Produce", "Bakery", "Meat", "Drinks", "Household", "Frozen", "Garden")
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Visit:
    """One visitor now on the site: what names them, and how many events are still to come."""

    who: dict[str, str]
    left: int
    logs_in: str = ""


class Traffic:
    """An endless stream; `new` and `anonymous` are shares of the visits: by a new user, and by an unknown browser."""

    def __init__(self, seed: int, new: float = 0.0, anonymous: float = 0.1) -> None:
        self.dice = random.Random(seed)
        self.new, self.anonymous, self.seed, self.number = new, anonymous, seed, 0
        self.visits = [self._visit() for _ in range(AT_ONCE)]
        self.sent_at = datetime.now(UTC)

    def batches(self, count: int) -> list[bytes]:
        """So many bodies of `/v1/batch`, each message id different."""
        end = f'],"sentAt":"{_stamp(self.sent_at)}"}}'.encode()
        return [b'{"batch":[' + b",".join(self._events(BATCH)) + end for _ in range(count)]

    def _events(self, count: int) -> Iterator[bytes]:
        for _ in range(count):
            place = self.dice.randrange(AT_ONCE)
            visit = self.visits[place]
            yield _encode(self._event(visit))
            visit.left -= 1
            if not visit.left:
                self.visits[place] = self._visit()

    def _visit(self) -> Visit:
        dice, left = self.dice, self.dice.randint(1, 10)
        draw, person = dice.random(), dice.randrange(CUSTOMERS)
        if draw < self.new:
            fresh = f"{dice.getrandbits(64):016x}"
            return Visit({"userId": f"new-{fresh}", "anonymousId": f"b7d1c3-{fresh}"}, left)
        if draw < self.new + self.anonymous:
            logs_in = f"customer-{person}" if dice.random() < 1 / 3 and left > 1 else ""
            return Visit({"anonymousId": f"{dice.getrandbits(128):032x}"}, left, logs_in)
        return Visit({"userId": f"customer-{person}", "anonymousId": f"5f0e4c2a-browser-of-{person}"}, left)

    def _event(self, visit: Visit) -> dict[str, Any]:
        self.number += 1
        at = self.sent_at - timedelta(milliseconds=self.dice.randrange(2000))
        event = {
            "messageId": f"ajs-next-{self.seed}-{self.number:08d}-4c2a-9b1d",
            "timestamp": _stamp(at),
            "context": self._context(),
            **visit.who,
        }
        if visit.logs_in and visit.left == 1:
            visit.who["userId"] = visit.logs_in
            traits = {
                "city": self.dice.choice(("Athens", "Berlin", "Cork")),
                "plan": self.dice.choice(("free", "paid")),
            }
            return event | {"type": "identify", "userId": visit.logs_in, "traits": traits}
        return event | self._act()

    def _act(self) -> dict[str, Any]:
        dice, draw = self.dice, self.dice.random()
        if draw < 0.05:
            lines = [self._line() for _ in range(dice.randint(1, 3))]
            total = round(sum(line["price"] * line["quantity"] for line in lines), 2)
            told = {"order_id": f"o-{self.number}", "total": total, "currency": "EUR", "products": lines}
            return {"type": "track", "event": "Order Completed", "properties": told}
        if draw < 0.4:
            told = {
                "path": f"/shelf/{dice.randrange(400)}",
                "title": "What is on the shelf today",
                "referrer": "https://shop.example/",
            }
            return {"type": "page", "name": dice.choice(("Home", "Shelf", "Basket", "Search")), "properties": told}
        name = "Product Viewed" if draw < 0.85 else "Product Added"
        return {
            "type": "track",
            "event": name,
            "properties": {**self._line(), "list_id": "shelf", "position": dice.randrange(40)},
        }

    def _line(self) -> dict[str, Any]:
        dice = self.dice
        return {
            "product_id": f"p-{dice.randrange(5000)}",
            "department": dice.choice(DEPARTMENTS),
            "brand": f"Brand {dice.randrange(60)}",
            "price": dice.randrange(99, 5000) / 100,
            "quantity": dice.randint(1, 4),
        }

    def _context(self) -> dict[str, Any]:
        path = f"/shelf/{self.dice.randrange(400)}"
        return {
            "library": {"name": "analytics.js", "version": "npm:next-1.81.0"},
            "locale": "en-GB",
            "timezone": "Europe/Berlin",
            "userAgent": AGENT,
            "page": {"path": path, "url": f"https://shop.example{path}", "title": "What is on the shelf today"},
        }


def everybody() -> list[bytes]:
    """Bodies in which each known customer is met once, so that only who is new is new afterwards."""
    at = _stamp(datetime.now(UTC) - timedelta(days=1))
    items = [
        _encode(
            {
                "messageId": f"first-{person}",
                "type": "identify",
                "userId": f"customer-{person}",
                "anonymousId": f"5f0e4c2a-browser-of-{person}",
                "timestamp": at,
                "traits": {"city": "Berlin" if person % 3 else "Cork", "plan": "paid" if person % 5 else "free"},
            }
        )
        for person in range(CUSTOMERS)
    ]
    return [b'{"batch":[' + b",".join(items[start : start + BATCH]) + b"]}" for start in range(0, CUSTOMERS, BATCH)]


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
