"""Everybody's facts in, as a frame; what is wrong with each fact, and how its values lie, out. Pure.

Of each fact: who has it, whether it says anything (constant, a copy of another), what cannot be (negative counts,
shares beyond 0 to 1, dates ahead), and what lies far out, by quartiles and by deviations.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from decisioning.learning.correlating import pairwise
from decisioning.learning.imputing import numbers
from decisioning.learning.outliers import IQR, WIDTH, Z, fences
from decisioning.learning.policies import CLIP, Policy
from rules.language.facts import Fact
from rules.language.values import read_moment, to_micros

from ..facts.formulas import BuiltIn
from .bounds import bounds_of, may_lie_ahead
from .findings import LOOK, MEND, NOTHING, Example, Finding, Report, amount, beyond, first, many, percent
from .shapes import Values, is_far, shape_of, words_of

KEY: Final = "customer_id"
FEW: Final = 0.01  # a fact that fewer have is hardly one
ALIKE: Final = 0.999
SKEWED: Final = 3.0
COMPARED: Final = 20_000  # customers that copies are looked for among
PROBED: Final = 50
DATES: Final = 0.9
Tell = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of facts beside their values: `facts` as rules know them, `built_in` how ours are made,

    `policies` what learning does about them. `now` is the moment the facts are of.
    """

    now: datetime
    facts: Mapping[str, Fact] = field(default_factory=dict)
    built_in: Mapping[str, BuiltIn] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)


def check_facts(frame: pl.DataFrame, known: Known, tell: Tell = lambda done, of, what: None) -> list[Report]:
    """A report for each fact of the frame (customer_id and a column a fact) and each that nobody has, by name."""
    names = sorted({*frame.columns, *known.facts} - {KEY})
    ids = frame[KEY]
    copies = copies_in(frame)
    reports = []
    for place, name in enumerate(names):
        tell(place, len(names), name)
        column = frame[name] if name in frame.columns else pl.Series(name, [None] * frame.height)
        reports.append(_report(name, column, ids, known, copies.get(name, [])))
    return reports


def _report(name: str, column: pl.Series, ids: pl.Series, known: Known, copies: list[str]) -> Report:
    having = len(column) - column.null_count()
    figures: dict[str, Any] = {
        "type": known.facts[name].type if name in known.facts else _type_of(column),
        "label": known.facts[name].label if name in known.facts else "",
        "customers": len(column),
        "coverage": having / len(column) if len(column) else 0.0,
        "distinct": _distinct(column),
    }
    found = list(_presence(having, len(column), column, name in known.built_in))
    if column.dtype.is_numeric():
        values = numbers(pl.DataFrame({name: column}), [name])[:, 0]
        figures |= shape_of(values)
        found += _impossible(name, values, ids, known)
        found += _far_out(name, values, ids, known.policies.get(name), figures)
        found += _skewed(figures, known.policies.get(name))
    else:
        figures["words"] = words_of(column) if having else []
        if column.dtype == pl.String:
            found += _dates_ahead(name, column, ids, known)
    if copies:
        others = ", ".join(f"“{other}”" for other in copies[:3])
        cure = "Keep the one that people understand; learning needs only one of them."
        found.append(Finding("copy", LOOK, f"It says the same as {others} (|r| above {ALIKE}).", cure))
    return Report("fact", name, figures, found)


def _presence(having: int, customers: int, column: pl.Series, built_in: bool) -> Iterator[Finding]:
    if not customers:
        return
    if not having:
        # Of the facts that every shop has, some are of no use to this one.
        cure = "It is computed when the events or traits it is made from arrive."
        yield Finding("nobody", NOTHING if built_in else LOOK, "Nobody has it.", cure, customers)
        return
    if having < FEW * customers:
        told = f"Only {many(having, 'customer')} of {customers:,} ({percent(having / customers)}) have it."
        yield Finding("rare", LOOK, told, "Look whether what it is made from still arrives as it did.", having)
    if having > 1 and _distinct(column) == 1:
        value = column.drop_nulls()[0]
        told = f"It is the same for everybody who has it: {value if isinstance(value, str) else _said(value)}."
        yield Finding("constant", LOOK, told, "It tells nobody from anybody; look whether it is made right.", having)


def _impossible(name: str, values: Values, ids: pl.Series, known: Known) -> Iterator[Finding]:
    bounds = bounds_of(name, known.built_in.get(name))
    if bounds is None:
        return
    wrong = (values < bounds.low) | (values > bounds.high)
    count = int(wrong.sum())
    if count:
        verb = "has a value" if count == 1 else "have values"
        told = f"{many(count, 'customer')} {verb} that cannot be: {bounds.what}."
        cure = "Find the sender of the events behind it (open a customer below) and mend it there; clip it meanwhile."
        yield Finding("impossible", MEND, told, cure, count, _furthest(values, wrong, ids))


