"""Comes in: a seed. Goes out: a shop's log as it would be told, one customer's events or everybody's as frames.

Customers come in visits of a few events each; about one event in twelve is an order of one to four product lines.
"""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from decisioning.customers.facts.state import FoldedEvent
from decisioning.customers.facts.vocabulary import Vocabulary

NOW: Final = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAYS: Final = 400
DEPARTMENTS: Final = tuple(f"Department {number}" for number in range(12))
BRANDS: Final = tuple(f"Brand {number}" for number in range(60))
CATEGORIES: Final = tuple(f"Category {number}" for number in range(40))
QUERIES: Final = tuple(f"query {number}" for number in range(200))
SHARES: Final = {
    "page": 0.31,
    "Product Viewed": 0.25,
    "Content Viewed": 0.10,
    "Order Completed": 0.08,
    "Product Added": 0.08,
    "Products Searched": 0.05,
    "Message Sent": 0.05,
    "Checkout Started": 0.03,
    "Content Clicked": 0.02,
    "Coupon Redeemed": 0.02,
    "identify": 0.01,
}
"""How often each event happens."""
NEW_VISIT: Final = 0.2  # of the events begin one
WORDS: Final = Vocabulary(
    departments=DEPARTMENTS,
    traits=(("city", "text"), ("member", "boolean")),
    event_names=tuple(SHARES),
    recency=(5.0, 20.0, 60.0, 120.0),
    frequency=(1.0, 2.0, 4.0, 8.0),
    monetary=(20.0, 60.0, 120.0, 300.0),
    time_zone="Europe/Rome",
)
AGENTS: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5"
    " Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
)


def events_of(dice: random.Random, number: int, days: float = DAYS) -> list[FoldedEvent]:
    """So many events of one customer, in the order they happened."""
    at = sorted(dice.uniform(0, days) for _ in range(max(1, round(number * NEW_VISIT))))
    visits = [NOW - timedelta(days=day) for day in at]
    names = dice.choices(list(SHARES), list(SHARES.values()), k=number)
    home, found = dice.choice(("IT", "FR", "DE")), []
    for place, name in enumerate(names):
        visit = place % len(visits)
        visits[visit] += timedelta(seconds=dice.expovariate(1 / 90))
        kind = name if name in ("page", "identify") else "track"
        context = {"userAgent": AGENTS[visit % 2], "locale": "it-IT", "location": {"country": home, "city": "Rome"}}
        context["page"] = {"path": f"/{dice.randrange(500)}", "title": "Some page"}
        properties = json.dumps(_properties(dice, name))
        found.append(FoldedEvent(f"m-{place}", kind, name, min(visits[visit], NOW), properties, json.dumps(context)))
    return sorted(found, key=lambda event: event.timestamp)


def _properties(dice: random.Random, name: str) -> dict[str, Any]:
    if name == "Order Completed":
        lines = [_line(dice) for _ in range(dice.randint(1, 4))]
        total = round(sum(line["price"] * line["quantity"] for line in lines), 2)
        return {"order_id": dice.randrange(10**6), "total": total, "discount": 1.5, "products": lines}
    if name in ("Product Viewed", "Product Added"):
        return _line(dice)
    if name == "Products Searched":
        return {"query": dice.choice(QUERIES)}
    if name == "identify":
        return {"city": "Rome", "member": True}
    return {"content": f"c-{dice.randrange(50)}", "placement": "home"}


def _line(dice: random.Random) -> dict[str, Any]:
    department = dice.randrange(len(DEPARTMENTS))
    return {
        "product_id": f"p-{dice.randrange(300)}",
        "department": DEPARTMENTS[department],
        "category": dice.choice(CATEGORIES),
        "brand": dice.choice(BRANDS),
        "price": round(dice.uniform(1, 60), 2),
        "quantity": dice.randint(1, 3),
    }
