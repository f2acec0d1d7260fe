"""A customer and supposed facts in; a page that shows what the scorer would then say of each content, out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse

from decisioning.console import card
from decisioning.console.tables import shown
from decisioning.flows import explain, otherwise
from decisioning.learning.contributions import LOG, LOG_ODDS, Contributions
from decisioning.learning.schema import Column
from decisioning.store import catalogue

from ..models import Customer

FIRST, ROWS, FACTORS = 8, 50, 6
PREFIX: Final = "fact."
BAR: Final = 120.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One fact in the form: what it is now, what was typed, and what was wrong with that."""

    name: str
    label: str
    now: str
    typed: str
    levels: tuple[str, ...]
    wrong: str = ""

    @property
    def changed(self) -> bool:
        """Whether it is supposed to be otherwise."""
        return self.typed != self.now


def page(request: HttpRequest, customer: Customer, context: Mapping[str, Any]) -> HttpResponse:
    """The form and, for what it holds, the chances; nothing is stored, so a GET will do and can be passed on."""
    found = otherwise.asked()
    told: dict[str, Any] = {"title": f"What if {customer} were otherwise", "original": customer, "asked": None}
    if found is not None:
        artefact, columns = found
        fields, changes = _read(request.GET, columns, customer.facts)
        supposed = otherwise.suppose(artefact.pk, customer.facts, changes)
        told |= {
            "scorer": artefact,
            "asked": fields[:FIRST],
            "more": fields[FIRST:],
            "open": any(field.changed for field in fields[FIRST:]),
            "changed": [field for field in fields if field.changed and not field.wrong],
            "wrong": [field for field in fields if field.wrong],
            "rows": _rows(supposed),
            "left_out": max(0, len(supposed.chances) - ROWS),
            "best": supposed.chances[0].content if supposed.chances else None,
            "noun": explain.NOUNS[_scale(supposed)],
            "on": explain.ON[_scale(supposed)],
            "points": "Difference" if _scale(supposed) == LOG else "Points",
            "factors": _factors(supposed.why),
            "bar": BAR,
        }
    return TemplateResponse(request, "admin/customers/what_if.html", {**context, **told})


def _read(given: QueryDict, columns: list[Column], facts: Mapping[str, Any]) -> tuple[list[Asked], dict[str, Any]]:
    """The form's fields, and those changes that can be read."""
    labels = {name: fact.label for name, fact in catalogue.current().facts.items()}
    fields, changes = [], {}
    for column in columns:
        now = _written(facts.get(column.key))
        typed = given.get(f"{PREFIX}{column.key}", now).replace("\x00", "").strip()
        wrong = ""
        if typed != now:
            try:
                changes[column.key] = _value(typed, column)
            except ValueError as error:
                wrong = str(error)
        fields.append(Asked(column.key, labels.get(column.key, column.key), now, typed, column.levels, wrong))
    return fields, changes


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(typed: str, column: Column) -> Any:
    """What a scorer reads; nothing typed means that the fact is missing. Raises ValueError in words."""
    if not typed:
        return None
    if column.kind == "category":
        return typed
    try:
        number = float(typed)
    except ValueError:
        raise ValueError(f"{typed!r} is no number; write one like 12 or 3.5, or nothing for a missing fact.") from None
    if not math.isfinite(number):
        raise ValueError("Write a number that is finite.")
    return number


def _scale(supposed: otherwise.Supposed) -> str:
    return supposed.why.scale if supposed.why else LOG_ODDS


def _rows(supposed: otherwise.Supposed) -> list[dict[str, Any]]:
    scale = _scale(supposed)
    most = max((max(one.now, one.then) for one in supposed.chances), default=0.0) or 1.0
    return [
        {
            "content": one.content,
            "now": card.said(scale, one.now),
            "then": card.said(scale, one.then),
            "change": f"{(one.then - one.now) * (1 if scale == LOG else 100):+.2f}" if one.then != one.now else "",
            "up": one.then > one.now,
            "rank": one.rank_then,
            "moved": one.rank_now - one.rank_then,
            "was": round(BAR * max(0.0, one.now) / most, 1),
            "is": round(BAR * max(0.0, one.then) / most, 1),
        }
        for one in supposed.chances[:ROWS]
    ]


def _factors(why: Contributions | None) -> list[dict[str, Any]]:
    """What speaks most for and against the best content, on the scale of its score."""
    if why is None:
        return []
    labels = {name: fact.label for name, fact in catalogue.current().facts.items()}
    most = max((abs(factor.share) for factor in why.factors), default=0.0) or 1.0
    return [
        {
            "label": labels.get(factor.key, factor.key.replace("_", " ")),
            "value": shown(factor.value),
            "said": f"{factor.share:+.3f}",
            "up": factor.share > 0,
            "width": round(BAR * abs(factor.share) / most, 1),
        }
        for factor in why.factors[:FACTORS]
    ]