def _far_out(
    name: str, values: Values, ids: pl.Series, policy: Policy | None, figures: dict[str, Any]
) -> Iterator[Finding]:
    """By the policy's method and width where there is one; the other method stands beside it in the figures."""
    asked = policy or Policy()
    for method in (IQR, Z):
        width = asked.width if asked.method == method else WIDTH
        fence = fences(values, method, width)
        if fence is None:
            continue
        wrong = fence.outside(values)
        figures[method] = {"low": fence.low, "high": fence.high, "width": width, "outliers": int(wrong.sum())}
        if method != asked.method or not wrong.any():
            continue
        count = int(wrong.sum())
        handled = asked.outliers == CLIP
        way = "interquartile ranges beyond the quartiles" if method == IQR else "standard deviations off the mean"
        told = (
            f"{many(count, 'customer')} ({percent(count / max(1, int(np.isfinite(values).sum())))}) "
            f"{'lies' if count == 1 else 'lie'} {beyond(fence.low, fence.high, figures['least'], figures['most'])} "
            f"({amount(width)} {way}){'; learning sees them clipped' if handled else ''}."
        )
        cure = "" if handled else "Look at them; if they are real but rare, let learning clip them."
        severity = LOOK if not handled and is_far(values, fence) else NOTHING
        yield Finding("outliers", severity, told, cure, count, _furthest(values, wrong, ids))


def _skewed(figures: dict[str, Any], policy: Policy | None) -> Iterator[Finding]:
    skew = figures.get("skewness", 0.0)
    if abs(skew) > SKEWED and not (policy and policy.outliers == CLIP):
        side = "large" if skew > 0 else "small"
        told = f"A few {side} values decide its mean (skewness {amount(round(skew, 1))})."
        yield Finding("skewed", NOTHING, told, "Trees do not mind; means and distances do. Read the median.")


def _dates_ahead(name: str, column: pl.Series, ids: pl.Series, known: Known) -> Iterator[Finding]:
    probe = column.drop_nulls().head(PROBED).to_list()
    dates = [value for value in probe if value[4:5] == "-" and read_moment(value) is not None]
    if len(dates) < DATES * len(probe) or not probe or may_lie_ahead(name):
        return
    texts = column.to_list()
    limit = to_micros(known.now)
    ahead = [place for place, text in enumerate(texts) if text and (read_moment(text) or limit) > limit]
    if ahead:
        verb = "has a date" if len(ahead) == 1 else "have dates"
        told = f"{many(len(ahead), 'customer')} {verb} in the future."
        examples = first(Example(texts[place], customer=ids[place]) for place in ahead)
        yield Finding("future_date", MEND, told, "Mend the sender: day and month may be swapped.", len(ahead), examples)


def copies_in(frame: pl.DataFrame) -> dict[str, list[str]]:
    """{fact: others that say the same}: numbers by correlation, texts by being equal; constants are no copies."""
    some = frame.gather_every(max(1, -(-frame.height // COMPARED)))
    numeric = [n for n, kind in some.schema.items() if kind.is_numeric() and n != KEY]
    found: dict[str, list[str]] = {}
    r = np.abs(np.nan_to_num(pairwise(numbers(some, numeric))))
    for one, other in np.argwhere(np.triu(r, 1) > ALIKE).tolist():
        _pair(found, numeric[one], numeric[other])
    texts: dict[tuple[int, ...], str] = {}
    for name in (n for n, kind in some.schema.items() if kind == pl.String):
        if some[name].n_unique() > 2:
            digest = (some[name].null_count(), *some[name].hash(seed=0).to_list())
            if digest in texts:
                _pair(found, texts[digest], name)
            texts.setdefault(digest, name)
    return found


def _pair(found: dict[str, list[str]], one: str, other: str) -> None:
    found.setdefault(one, []).append(other)
    found.setdefault(other, []).append(one)


def _furthest(values: Values, wrong: np.ndarray, ids: pl.Series) -> list[Example]:
    """The customers whose values lie furthest from the middle of all."""
    places = np.flatnonzero(wrong)
    middle = float(np.nanmedian(values))
    ordered = places[np.argsort(-np.abs(values[places] - middle), kind="stable")]
    return first(Example(amount(float(values[place])), customer=int(ids[int(place)])) for place in ordered)


def _distinct(column: pl.Series) -> int:
    held = column.drop_nulls()
    if held.dtype == pl.List:
        held = held.list.eval(pl.element().cast(pl.String)).list.join("\n")
    return held.n_unique() if len(held) else 0


def _type_of(column: pl.Series) -> str:
    if column.dtype == pl.Boolean:
        return "boolean"
    if column.dtype == pl.List:
        return "text_list"
    return "number" if column.dtype.is_numeric() else "text"


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return amount(float(value)) if isinstance(value, int | float) else str(value)
