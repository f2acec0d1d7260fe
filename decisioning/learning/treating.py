"""Training facts and policies come in; the treatment that the policies ask for, fitted, comes out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import polars as pl

from decisioning.learning.chaining import fit_chain
from decisioning.learning.imputing import NUMBER, TEXT, Constants, Imputer, kind_of, numbers
from decisioning.learning.neighbours import Nearest
from decisioning.learning.outliers import Fence, fences
from decisioning.learning.policies import CLIP, KEEP, KNN, MEDIAN, MICE, MODE, Effect, Policy, Treatment, framed

NOBODY: Final = "Nobody has a value, so there is nothing to fill gaps with; they stay."
NO_FENCE: Final = "There are too few different values to tell an outlier by; they stay."
NO_NUMBER: Final = "It is no number, so it has no outliers."
AS_MODE: Final = "It is a text, so its gaps are filled with the commonest value."


def fit(
    facts: pl.DataFrame,
    policies: Mapping[str, Policy],
    candidates: Sequence[str] | None = None,
    seed: int = 0,
) -> Treatment:
    """Learn fences and fillers from these rows (one a customer or showing, a column a fact) and no others.

    `candidates` are the facts that nearest customers and chained models may look at (default: every number and boolean
    but `customer_id`). Facts of `policies` that the frame lacks are noted. Same rows, policies and seed: same bytes.
    """
    asked = {fact: policies[fact] for fact in sorted(policies) if policies[fact].asks}
    notes: dict[str, str] = {}
    found = {fact: _fence(facts, fact, policy, notes) for fact, policy in asked.items()}
    fenced = {fact: fence for fact, fence in found.items() if fence is not None}
    looked, _ = Treatment(asked, fenced).apply(facts)
    usable = candidates if candidates is not None else plain_facts(facts)
    fillers = tuple(filler for filler in _fillers(looked, asked, usable, notes, seed) if filler.targets)
    filled = {fact for filler in fillers for fact in filler.targets}
    for fact, policy in asked.items():
        if policy.missing != KEEP and fact not in filled:
            notes[fact] = _and(notes.get(fact), NOBODY)
    return Treatment(asked, fenced, fillers, notes)


def apply(
    facts: pl.DataFrame, policies: Mapping[str, Policy], candidates: Sequence[str] | None = None, seed: int = 0
) -> tuple[pl.DataFrame, list[Effect]]:
    """Fit and apply to the same rows: a new frame as learning reads it, and what was done to each fact."""
    return fit(facts, policies, candidates, seed).apply(facts)


def facts_in(showings: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The facts of showings (see `dataset`) as columns; those that nobody has are missing or empty."""
    if "facts" not in showings.columns:
        return showings.select([name for name in names if name in showings.columns])
    decoder = msgspec.json.Decoder(dict[str, Any])
    return framed([decoder.decode(text) for text in showings["facts"]], names)


def plain_facts(facts: pl.DataFrame) -> list[str]:
    """The numbers and booleans of a frame, without the customer's id."""
    return [n for n, t in facts.schema.items() if n != "customer_id" and (t.is_numeric() or t == pl.Boolean)]


def _fence(facts: pl.DataFrame, fact: str, policy: Policy, notes: dict[str, str]) -> Fence | None:
    if policy.outliers == KEEP:
        return None
    if fact in facts.columns and kind_of(facts, fact) != NUMBER:
        if policy.outliers == CLIP:
            notes[fact] = NO_NUMBER
        return None
    found = fences(numbers(facts, [fact])[:, 0], policy.method, policy.width)
    if found is None and policy.outliers == CLIP:
        notes[fact] = NO_FENCE
    return found


def _fillers(
    facts: pl.DataFrame, asked: Mapping[str, Policy], candidates: Sequence[str], notes: dict[str, str], seed: int
) -> list[Imputer]:
    """One filler for all the facts that are filled the same way."""
    by: dict[str, list[str]] = {how: [] for how in (MEDIAN, MODE, KNN, MICE)}
    for fact, policy in asked.items():
        if policy.missing == KEEP:
            continue
        is_text = kind_of(facts, fact) == TEXT
        if is_text and policy.missing in (MEDIAN, MICE):
            notes[fact] = _and(notes.get(fact), AS_MODE)
        by[MODE if is_text and policy.missing in (MEDIAN, MICE) else policy.missing].append(fact)
    fillers: list[Imputer] = []
    if by[MEDIAN] or by[MODE]:
        fillers.append(Constants.fit(facts, by[MEDIAN], by[MODE]))
    if by[KNN]:
        fillers.append(Nearest.fit(facts, by[KNN], candidates, seed))
    if by[MICE]:
        fillers.append(fit_chain(facts, by[MICE], candidates, seed))
    return fillers


def _and(before: str | None, more: str) -> str:
    return f"{before} {more}" if before else more
