"""What a customer bought, when, and the shop's vocabulary come in; one formula a fact, in both shapes, comes out.

The other half of `formulas.py`: the hours and things a customer prefers, how they compare with everybody, and traits.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any, Final

import polars as pl

from decisioning.customers.facts.formulas import ORDER, BuiltIn, One, Source, number, orders_in, spent_in
from decisioning.customers.facts.measures import (
    MINUTES,
    WEEKDAYS,
    YEAR,
    days,
    days_of,
    mean_wave,
    mean_wave_of,
    ratio,
    ratio_of,
    within,
)
from decisioning.customers.facts.properties import AS_TYPE
from decisioning.customers.facts.seen import Seen
from decisioning.customers.facts.vocabulary import Vocabulary, slug

FAVOURITES: Final = 5


def rhythm_facts() -> Iterator[BuiltIn]:
    """When the customer orders, on the clock and in the week, as points on a circle.

    The mean of the unit vectors: near (0, 0) for somebody without habits, of length 1 for somebody with one
    hour.
    """
    for name, column, period in (("hour", "minute", MINUTES), ("weekday", "weekday", WEEKDAYS)):
        for half in ("sin", "cos"):
            text = f"{'Sine' if half == 'sin' else 'Cosine'} of the usual {name} of ordering, −1 to 1."
            label = f"Usual {name} ({half})"
            how = mean_wave(column, period, half, within(YEAR))
            yield number(f"{name}_{half}", label, text, Source.ORDERS, how, _wave(column, period, half))


def _wave(column: str, period: int, half: str) -> One:
    if column == "minute":
        return lambda seen: mean_wave_of(seen.minutes, period, half)
    return lambda seen: mean_wave_of(seen.weekdays, period, half)


def taste_facts(vocabulary: Vocabulary) -> Iterator[BuiltIn]:
    """What the spend of the last 365 days went to."""
    text = "The department with most spend in the last 365 days; missing without spend."
    how, one = by_amount("department").first(), _favourite_department
    yield BuiltIn("favourite_department", "text", "Favourite department", text, Source.DEPARTMENTS, how, one)
    text = "The brand with most spend in the last 365 days; missing without spend."
    how, one = by_amount("brand").first(), _favourite_brand
    yield BuiltIn("favourite_brand", "text", "Favourite brand", text, Source.BRANDS, how, one)
    text = f"Up to {FAVOURITES} categories with most spend in the last 365 days, largest first."
    how, categories = by_amount("category").head(FAVOURITES), _favourite_categories
    yield BuiltIn("favourite_categories", "text_list", "Favourite categories", text, Source.CATEGORIES, how, categories)
    text = "Categories bought from in the last 30 days, by name."
    how, recent = pl.col("category").filter(within(30)).sort(), _recent_categories
    yield BuiltIn("recent_purchase_in_category", "text_list", "Recent purchases", text, Source.CATEGORIES, how, recent)
    text = "Different product categories bought in the last 365 days."
    yield number("categories_bought", "Categories bought", text, Source.CATEGORIES, pl.len(), _categories_bought, 0)
    amount = pl.col("amount")
    for department, name in share_facts(vocabulary).items():
        text = f"Share of the last 365 days' spend that went to {department}, 0 to 1; missing without spend."
        how = ratio(amount.filter(pl.col("department") == department).sum(), amount.sum())
        yield number(name, f"Share of {department}", text, Source.DEPARTMENTS, how, _share(department))


def by_amount(column: str) -> pl.Expr:
    """The column's values by falling spend; equal spend is ordered by name, so the order of events is no
    matter."""
    return pl.col(column).sort_by(["amount", column], descending=[True, False])


def by_amount_of(amounts: dict[str, int]) -> list[str]:
    return sorted(amounts, key=lambda word: (-amounts[word], word))


def _favourite_department(seen: Seen) -> str | None:
    return next(iter(by_amount_of(seen.departments)), None)


def _favourite_brand(seen: Seen) -> str | None:
    return next(iter(by_amount_of(seen.brands)), None)


def _favourite_categories(seen: Seen) -> list[str] | None:
    return by_amount_of(seen.categories)[:FAVOURITES] or None


def _recent_categories(seen: Seen) -> list[str] | None:
    return sorted(seen.recent_categories) if seen.categories else None


def _categories_bought(seen: Seen) -> int:
    return len(seen.categories)


def _share(department: str) -> One:
    return lambda seen: ratio_of(seen.departments.get(department, 0), seen.departments_total)


def share_facts(vocabulary: Vocabulary) -> dict[str, str]:
    """{department: the name of its share fact}, for rules and for the scorer's product with a content's
    departments."""
    return {department: f"share_{slug(department)}" for department in vocabulary.departments}


def rfm_facts(vocabulary: Vocabulary) -> Iterator[BuiltIn]:
    """Scores 1 to 5 by the vocabulary's quintile edges, 5 is best; missing for customers without orders.

    Recency, frequency and money as in Hughes, *Strategic Database Marketing* (1994).
    """
    scores: list[One] = []
    for name, (column, edges, value) in _measures(vocabulary).items():
        steps = [(pl.col(column) > edge).cast(pl.Int64) for edge in edges]
        above = pl.sum_horizontal(steps) if steps else pl.lit(None, pl.Int64)
        how = pl.when(pl.col("orders") > 0).then(5 - above if name == "recency" else 1 + above)
        one = _score(value, edges, name == "recency")
        scores.append(one)
        text = f"1 to 5 by fifths of the customers with orders; 5 is best. From {column}."
        yield number(f"{name}_score", f"{name.capitalize()} score", text, Source.FACTS, how, one)
    total = pl.col("recency_score") + pl.col("frequency_score") + pl.col("monetary_score")
    text = "Sum of the three scores, 3 to 15."
    yield number("rfm_score", "RFM score", text, Source.FACTS, total, _sum_of(scores))


def _measures(vocabulary: Vocabulary) -> dict[str, tuple[str, tuple[float, ...], One]]:
    """What each score is cut from: the fact, its edges, and its value for one customer."""
    return {
        "recency": ("recency_days", vocabulary.recency, since(ORDER)),
        "frequency": ("orders_365d", vocabulary.frequency, orders_in(YEAR)),
        "monetary": ("spend_365d", vocabulary.monetary, spent_in(YEAR)),
    }


def _score(value: One, edges: tuple[float, ...], falling: bool) -> One:
    def score(seen: Seen) -> int | None:
        if not edges or not seen.orders[None]:
            return None
        above = bisect_left(edges, value(seen))
        return 5 - above if falling else 1 + above

    return score


def _sum_of(scores: list[One]) -> One:
    def total(seen: Seen) -> int | None:
        found = [score(seen) for score in scores]
        return None if None in found else sum(found)

    return total


def since(event: str) -> One:
    return lambda seen: days_of(seen.since(event))


def since_facts(vocabulary: Vocabulary) -> Iterator[BuiltIn]:
    """Days since the last event of each known name."""
    taken: set[str] = set()
    for event in vocabulary.event_names:
        name = f"days_since_{slug(event)}"
        if name not in taken:
            taken.add(name)
            how = days(pl.col("age").filter(pl.col("name") == event).min())
            text = f"Days since the last “{event}”; missing if it never happened."
            yield number(name, f"Days since {event}", text, Source.EVENTS, how, since(event))


def trait_facts(vocabulary: Vocabulary, taken: Iterable[str]) -> Iterator[BuiltIn]:
    """The declared traits as they are; one whose name is taken by a computed fact is `trait_<name>`."""
    names = set(taken)
    for trait, kind in vocabulary.traits:
        name = f"trait_{trait}" if trait in names else trait
        text = "Declared by the customer or the sender; missing where unknown."
        label = trait.replace("_", " ").capitalize()
        yield BuiltIn(name, kind, label, text, Source.TRAITS, pl.col(f"declared {trait}"), _declared(trait, kind))


def _declared(trait: str, kind: str) -> One:
    def one(seen: Seen) -> Any:
        return as_type(seen.traits.get(trait))

    as_type = AS_TYPE[kind]
    return one
