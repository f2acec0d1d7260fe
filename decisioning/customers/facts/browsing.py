"""What a customer put into baskets, searched for and looked at comes in; a formula for each fact about it comes out."""

from collections.abc import Iterator

import polars as pl

from decisioning.customers.facts import events
from decisioning.customers.facts.baskets import ANSWERED, unanswered
from decisioning.customers.facts.counting import number_in, start_of
from decisioning.customers.facts.formulas import BuiltIn, Source, days_since, most_of, number, since
from decisioning.customers.facts.measures import (
    DAY,
    days,
    hours,
    hours_of,
    money,
    money_of,
    ratio,
    ratio_of,
    within,
)
from decisioning.customers.facts.moving import (
    HOUR_TICK,
    Ageing,
    Either,
    leaving,
    leaving_hours,
    stepping,
    summed,
)
from decisioning.customers.facts.seen import Seen

FEW = 5  # of a list of the newest

# -- baskets


def basket_facts() -> Iterator[BuiltIn]:
    """What lies in the basket since the last order, and how long it has been left alone."""
    source, touched = Source.BASKETS, leaving(lambda seen: sorted(row.at for row in seen.state.touches), 30)
    text = "Different products in the basket: put in since the last order and in the last 30 days."
    how, when = pl.col("products").sum(), stepping(_products, touched)
    yield number("basket_products", "Products in basket", text, source, how, _products, 0, when)
    text = "What the products in the basket are worth."
    how, when = money(pl.col("value").sum()), stepping(_value, touched)
    yield number("basket_value", "Worth of basket", text, source, how, _value, 0, when)
    text = "Hours since the basket was last touched; missing when it is empty."
    how, label = hours(pl.col("age").min()), "Basket left for (hours)"
    when = Either(Ageing(_touched, HOUR_TICK), stepping(_has_basket, touched))
    yield number("basket_abandoned_hours", label, text, source, how, _left_for, when=when)
    text = "Checkouts of the last 90 days without an order within a day after."
    how = (within(90) & (pl.col("age") >= ANSWERED)).sum()
    left = stepping(_abandoned, leaving(_open_checkouts, 1), leaving(_open_checkouts, 90))
    label = "Checkouts abandoned in 90 days"
    yield number("checkouts_abandoned_90d", label, text, Source.CHECKOUTS, how, _abandoned, 0, left)


def _products(seen: Seen) -> int:
    return seen.basket.products


def _value(seen: Seen) -> float:
    return money_of(seen.basket.value)


def _touched(seen: Seen) -> int | None:
    return seen.basket.touched


def _has_basket(seen: Seen) -> int | None:
    return None if seen.basket.touched is None else 1


def _left_for(seen: Seen) -> float | None:
    touched = seen.basket.touched
    return None if touched is None else hours_of(seen.now - touched)


def _abandoned(seen: Seen) -> int:
    return seen.abandoned(90)


def _open_checkouts(seen: Seen) -> list[int]:
    return unanswered(seen.state.checkouts, seen.order_times)


# -- searches


def search_facts() -> Iterator[BuiltIn]:
    """What the customer looks for."""
    name, source = events.SEARCHED, Source.NAMES
    text = "Searches in the last 30 days."
    yield counted("searches_30d", "Searches in 30 days", text, name, 30)
    text = "Days since the last search; missing without one."
    how = days(pl.col("age").filter(pl.col("name") == name).min())
    one, when = days_since(name), Ageing(since(name))
    yield number("days_since_search", "Days since search", text, source, how, one, when=when)
    text = f"The {FEW} newest different searches of the last 90 days, in lower case."
    how = pl.col("query").sort_by(["age", "query"]).head(FEW)
    newest = stepping(_searches, leaving(lambda seen: sorted(seen.state.searched.values()), 90))
    yield BuiltIn("recent_searches", "text_list", "Recent searches", text, Source.SEARCHES, how, _searches, when=newest)


def counted(fact: str, label: str, text: str, event: str, span: int) -> BuiltIn:
    """How many events of a name there were in a window, by the hour."""
    how = pl.col(f"n{span}").filter(pl.col("name") == event).sum()

    def hours(seen: Seen) -> list[int]:
        return [start_of(hour) for hour in seen.state.counted.get(event, ())[::2]]

    def numbers(seen: Seen) -> list[int]:
        return seen.state.counted[event][1::2]

    def one(seen: Seen) -> int:
        mine = seen.state.counted.get(event)
        return 0 if mine is None else number_in(mine, seen.now, span)

    return number(fact, label, text, Source.NAMES, how, one, 0, summed(hours, span, numbers))


def _searches(seen: Seen) -> list[str] | None:
    limit = seen.now - 90 * DAY
    return [
        query for _, query in sorted([(-at, query) for query, at in seen.state.searched.items() if at > limit])
    ] or None


# -- looks at products


def view_facts() -> Iterator[BuiltIn]:
    """What the customer looks at, and how much of it is bought."""
    source = Source.VIEWS
    for span in (7, 30, 90):
        label, text = f"Products viewed in {span} days", f"Looks at products in the last {span} days."
        yield counted(f"products_viewed_{span}d", label, text, events.VIEWED, span)
    left = leaving_hours(lambda seen: seen.state.viewed.values(), 90)
    text = f"The {FEW} categories last looked at in the last 90 days, the newest hour first, then by name."
    how, when = pl.col("category").sort_by(["hour_age", "category"]).head(FEW), stepping(_viewed, left)
    yield BuiltIn("recent_viewed_categories", "text_list", "Categories viewed", text, source, how, _viewed, when=when)
    text = "The category most often looked at in the last 90 days; of two as often the first by name."
    how = pl.col("category").sort_by(["number", "category"], descending=[True, False]).first()
    label, when = "Favourite category viewed", stepping(_favourite, left)
    yield BuiltIn("favourite_viewed_category", "text", label, text, source, how, _favourite, when=when)
    text = "Orders for each look at a product, last 90 days; missing without a look."
    how = ratio(pl.col("orders_90d"), pl.col("products_viewed_90d"))
    looks = leaving_hours(lambda seen: [seen.state.counted.get(events.VIEWED, [])], 90)
    when = stepping(_ratio, looks, leaving(lambda seen: seen.order_times, 90))
    yield number("view_to_order_ratio_90d", "Orders a product viewed", text, Source.FACTS, how, _ratio, when=when)


def _viewed(seen: Seen) -> list[str] | None:
    viewed = seen.state.viewed
    return [name for _, name in sorted([(-viewed[name][-2], name) for name in seen.looks])[:FEW]] or None


def _favourite(seen: Seen) -> str | None:
    return most_of(seen.looks)


def _ratio(seen: Seen) -> float | None:
    return ratio_of(seen.orders[90], seen.number(events.VIEWED, 90))
