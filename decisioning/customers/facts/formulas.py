"""What a customer did, in tables or seen alone, comes in; one formula a fact, in both shapes, comes out.

Each fact stands once, as one `BuiltIn`: what people read (name, label, description, type), the Polars expression that
computes it for everybody, and `one`, which gives the same for one customer. Here is how often and how much;
what a customer likes, and how they compare, is in `tastes.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from operator import methodcaller
from typing import Any, Final

import polars as pl

from decisioning.customers.facts.measures import (
    WINDOWS,
    YEAR,
    cents,
    days,
    days_of,
    money,
    money_of,
    ratio,
    ratio_of,
    within,
)
from decisioning.customers.facts.seen import Seen
from decisioning.customers.facts.state import moment_text
from rules.language.facts import Fact

ORDER: Final = "Order Completed"
RECEIVED: Final = "Campaign Received"
REDEEMED: Final = "Coupon Redeemed"
PASSIVE: Final = (RECEIVED, "Email Delivered", "Email Bounced", "Push Notification Received")
"""Events that happen to a customer rather than by one: they are no visits."""
One = Callable[[Seen], Any]


class Source(Enum):
    """The table an expression is run on, grouped by customer, with the columns it finds there.

    `age` is in microseconds before now, ≥ 0; by department, category and brand it is that of the last purchase.
    Amounts of orders are in `measures.UNITS`, those by department, category and brand in cents.
    """

    ORDERS = "orders"  # at, age, total, discount, coupon_discount, items, day, minute (of the day), weekday
    EVENTS = "events"  # at, age, name, day, active (done by the customer), coupons, content_key
    DEPARTMENTS = "departments"  # department, amount, age: one row a customer and department, last 365 days
    CATEGORIES = "categories"  # category, amount, age: the same by category
    BRANDS = "brands"  # brand, amount, age: the same by brand
    FACTS = "facts"  # every fact before it in the list, one row a customer
    TRAITS = "traits"  # "declared <trait>" for each trait


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """One fact: its names, where it comes from and how, for everybody (`expression`) and for one customer (`one`).

    `empty` is its value for a customer without rows in the source."""

    name: str
    type: str
    label: str
    description: str
    source: Source
    expression: pl.Expr
    one: One
    empty: float | None = None

    @property
    def fact(self) -> Fact:
        """The same as rules, segments and templates know it."""
        return Fact(self.name, self.type, self.label, self.description)


def number(
    name: str, label: str, text: str, source: Source, how: pl.Expr, one: One, empty: float | None = None
) -> BuiltIn:
    return BuiltIn(name, "number", label, text, source, how, one, empty)


def visits_in(days: int | None) -> One:
    return lambda seen: seen.visits[days]


def orders_in(days: int | None) -> One:
    return lambda seen: seen.orders[days]


def spent_in(days: int | None) -> One:
    return lambda seen: money_of(seen.spend[days])


def activity_facts() -> Iterator[BuiltIn]:
    """How often and how long ago the customer was here at all."""
    active = pl.col("active")
    visits = pl.col("day").filter(active).n_unique()
    text = "Days with any activity of the customer."
    yield number("visits", "Visits", text, Source.EVENTS, visits, visits_in(None), 0)
    for span in WINDOWS:
        how = pl.col("day").filter(active & within(span)).n_unique()
        label, text = f"Visits in {span} days", f"Days with activity in the last {span}."
        yield number(f"visits_{span}d", label, text, Source.EVENTS, how, visits_in(span), 0)
    tenure = days(pl.col("age").filter(active).max())
    text = "Days since the first activity."
    yield number("tenure_days", "Known for (days)", text, Source.EVENTS, tenure, lambda seen: days_of(seen.tenure))


def order_facts() -> Iterator[BuiltIn]:
    """How many orders, how recent, how regular."""
    at, age, source = pl.col("at"), pl.col("age"), Source.ORDERS
    text = "Orders ever completed."
    yield number("orders", "Orders", text, source, pl.len(), orders_in(None), 0)
    for span in WINDOWS:
        label, text = f"Orders in {span} days", f"Orders completed in the last {span} days."
        how = within(span).sum()
        yield number(f"orders_{span}d", label, text, source, how, orders_in(span), 0)
    label, text = "Days since last order", "Missing without orders."
    yield number("recency_days", label, text, source, days(age.min()), lambda seen: days_of(seen.since(ORDER)))
    text = "When the last order was."
    yield BuiltIn("last_order_at", "date", "Last order", text, source, at.max(), _last_order_at)
    text = "When the first order was."
    yield BuiltIn("first_order_at", "date", "First order", text, source, at.min(), _first_order_at)
    gap = days((age.max() - age.min()) // (pl.len().cast(pl.Int64) - 1))
    text = "Mean days between orders; missing before the second order."
    how = pl.when(pl.len() > 1).then(gap)
    yield number("days_between_orders", "Days between orders", text, source, how, _between_orders)


def _last_order_at(seen: Seen) -> str | None:
    return moment_text(seen.last(ORDER))


def _first_order_at(seen: Seen) -> str | None:
    return moment_text(seen.first_order)


def _between_orders(seen: Seen) -> float | None:
    last, first, orders = seen.last(ORDER), seen.first_order, seen.orders[None]
    return None if last is None or first is None or orders < 2 else days_of((last - first) // (orders - 1))


def money_facts() -> Iterator[BuiltIn]:
    """How much was spent, in the currency of the orders."""
    total, source, year = pl.col("total"), Source.ORDERS, within(YEAR)
    text = "Spent in all orders."
    yield number("spend", "Spend", text, source, money(total.sum()), spent_in(None), 0)
    for span in WINDOWS:
        how = money(total.filter(within(span)).sum())
        label, text = f"Spend in {span} days", f"Spent in the last {span} days."
        yield number(f"spend_{span}d", label, text, source, how, spent_in(span), 0)
    text = "Mean spend of the orders of the last 365 days; missing without one."
    how = ratio(money(total.filter(year).sum()), year.sum())
    yield number("average_order_value", "Average order value", text, source, how, _order_value)
    text = "Mean number of product lines an order, last 365 days."
    how = ratio(pl.col("items").filter(year).sum(), year.sum())
    yield number("average_order_lines", "Lines an order", text, source, how, _order_lines)
    text = "Spend of the last 30 days over a third of the last 90: 1 is steady, 0 is gone, 3 is new."
    how = ratio(pl.col("spend_30d") * 3, pl.col("spend_90d"))
    yield number("spend_trend", "Spend trend", text, Source.FACTS, how, _trend)


def _order_value(seen: Seen) -> float | None:
    return ratio_of(money_of(seen.spend[YEAR]), seen.orders[YEAR])


def _order_lines(seen: Seen) -> float | None:
    return ratio_of(sum(order.items for order in seen.year), seen.orders[YEAR])


def _trend(seen: Seen) -> float | None:
    return ratio_of(money_of(seen.spend[30]) * 3, money_of(seen.spend[90]))


def coupon_facts() -> Iterator[BuiltIn]:
    """How the customer responds to campaigns and discounts."""
    redeemed, received, source = pl.col("name") == REDEEMED, pl.col("name") == RECEIVED, Source.EVENTS
    for span in (90, YEAR):
        used = pl.col("coupons").filter(redeemed & within(span)).sum()
        name, label, text = (
            f"coupon_redemptions_{span}d",
            f"Coupons in {span} days",
            f"Coupons redeemed in the last {span} days.",
        )
        yield number(name, label, text, source, used, methodcaller("coupons", span), 0)
        sent = (received & within(span)).sum()
        name, label, text = (
            f"campaigns_received_{span}d",
            f"Campaigns in {span} days",
            f"Campaigns received in the last {span} days.",
        )
        yield number(name, label, text, source, sent, methodcaller("campaigns", span), 0)
    answered = pl.col("content_key").filter(redeemed & within(YEAR)).drop_nulls().n_unique()
    label, text = "Campaigns redeemed in 365 days", "Different campaigns with a redemption in the last 365 days."
    yield number("campaigns_redeemed_365d", label, text, source, answered, methodcaller("answered", YEAR), 0)
    since = days(pl.col("age").filter(redeemed).min())
    label, text = "Days since redemption", "Days since the last redemption; missing without one."
    yield number("days_since_redemption", label, text, source, since, lambda seen: days_of(seen.since(REDEEMED)))
    yield from discount_facts()


def discount_facts() -> Iterator[BuiltIn]:
    """How much of the full price the customer does not pay."""
    year = within(YEAR)
    paid = cents(pl.col("total").filter(year).sum())
    for column, label in (("coupon_discount", "Coupon"), ("discount", "Discount")):
        saved = cents(pl.col(column).filter(year).sum())
        text = f"{label} savings over the full price, last 365 days, 0 to 1; missing without orders."
        how, name = ratio(saved, saved + paid), f"{column}_share"
        yield number(name, f"{label} share", text, Source.ORDERS, how, methodcaller("saved", column))
    text = "Share of the last 365 days' orders in which a coupon was used, 0 to 1."
    how = ratio(((pl.col("coupon_discount") > 0) & year).sum(), year.sum())
    yield number("coupon_order_share", "Orders with coupon", text, Source.ORDERS, how, _coupon_orders)


def _coupon_orders(seen: Seen) -> float | None:
    return ratio_of(sum(order.coupon_discount > 0 for order in seen.year), seen.orders[YEAR])
