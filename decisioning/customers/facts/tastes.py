"""What a customer bought, when, and the shop's vocabulary come in; one formula a fact, in every form, comes out.

The hours, seasons and things a customer prefers, the days since each event, and traits.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import Any, Final

import polars as pl

from decisioning.customers.facts.buying import order_times
from decisioning.customers.facts.formulas import BuiltIn, One, Source, days_since, most_of, number, since
from decisioning.customers.facts.measures import (
    MINUTES,
    SEASON,
    WEEKDAYS,
    YEAR,
    days,
    mean_wave,
    mean_wave_of,
    ratio,
    ratio_of,
    within,
)
from decisioning.customers.facts.moving import Ageing, leaving, stepping
from decisioning.customers.facts.properties import AS_TYPE
from decisioning.customers.facts.seen import Seen
from decisioning.customers.facts.vocabulary import Vocabulary, slug
from decisioning.learning.targets import TARGETS

FAVOURITES: Final = 5
FORETOLD: Final = {target.fact: target.text for target in TARGETS.values()}

QUARTERS: Final = ("Q1", "Q2", "Q3", "Q4")
SATURDAY: Final = 5
LEFT: Final = leaving(order_times, YEAR)


def rhythm_facts() -> Iterator[BuiltIn]:
    """When the customer orders, on the clock, in the week and in the year, as points on a circle.

    The mean of the unit vectors: near (0, 0) for somebody without habits, of length 1 for somebody with one
    hour.
    """
    rhythms: tuple[tuple[str, str, int, Callable[[Seen], list[int]]], ...] = (
        ("hour", "minute", MINUTES, lambda seen: seen.minutes),
        ("weekday", "weekday", WEEKDAYS, lambda seen: seen.weekdays),
        ("season", "season", SEASON, lambda seen: seen.seasons),
    )
    for name, column, period, values in rhythms:
        for half in ("sin", "cos"):
            text = f"{'Sine' if half == 'sin' else 'Cosine'} of the usual {name} of ordering, −1 to 1."
            how, one = mean_wave(column, period, half, within(YEAR)), _wave(values, period, half)
            label = f"Usual {name} ({half})"
            yield number(f"{name}_{half}", label, text, Source.ORDERS, how, one, when=stepping(one, LEFT))
    year = within(YEAR)
    text = "Share of the last 365 days' orders on Saturdays and Sundays, 0 to 1; missing without orders."
    how, when = ratio((year & (pl.col("weekday") >= SATURDAY)).sum(), year.sum()), stepping(_weekends, LEFT)
    yield number("weekend_order_share", "Orders at weekends", text, Source.ORDERS, how, _weekends, when=when)
    text = "The quarter of the year with most of the last 365 days' orders; of two with as many the earlier one."
    numbers = [((pl.col("quarter") == quarter) & year).sum() for quarter in (1, 2, 3, 4)]
    most, when = pl.max_horizontal(numbers), stepping(_busiest, LEFT)
    best = reduce(
        lambda later, pair: pl.when((pair[0] == most) & (most > 0)).then(pl.lit(pair[1])).otherwise(later),
        reversed(list(zip(numbers, QUARTERS, strict=True))),
        pl.lit(None, pl.String),
    )
    label = "Busiest quarter"
    yield BuiltIn("busiest_quarter", "text", label, text, Source.ORDERS, best, _busiest, when=when, values=QUARTERS)


def _wave(values: Callable[[Seen], list[int]], period: int, half: str) -> One:
    return lambda seen: mean_wave_of(values(seen), period, half)


def _weekends(seen: Seen) -> float | None:
    return ratio_of(sum(day >= SATURDAY for day in seen.weekdays), len(seen.weekdays))


def _busiest(seen: Seen) -> str | None:
    quarters = seen.quarters
    return QUARTERS[max((1, 2, 3, 4), key=quarters.count) - 1] if quarters else None


def taste_facts(vocabulary: Vocabulary) -> Iterator[BuiltIn]:
    """What the spend of the last 365 days went to."""
    one: One
    text = "The department with most spend in the last 365 days; missing without spend."
    how, one, when = by_amount("department").first(), _favourite_department, stepping(_favourite_department, LEFT)
    yield BuiltIn("favourite_department", "text", "Favourite department", text, Source.DEPARTMENTS, how, one, when=when)
    text = "The brand with most spend in the last 365 days; missing without spend."
    how, one, when = by_amount("brand").first(), _favourite_brand, stepping(_favourite_brand, LEFT)
    yield BuiltIn("favourite_brand", "text", "Favourite brand", text, Source.BRANDS, how, one, when=when)
    text = f"Up to {FAVOURITES} categories with most spend in the last 365 days, largest first."
    how, one, when = (
        by_amount("category").head(FAVOURITES),
        _favourite_categories,
        stepping(_favourite_categories, LEFT),
    )
    label, source = "Favourite categories", Source.CATEGORIES
    yield BuiltIn("favourite_categories", "text_list", label, text, source, how, one, when=when)
    text = "Categories bought from in the last 30 days, by name."
    how, one = pl.col("category").filter(within(30)).sort(), _recent_categories
    when, label = stepping(one, leaving(order_times, 30), LEFT), "Recent purchases"
    yield BuiltIn("recent_purchase_in_category", "text_list", label, text, source, how, one, when=when)
    text, label = "Different product categories bought in the last 365 days.", "Categories bought"
    when = stepping(_categories_bought, LEFT)
    yield number("categories_bought", label, text, source, pl.len().cast(pl.Int64), _categories_bought, 0, when)
    amount = pl.col("amount")
    for department, name in share_facts(vocabulary).items():
        text = f"Share of the last 365 days' spend that went to {department}, 0 to 1; missing without spend."
        how, one = ratio(amount.filter(pl.col("department") == department).sum(), amount.sum()), _share(department)
        yield number(name, f"Share of {department}", text, Source.DEPARTMENTS, how, one, when=stepping(one, LEFT))


def by_amount(column: str) -> pl.Expr:
    """The column's values by falling spend; equal spend is ordered by name, so the order of events is no
    matter."""
    return pl.col(column).sort_by(["amount", column], descending=[True, False])


def by_amount_of(amounts: dict[str, int]) -> list[str]:
    return [name for _, name in sorted([(-amount, name) for name, amount in amounts.items()])]


def _favourite_department(seen: Seen) -> str | None:
    return most_of(seen.amounts[0])


def _favourite_brand(seen: Seen) -> str | None:
    return most_of(seen.amounts[2])


def _favourite_categories(seen: Seen) -> list[str] | None:
    return by_amount_of(seen.amounts[1])[:FAVOURITES] or None


def _recent_categories(seen: Seen) -> list[str] | None:
    return sorted(seen.recent_categories) if seen.amounts[1] else None


def _categories_bought(seen: Seen) -> int:
    return len(seen.amounts[1])


def _share(department: str) -> One:
    def one(seen: Seen) -> float | None:
        shares = seen.shares
        return shares.get(department, 0.0) if shares is not None else None

    return one


def share_facts(vocabulary: Vocabulary) -> dict[str, str]:
    """{department: the name of its share fact}, for rules and for the scorer's product with a content's
    departments."""
    return {department: f"share_{slug(department)}" for department in vocabulary.departments}


def since_facts(vocabulary: Vocabulary) -> Iterator[BuiltIn]:
    """Days since the last event of each known name."""
    taken: set[str] = set()
    for event in vocabulary.event_names:
        name = f"days_since_{slug(event)}"
        if name not in taken:
            taken.add(name)
            how = days(pl.col("age").filter(pl.col("name") == event).min())
            text = f"Days since the last “{event}”; missing if it never happened."
            one, when = days_since(event), Ageing(since(event))
            yield number(name, f"Days since {event}", text, Source.NAMES, how, one, when=when)


def trait_facts(vocabulary: Vocabulary, taken: Iterable[str]) -> Iterator[BuiltIn]:
    """The declared traits as they are; one whose name is taken by a computed fact is `trait_<name>`."""
    names = set(taken)
    for trait, kind in vocabulary.traits:
        name = f"trait_{trait}" if trait in names else trait
        text = FORETOLD.get(trait, "Declared by the customer or the sender; missing where unknown.")
        label = trait.replace("_", " ").capitalize()
        yield BuiltIn(name, kind, label, text, Source.TRAITS, pl.col(f"declared {trait}"), _declared(trait, kind))


def _declared(trait: str, kind: str) -> One:
    def one(seen: Seen) -> Any:
        return as_type(seen.traits.get(trait))

    as_type = AS_TYPE[kind]
    return one
