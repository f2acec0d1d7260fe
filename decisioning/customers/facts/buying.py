"""What a customer bought, and when, comes in; a formula for each fact about it comes out."""

from collections.abc import Iterator
from operator import methodcaller

import polars as pl

from decisioning.customers.facts.events import ORDER
from decisioning.customers.facts.formulas import BuiltIn, One, Source, days_since, number, since
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
from decisioning.customers.facts.moving import Ageing, leaving, stepping, summed
from decisioning.customers.facts.seen import Seen
from decisioning.customers.facts.state import moment_text


def order_times(seen: Seen) -> list[int]:
    return seen.order_times


def orders_in(days: int | None) -> One:
    return lambda seen: seen.orders[days]


def spent_in(days: int | None) -> One:
    return lambda seen: money_of(seen.spend[days])


def _totals(seen: Seen) -> list[int]:
    return [order.total for order in seen.state.orders]


def order_facts() -> Iterator[BuiltIn]:
    """How many orders, how recent, how regular."""
    at, age, source = pl.col("at"), pl.col("age"), Source.ORDERS
    text = "Orders ever completed."
    yield number("orders", "Orders", text, source, pl.len().cast(pl.Int64), orders_in(None), 0)
    for span in WINDOWS:
        label, text = f"Orders in {span} days", f"Orders completed in the last {span} days."
        how, when = within(span).sum(), summed(order_times, span)
        yield number(f"orders_{span}d", label, text, source, how, orders_in(span), 0, when)
    label, text = "Days since last order", "Missing without orders."
    one, when = days_since(ORDER), Ageing(since(ORDER))
    yield number("recency_days", label, text, source, days(age.min()), one, when=when)
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
        how, when = money(total.filter(within(span)).sum()), summed(order_times, span, _totals, money_of)
        label, text = f"Spend in {span} days", f"Spent in the last {span} days."
        yield number(f"spend_{span}d", label, text, source, how, spent_in(span), 0, when)
    left = leaving(order_times, YEAR)
    text = "Mean spend of the orders of the last 365 days; missing without one."
    how, when = ratio(money(total.filter(year).sum()), year.sum()), stepping(_order_value, left)
    yield number("average_order_value", "Average order value", text, source, how, _order_value, when=when)
    text = "Mean number of product lines an order, last 365 days."
    how, when = ratio(pl.col("items").filter(year).sum(), year.sum()), stepping(_order_lines, left)
    yield number("average_order_lines", "Lines an order", text, source, how, _order_lines, when=when)
    text = "Spend of the last 30 days over a third of the last 90: 1 is steady, 0 is gone, 3 is new."
    how = ratio(pl.col("spend_30d") * 3, pl.col("spend_90d"))
    when = stepping(_trend, leaving(order_times, 30), leaving(order_times, 90))
    yield number("spend_trend", "Spend trend", text, Source.FACTS, how, _trend, when=when)


def _order_value(seen: Seen) -> float | None:
    return ratio_of(money_of(seen.spend[YEAR]), seen.orders[YEAR])


def _order_lines(seen: Seen) -> float | None:
    return ratio_of(sum(order.items for order in seen.year), seen.orders[YEAR])


def _trend(seen: Seen) -> float | None:
    return ratio_of(money_of(seen.spend[30]) * 3, money_of(seen.spend[90]))


def discount_facts() -> Iterator[BuiltIn]:
    """How much of the full price the customer does not pay."""
    year, left = within(YEAR), leaving(order_times, YEAR)
    paid = cents(pl.col("total").filter(year).sum())
    for column, label in (("coupon_discount", "Coupon"), ("discount", "Discount")):
        saved = cents(pl.col(column).filter(year).sum())
        text = f"{label} savings over the full price, last 365 days, 0 to 1; missing without orders."
        how, name, one = ratio(saved, saved + paid), f"{column}_share", methodcaller("saved", column)
        yield number(name, f"{label} share", text, Source.ORDERS, how, one, when=stepping(one, left))
    text = "Share of the last 365 days' orders in which a coupon was used, 0 to 1."
    how = ratio(((pl.col("coupon_discount") > 0) & year).sum(), year.sum())
    when = stepping(_coupon_orders, left)
    yield number("coupon_order_share", "Orders with coupon", text, Source.ORDERS, how, _coupon_orders, when=when)


def _coupon_orders(seen: Seen) -> float | None:
    return ratio_of(sum(order.coupon_discount > 0 for order in seen.year), seen.orders[YEAR])
