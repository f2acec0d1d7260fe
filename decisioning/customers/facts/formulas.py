"""Nothing comes in; what a built-in fact is comes out: one formula in three forms, and the tables it may be run on.

Each fact stands once, as one `BuiltIn`: what people read (name, label, description, type), the Polars expression that
computes it for everybody, `one`, which gives the same for one customer, and `when`, which says when that next changes.
The facts themselves are in `visiting.py`, `buying.py`, `browsing.py`, `responding.py`, `tastes.py` and `ranking.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import polars as pl

from decisioning.customers.facts.measures import DAY
from decisioning.customers.facts.moving import When, never
from decisioning.customers.facts.seen import Seen
from rules.language.facts import Fact

One = Callable[[Seen], Any]


class Source(Enum):
    """The table an expression is run on, grouped by customer, with the columns it finds there (see `tables.py`).

    `age` is in microseconds before now, ≥ 0; by department, category and brand it is that of the last purchase.
    Amounts of orders are in `measures.UNITS`, those by department, category and brand in cents.
    """

    DAYS = "days"  # first_age, age (of the last activity): one row a customer and local day with activity
    SESSIONS = "sessions"  # end, age (of the end), length (µs), events
    NAMES = "names"  # name, age (of the last), n7, n30, n90, n365 (by the hour): one row a customer and event name
    ORDERS = "orders"  # at, age, total, discount, coupon_discount, items, minute (of the day), weekday, season, quarter
    REDEMPTIONS = "redemptions"  # age, coupons, content_key
    DEPARTMENTS = "departments"  # department, amount, age: one row a customer and department, last 365 days
    CATEGORIES = "categories"  # category, amount, age: the same by category
    BRANDS = "brands"  # brand, amount, age: the same by brand
    BASKETS = "baskets"  # products, value (units), age (of the last touch): one row an open basket
    CHECKOUTS = "checkouts"  # age: one row a checkout without an order within a day
    SEARCHES = "searches"  # query, age (of the last): one row a customer and query, last 90 days
    CLICKS = "clicks"  # content, age (of the last): one row a customer and content, last 90 days
    VIEWS = "views"  # category, number, hour_age (of the last): one row a customer and category, last 90 days
    PLACES = "places"  # one row a customer: what `contexts.Where` has, as last told
    DEVICES = "devices"  # device, days, systems (in 30 days): one row a customer and device, last 90 days
    COUNTRIES = "countries"  # country, days: one row a customer and country, last 90 days
    FACTS = "facts"  # every fact before it in the list, one row a customer
    CONSENTS = "consents"  # "allowed": channels by name, null without any; what the customer said, and no event
    TRAITS = "traits"  # "declared <trait>" for each trait


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """One fact: its names, where it comes from and how, for everybody (`expression`) and for one customer (`one`).

    `empty` is its value for a customer without rows in the source. `when` says when the value changes by itself.
    `values` are the ones worth suggesting."""

    name: str
    type: str
    label: str
    description: str
    source: Source
    expression: pl.Expr
    one: One
    empty: float | None = None
    when: When = never
    values: tuple[str, ...] = ()

    @property
    def fact(self) -> Fact:
        """The same as rules, segments and templates know it."""
        return Fact(self.name, self.type, self.label, self.description, self.values)


def number(
    name: str,
    label: str,
    text: str,
    source: Source,
    how: pl.Expr,
    one: One,
    empty: float | None = None,
    when: When = never,
) -> BuiltIn:
    return BuiltIn(name, "number", label, text, source, how, one, empty, when)


def since(event: str) -> Callable[[Seen], int | None]:
    """When the last event of a name was."""
    return lambda seen: seen.last(event)


def days_since(event: str) -> One:
    """Days since the last event of a name, as `measures.days_of` has them; without its call, as there are many."""
    tick = DAY // 1_000_000

    def one(seen: Seen) -> float | None:
        times = seen.state.names.get(event)
        return None if times is None else (seen.now - times[1] + tick // 2) // tick / 1e6

    return one


def most_of(amounts: dict[str, int]) -> str | None:
    """The name with most; of two with as much the first by name."""
    best, most = None, 0
    for name, amount in amounts.items():
        if best is None or amount > most or (amount == most and name < best):
            best, most = name, amount
    return best
