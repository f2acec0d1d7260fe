"""What a customer did, in tables, comes in; one formula a fact comes out.

Each fact stands once, as one `BuiltIn`: what people read (name, label, description, type) beside the Polars
expression that computes it for everybody. Which columns an expression may use is told by its `Source`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

import polars as pl

from decisioning.customers.vocabulary import Vocabulary, slug
from rules.language.facts import Fact

WINDOWS: Final = (7, 30, 90, 365)
YEAR: Final = 365
FAVOURITES: Final = 5

ORDER: Final = "Order Completed"
RECEIVED: Final = "Campaign Received"
REDEEMED: Final = "Coupon Redeemed"
PASSIVE: Final = (RECEIVED, "Email Delivered", "Email Bounced", "Push Notification Received")
"""Events that happen to a customer rather than by one: they are no visits."""


class Source(Enum):
    """The table an expression is run on, grouped by customer, with the columns it finds there.

    `age` is in days before now, ≥ 0; by department, category and brand it is that of the last purchase.
    """

    ORDERS = "orders"  # at, age, total, discount, coupon_discount, items, day, hour, weekday
    EVENTS = "events"  # at, age, name, day, active (done by the customer), coupons, content_key
    DEPARTMENTS = "departments"  # department, amount, age: one row a customer and department, last 365 days
    CATEGORIES = "categories"  # category, amount, age: the same by category
    BRANDS = "brands"  # brand, amount, age: the same by brand
    FACTS = "facts"  # every fact before it in the list, one row a customer
    TRAITS = "traits"  # "declared <trait>" for each trait


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """One fact: its names, where it comes from and how. `empty` is its value for a customer without such
    rows."""

    name: str
    type: str
    label: str
    description: str
    source: Source
    expression: pl.Expr
    empty: float | None = None

    @property
    def fact(self) -> Fact:
        """The same as rules, segments and templates know it."""
        return Fact(self.name, self.type, self.label, self.description)


def within(days: int) -> pl.Expr:
    """True for rows of the last `days` days: now − days < at ≤ now."""
    return pl.col("age") < days


def number(name: str, label: str, text: str, source: Source, how: pl.Expr, empty: float | None = None) -> BuiltIn:
    return BuiltIn(name, "number", label, text, source, how, empty)


def activity_facts() -> Iterator[BuiltIn]:
    """How often and how long ago the customer was here at all."""
    active = pl.col("active")
    visits = pl.col("day").filter(active).n_unique()
    yield number("visits", "Visits", "Days with any activity of the customer.", Source.EVENTS, visits, 0)
    for days in WINDOWS:
        how = pl.col("day").filter(active & within(days)).n_unique()
        label = f"Visits in {days} days"
        yield number(f"visits_{days}d", label, f"Days with activity in the last {days}.", Source.EVENTS, how, 0)
    tenure = pl.col("age").filter(active).max()
    yield number("tenure_days", "Known for (days)", "Days since the first activity.", Source.EVENTS, tenure)


def order_facts() -> Iterator[BuiltIn]:
    """How many orders, how recent, how regular."""
    at, age = pl.col("at"), pl.col("age")
    yield number("orders", "Orders", "Orders ever completed.", Source.ORDERS, pl.len(), 0)
    for days in WINDOWS:
        text = f"Orders completed in the last {days} days."
        yield number(f"orders_{days}d", f"Orders in {days} days", text, Source.ORDERS, within(days).sum(), 0)
    yield number("recency_days", "Days since last order", "Missing without orders.", Source.ORDERS, age.min())
    yield BuiltIn("last_order_at", "date", "Last order", "When the last order was.", Source.ORDERS, at.max())
    yield BuiltIn("first_order_at", "date", "First order", "When the first order was.", Source.ORDERS, at.min())
    gap = (age.max() - age.min()) / (pl.len() - 1)
    how = pl.when(pl.len() > 1).then(gap)
    text = "Mean days between orders; missing before the second order."
    yield number("days_between_orders", "Days between orders", text, Source.ORDERS, how)


def money_facts() -> Iterator[BuiltIn]:
    """How much was spent, in the currency of the orders."""
    total = pl.col("total")
    yield number("spend", "Spend", "Spent in all orders.", Source.ORDERS, total.sum().round(2), 0)
    for days in WINDOWS:
        how = total.filter(within(days)).sum().round(2)
        text = f"Spent in the last {days} days."
        yield number(f"spend_{days}d", f"Spend in {days} days", text, Source.ORDERS, how, 0)
    text = "Mean spend of the orders of the last 365 days; missing without one."
    mean = total.filter(within(YEAR)).sum().round(2) / within(YEAR).sum()
    how = pl.when(within(YEAR).any()).then(mean)
    yield number("average_order_value", "Average order value", text, Source.ORDERS, how)
    items = pl.col("items").filter(within(YEAR)).mean()
    text = "Mean number of product lines an order, last 365 days."
    yield number("average_order_lines", "Lines an order", text, Source.ORDERS, items)
    trend = pl.col("spend_30d") / (pl.col("spend_90d") / 3)
    how = pl.when(pl.col("spend_90d") > 0).then(trend)
    text = "Spend of the last 30 days over a third of the last 90: 1 is steady, 0 is gone, 3 is new."
    yield number("spend_trend", "Spend trend", text, Source.FACTS, how)


def coupon_facts() -> Iterator[BuiltIn]:
    """How the customer responds to campaigns and discounts."""
    redeemed, received = pl.col("name") == REDEEMED, pl.col("name") == RECEIVED
    for days in (90, YEAR):
        used = pl.col("coupons").filter(redeemed & within(days)).sum()
        text = f"Coupons redeemed in the last {days} days."
        yield number(f"coupon_redemptions_{days}d", f"Coupons in {days} days", text, Source.EVENTS, used, 0)
        sent = (received & within(days)).sum()
        text = f"Campaigns received in the last {days} days."
        yield number(f"campaigns_received_{days}d", f"Campaigns in {days} days", text, Source.EVENTS, sent, 0)
    answered = pl.col("content_key").filter(redeemed & within(YEAR)).drop_nulls().n_unique()
    text = "Different campaigns with a redemption in the last 365 days."
    yield number("campaigns_redeemed_365d", "Campaigns redeemed in 365 days", text, Source.EVENTS, answered, 0)
    since = pl.col("age").filter(redeemed).min()
    text = "Days since the last redemption; missing without one."
    yield number("days_since_redemption", "Days since redemption", text, Source.EVENTS, since)
    for column, label in (("coupon_discount", "Coupon"), ("discount", "Discount")):
        saved = pl.col(column).filter(within(YEAR)).sum().round(2)
        paid = pl.col("total").filter(within(YEAR)).sum().round(2)
        how = pl.when(saved + paid > 0).then(saved / (saved + paid))
        text = f"{label} savings over the full price, last 365 days, 0 to 1; missing without orders."
        yield number(f"{column}_share", f"{label} share", text, Source.ORDERS, how)
    with_coupon = (pl.col("coupon_discount") > 0).filter(within(YEAR)).mean()
    text = "Share of the last 365 days' orders in which a coupon was used, 0 to 1."
    yield number("coupon_order_share", "Orders with coupon", text, Source.ORDERS, with_coupon)


def rhythm_facts() -> Iterator[BuiltIn]:
    """When the customer orders, on the clock and in the week, as points on a circle.

    The mean of the unit vectors: near (0, 0) for somebody without habits, of length 1 for somebody with one
    hour.
    """
    for column, period in (("hour", 24), ("weekday", 7)):
        angle = pl.col(column).filter(within(YEAR)) * (2 * 3.141592653589793 / period)
        for half, wave in (("sin", angle.sin()), ("cos", angle.cos())):
            text = f"{'Sine' if half == 'sin' else 'Cosine'} of the usual {column} of ordering, −1 to 1."
            label = f"Usual {column} ({half})"
            yield number(f"{column}_{half}", label, text, Source.ORDERS, wave.mean())


def taste_facts(vocabulary: Vocabulary) -> Iterator[BuiltIn]:
    """What the spend of the last 365 days went to."""
    amount = pl.col("amount")
    for kind, source in (("department", Source.DEPARTMENTS), ("brand", Source.BRANDS)):
        text = f"The {kind} with most spend in the last 365 days; missing without spend."
        how = by_amount(kind).first()
        yield BuiltIn(f"favourite_{kind}", "text", f"Favourite {kind}", text, source, how)
    text = f"Up to {FAVOURITES} categories with most spend in the last 365 days, largest first."
    how = by_amount("category").head(FAVOURITES)
    yield BuiltIn("favourite_categories", "text_list", "Favourite categories", text, Source.CATEGORIES, how)
    text = "Categories bought from in the last 30 days, by name."
    how = pl.col("category").filter(within(30)).sort()
    yield BuiltIn("recent_purchase_in_category", "text_list", "Recent purchases", text, Source.CATEGORIES, how)
    text = "Different product categories bought in the last 365 days."
    yield number("categories_bought", "Categories bought", text, Source.CATEGORIES, pl.len(), 0)
    for department, name in share_facts(vocabulary).items():
        share = amount.filter(pl.col("department") == department).sum() / amount.sum()
        text = f"Share of the last 365 days' spend that went to {department}, 0 to 1; missing without spend."
        how = pl.when(amount.sum() > 0).then(share)
        yield number(name, f"Share of {department}", text, Source.DEPARTMENTS, how)


def by_amount(column: str) -> pl.Expr:
    """The column's values by falling spend; equal spend is ordered by name, so the order of events is no
    matter."""
    return pl.col(column).sort_by(["amount", column], descending=[True, False])


def share_facts(vocabulary: Vocabulary) -> dict[str, str]:
    """{department: the name of its share fact}, for rules and for the scorer's product with a content's
    departments."""
    return {department: f"share_{slug(department)}" for department in vocabulary.departments}


def rfm_facts(vocabulary: Vocabulary) -> Iterator[BuiltIn]:
    """Scores 1 to 5 by the vocabulary's quintile edges, 5 is best; missing for customers without orders.

    Recency, frequency and money as in Hughes, *Strategic Database Marketing* (1994).
    """
    edges = {
        "recency": vocabulary.recency,
        "frequency": vocabulary.frequency,
        "monetary": vocabulary.monetary,
    }
    columns = {"recency": "recency_days", "frequency": "orders_365d", "monetary": "spend_365d"}
    for name, column in columns.items():
        steps = [(pl.col(column) > edge).cast(pl.Int64) for edge in edges[name]]
        above = pl.sum_horizontal(steps) if steps else pl.lit(None, pl.Int64)
        score = 5 - above if name == "recency" else 1 + above
        how = pl.when(pl.col("orders") > 0).then(score)
        text = f"1 to 5 by fifths of the customers with orders; 5 is best. From {column}."
        yield number(f"{name}_score", f"{name.capitalize()} score", text, Source.FACTS, how)
    total = pl.col("recency_score") + pl.col("frequency_score") + pl.col("monetary_score")
    yield number("rfm_score", "RFM score", "Sum of the three scores, 3 to 15.", Source.FACTS, total)


def since_facts(vocabulary: Vocabulary) -> Iterator[BuiltIn]:
    """Days since the last event of each known name."""
    taken: set[str] = set()
    for event in vocabulary.event_names:
        name = f"days_since_{slug(event)}"
        if name not in taken:
            taken.add(name)
            how = pl.col("age").filter(pl.col("name") == event).min()
            text = f"Days since the last “{event}”; missing if it never happened."
            yield number(name, f"Days since {event}", text, Source.EVENTS, how)


def trait_facts(vocabulary: Vocabulary, taken: Iterable[str]) -> Iterator[BuiltIn]:
    """The declared traits as they are; one whose name is taken by a computed fact is `trait_<name>`."""
    names = set(taken)
    for trait, kind in vocabulary.traits:
        name = f"trait_{trait}" if trait in names else trait
        text = "Declared by the customer or the sender; missing where unknown."
        label = trait.replace("_", " ").capitalize()
        yield BuiltIn(name, kind, label, text, Source.TRAITS, pl.col(f"declared {trait}"))
