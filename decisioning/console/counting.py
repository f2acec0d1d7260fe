"""A condition or rule that is being typed in; how many customers it is for, in words, out."""

from datetime import datetime
from typing import Any

import polars as pl

from rules.language import RuleError, matching_frame, parse
from rules.language.circles import SEGMENT_FACTS
from rules.language.lookup import CUSTOMER_ID
from rules.language.nodes import Condition, condition_of, histories
from rules.language.printer import operand_text
from rules.language.terms import asked_facts
from rules.models import Segment
from rules.segments import named_by

from ..customers import profile
from ..customers.facts.custom import read_for
from ..customers.facts.histories import customs
from ..store import frames
from ..store.catalogue import CONTEXT_FACTS

# Facts of the request are in no stored frame.
OF_THE_MOMENT = frozenset(CONTEXT_FACTS)


def audience(text: str, now: datetime) -> str:
    """One sentence on how many of all customers the text's condition holds for now; "" for a text with mistakes."""
    try:
        condition = condition_of(parse(text))
    except RuleError:
        return ""
    asked = asked_facts(condition)
    if moment := sorted(asked & OF_THE_MOMENT):
        return f"How many customers it is for depends on the moment: it asks for {', '.join(moment)}."
    found = customs()
    marks = {operand_text(history) for history in histories(condition)}
    marks |= {one.mark for one in found.facts if one.name in read_for(asked, found)}
    if not marks <= profile.held_histories():
        return "How many customers it is for is counted after it is saved: nobody has counted such events yet."
    try:
        frame = _frame(condition, asked)
    except frames.NoFrame:
        return "How many customers it is for is not known yet: everybody's facts are being put together."
    hits = int(matching_frame(condition, frame, now).sum())
    return _sentence(hits, frame.height)


def _frame(condition: Condition, asked: frozenset[str]) -> pl.DataFrame:
    """The newest frame with what is asked for; a web process does not wait for one to be made."""
    # A name with a dot may be a part of a fact.
    wanted = sorted(({*asked} | {name.partition(".")[0] for name in asked}) - {CUSTOMER_ID, *SEGMENT_FACTS})
    named: dict[int, tuple[str, str]] = {}
    if asked & SEGMENT_FACTS:
        rows: Any = Segment.objects.filter(active=True).values_list("pk", "key", "name")
        named = named_by(condition, {pk: (key, name) for pk, key, name in rows})
    columns = ["customer:unit", *wanted, *(f"segment:{pk}" for pk in named)]
    found = frames.current(columns)
    if asked & SEGMENT_FACTS:
        found = frames.named_segments(found, named)
    return found.with_columns(pl.col("customer:unit").alias(CUSTOMER_ID))


def _sentence(hits: int, everybody: int) -> str:
    if not everybody:
        return "There are no customers yet."
    noun = "customer" if everybody == 1 else "customers"
    share = f"{hits / everybody:.1%}" if 0 < hits < everybody else "none of them" if not hits else "all of them"
    return f"It is for {hits:,} of {everybody:,} {noun} now ({share})."
