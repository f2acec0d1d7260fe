"""How recently, often and much customers buy, and the edges between fifths of them, come in; scores come out.

Recency, frequency and money as in Hughes, *Strategic Database Marketing* (1994).
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

import polars as pl

from decisioning.customers.facts.buying import order_times, orders_in, spent_in
from decisioning.customers.facts.events import ORDER
from decisioning.customers.facts.formulas import BuiltIn, One, Source, days_since, number, since
from decisioning.customers.facts.measures import YEAR
from decisioning.customers.facts.moving import After, leaving, passing, stepping
from decisioning.customers.facts.seen import Seen
from decisioning.customers.facts.vocabulary import RECENT_WINDOWS, Vocabulary

GRID: Final = (
    ("lost", "lost", "at risk", "at risk", "cannot lose"),
    ("hibernating", "hibernating", "at risk", "at risk", "cannot lose"),
    ("about to sleep", "about to sleep", "need attention", "loyal", "loyal"),
    ("promising", "potential loyalists", "potential loyalists", "loyal", "loyal"),
    ("new", "potential loyalists", "potential loyalists", "champions", "champions"),
)
"""The name by recency (rows, 1 to 5) and by the mean of frequency and money, halves up (columns, 1 to 5)."""
NAMES: Final = tuple(dict.fromkeys(name for row in reversed(GRID) for name in reversed(row)))


def rfm_facts(vocabulary: Vocabulary) -> Iterator[BuiltIn]:
    """Scores 1 to 5 by the vocabulary's quintile edges, 5 is best; missing for customers without orders."""
    edges = vocabulary.recency, vocabulary.frequency, vocabulary.monetary
    values: tuple[One, ...] = (days_since(ORDER), orders_in(YEAR), spent_in(YEAR))
    older, left = passing(since(ORDER), vocabulary.recency), leaving(order_times, YEAR)
    scores: list[One] = []
    for name, column, mine, value in zip(
        ("recency", "frequency", "monetary"), ("recency_days", "orders_365d", "spend_365d"), edges, values, strict=True
    ):
        falling = name == "recency"
        score = _score(value, mine, falling, None)
        scores.append(score)
        how = pl.when(pl.col("orders") > 0).then(_scored(column, mine, falling))
        text = f"1 to 5 by fifths of the customers with orders; 5 is best. From {column}."
        when = stepping(score, older if falling else left)
        yield number(f"{name}_score", f"{name.capitalize()} score", text, Source.FACTS, how, score, when=when)
    yield from _together(scores, older, left)
    yield from _in_windows(vocabulary)


def _scored(column: str, edges: tuple[float, ...], falling: bool) -> pl.Expr:
    steps = [(pl.col(column) > edge).cast(pl.Int64) for edge in edges]
    above = pl.sum_horizontal(steps) if steps else pl.lit(None, pl.Int64)
    return 5 - above if falling else 1 + above


def _score(value: One, edges: tuple[float, ...], falling: bool, window: int | None) -> One:
    def score(seen: Seen) -> int | None:
        if not edges or not seen.orders[window]:
            return None
        above = bisect_left(edges, value(seen))
        return 5 - above if falling else 1 + above

    return score


def _together(scores: list[One], *afters: After) -> Iterator[BuiltIn]:
    def found(seen: Seen) -> list[int | None]:
        mine = seen.scores.get(found)
        if mine is None:
            mine = seen.scores[found] = [score(seen) for score in scores]
        return mine

    def total(seen: Seen) -> int | None:
        recency, frequency, monetary = found(seen)
        return None if recency is None or frequency is None or monetary is None else recency + frequency + monetary

    def named(seen: Seen) -> str | None:
        recency, frequency, monetary = found(seen)
        if recency is None or frequency is None or monetary is None:
            return None
        return GRID[recency - 1][(frequency + monetary + 1) // 2 - 1]

    r, f, m = (pl.col(f"{name}_score") for name in ("recency", "frequency", "monetary"))
    text = "Sum of the three scores, 3 to 15."
    yield number("rfm_score", "RFM score", text, Source.FACTS, r + f + m, total, when=stepping(total, *afters))
    place = (r - 1) * 5 + (f + m + 1) // 2 - 1
    cells = pl.Series([name for row in GRID for name in row])
    how = place.replace_strict(pl.Series(range(len(cells))), cells, default=None, return_dtype=pl.String)
    text = "What the three scores are called together: champions, loyal, at risk, lost and others."
    when, source = stepping(named, *afters), Source.FACTS
    yield BuiltIn("rfm_segment", "text", "RFM segment", text, source, how, named, when=when, values=NAMES)


def _in_windows(vocabulary: Vocabulary) -> Iterator[BuiltIn]:
    """The scores of shorter windows, among those who ordered in the window."""
    for span in RECENT_WINDOWS:
        left = leaving(order_times, span)
        measures = (("frequency", f"orders_{span}d", orders_in(span)), ("monetary", f"spend_{span}d", spent_in(span)))
        for name, column, value in measures:
            edges = vocabulary.recent(name, span)
            one = _score(value, edges, False, span)
            how = pl.when(pl.col(f"orders_{span}d") > 0).then(_scored(column, edges, False))
            label = f"{name.capitalize()} score in {span} days"
            text = f"1 to 5 by fifths of the customers with orders in the last {span} days; 5 is best."
            yield number(f"{name}_score_{span}d", label, text, Source.FACTS, how, one, when=stepping(one, left))
