"""What published texts ask of customers' histories in; one fact a history, computed from the log, out.

A history such as `COUNT("Order Completed") IN LAST 7 DAYS` is a fact whose name is its canonical text. It is computed
wherever facts are, as long as a published rule, a segment or an audience asks for it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

import polars as pl

from campaigns.models import Campaign, Placement
from rules.language import RuleError, parse
from rules.language.history import columns, needs
from rules.language.nodes import History, Node
from rules.models import Rule, Segment

from . import defining
from .custom import Customs

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def wanted() -> dict[str, History]:
    """Every history that decisions, segments, campaigns or custom facts now ask for, by its canonical text."""
    return needs(published()) | customs().histories


def marks() -> set[str]:
    """What everybody's facts must hold: histories by their texts, custom facts by their marks."""
    found = customs()
    return {*needs(published()), *found.histories, *found.marks}


def customs() -> Customs:
    """The published custom facts. What only they ask for is no fact of its own."""
    return defining.published(needs(published()))


def published() -> list[Node]:
    """Every rule and condition that decisions, segments or campaigns now follow, parsed; in order of their texts."""
    texts = {
        *Rule.objects.filter(active=True, published__isnull=False).values_list("published__text", flat=True),
        *Segment.objects.filter(active=True, kind=Segment.Kind.CONDITION).values_list("condition", flat=True),
        *Placement.objects.filter(active=True).values_list("audience", flat=True),
        *Campaign.objects.filter(active=True).values_list("audience", flat=True),
    }
    return [node for node in map(_parsed, sorted(texts)) if node is not None]


@lru_cache(maxsize=20_000)
def _parsed(text: str) -> Node | None:
    try:
        return parse(text)
    except RuleError:
        return None


def with_histories(
    facts: pl.DataFrame, events: pl.DataFrame, asked: Mapping[str, History], now: datetime
) -> pl.DataFrame:
    """The facts with a column for each history; `events` is the log of the same customers."""
    if not asked or facts.is_empty():
        return facts
    known = events.filter(pl.col("timestamp") <= now)
    micros = int((now - EPOCH).total_seconds() * 1_000_000)
    found = columns(asked, known, micros, facts["customer_id"])
    return facts.hstack(found.drop("customer_id"))
