"""A fact and a policy somebody thinks of in; what learning would see of it, in words and pictures, out.

Nothing is stored. Facts are read as they are; of many customers a fixed part of them, spread over all.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
from django.db import connection

from decisioning.learning.hiding import Worth, worth
from decisioning.learning.imputing import NUMBER, kind_of, numbers
from decisioning.learning.policies import CLIP, FLAG, KEEP, KNN, MEDIAN, MICE, MODE, Effect, Policy, framed
from decisioning.learning.treating import fit, plain_facts

from .. import profile
from ..facts.catalogue import learnt_crosses, learnt_facts
from ..facts.custom import learnt
from ..facts.histories import customs
from ..models import Customer
from .findings import amount, beyond, many, percent
from .shapes import shape_of, words_of

ALONE: Final = 20_000  # customers, where one fact is enough
WHOLE: Final = 2_000  # customers, where all facts are needed
COLUMN: Final = """
SELECT id, jsonb_build_object(%s::text, facts -> %s)::text FROM customers_customer
WHERE facts_at IS NOT NULL AND merged_into_id IS NULL AND id %% %s = 0 ORDER BY id LIMIT %s
"""
HOW: Final = {
    MEDIAN: "the median",
    MODE: "the commonest value",
    KNN: "what their nearest customers have",
    MICE: "what the other facts make likely",
}


@dataclass(frozen=True)
class Preview:
    """What a policy would do: `told` are sentences, `before` and `after` are as `shapes.shape_of` (or words)."""

    customers: int
    told: list[str] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


def preview(fact: str, policy: Policy, seed: int = 0) -> Preview:
    """What learning would see of a fact under this policy, from everybody or a part of them."""
    frame, share = _read(fact, policy)
    if not frame.height:
        return Preview(0, ["Nobody's facts are computed yet; send events first."])
    kinds = learnt_facts(profile.vocabulary()) | learnt(customs())
    candidates = [name for name in plain_facts(frame) if name in kinds]
    done, effects = fit(frame, {fact: policy}, candidates, seed).apply(frame)
    found = effects[0] if effects else Effect(fact, frame.height)
    told = [_looked(frame.height, share), *_told(fact, policy, found, frame, done)]
    if policy.missing in (KNN, MICE):
        # How good it is among the values that learning sees.
        within, _ = fit(frame, {fact: replace(policy, missing=KEEP)}, candidates, seed).apply(frame)
        told += _worth(worth(within, fact, policy.missing, candidates, seed))
    if not _is_learnt(fact, kinds):
        told.append("No scorer reads this fact today, so the policy changes nothing until one does.")
    told.append("Rules, segments and messages go on with what came in.")
    return Preview(frame.height, told, _shape(frame, fact), _shape(done, fact))


def _read(fact: str, policy: Policy) -> tuple[pl.DataFrame, float]:
    """The fact of a part of the customers, with all others where they are needed; and which share that is."""
    customers = Customer.objects.filter(facts_at__isnull=False, merged_into__isnull=True).count()
    most = WHOLE if policy.missing in (KNN, MICE) else ALONE
    step = max(1, -(-customers // most))
    with connection.cursor() as cursor:
        cursor.execute(COLUMN, [fact, fact, step, most])
        rows = cursor.fetchall()
    if policy.missing in (KNN, MICE):
        frame = profile.stored_frame([pk for pk, _ in rows])
        lacking = [] if fact in frame.columns else [pl.lit(None, pl.Float64).alias(fact)]
        return frame.with_columns(lacking), 1 / step
    decoder = msgspec.json.Decoder(dict[str, Any])
    return framed([decoder.decode(text) for _, text in rows], [fact]), 1 / step


def _looked(customers: int, share: float) -> str:
    if share == 1:
        return f"Looked at all {many(customers, 'customer')}."
    return f"Looked at {many(customers, 'customer')}, about {percent(share)} of all."


def _told(fact: str, policy: Policy, found: Effect, frame: pl.DataFrame, done: pl.DataFrame) -> list[str]:
    told = []
    if found.low is not None and found.high is not None:
        told.append(_out(policy, found, frame))
    if policy.missing != KEEP and found.filled:
        how = HOW[policy.missing]
        if policy.missing in (MEDIAN, MODE):
            how = f"{_filler(frame, done, fact)} ({how})"
        share = percent(found.missing / max(1, found.rows))
        told.append(f"{many(found.filled, 'customer')} ({share}) without a value would get {how}.")
    elif policy.missing != KEEP and not found.missing:
        told.append("Everybody looked at has a value, so there is no gap to fill.")
    if found.note:
        told.append(found.note)
    if kind_of(done, fact) == NUMBER and (found.clipped or found.filled):
        told.append(_moved(frame, done, fact))
    elif policy.outliers != CLIP and policy.missing == KEEP:
        told.append("Learning sees it as it came in.")
    return told


def _out(policy: Policy, found: Effect, frame: pl.DataFrame) -> str:
    """Who lies out, and what becomes of them."""
    low, high = found.low or 0.0, found.high or 0.0
    if not found.outliers:
        return f"Nobody lies outside {amount(low)} to {amount(high)}."
    values = numbers(frame, [found.fact])
    where = beyond(low, high, float(np.nanmin(values)), float(np.nanmax(values)))
    if policy.outliers == FLAG:
        return f"{many(found.outliers, 'customer')} would be reported as {where}; learning sees them as they are."
    edge = {"above": f"{amount(high)} at most", "below": f"{amount(low)} at least"}.get(where.split()[0])
    return f"{many(found.outliers, 'customer')} would be clipped to {edge or where.removeprefix('outside ')}."


def _filler(frame: pl.DataFrame, done: pl.DataFrame, fact: str) -> str:
    value = done[fact].filter(frame[fact].is_null())[0]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"“{value}”" if isinstance(value, str) else amount(float(value))


def _moved(frame: pl.DataFrame, done: pl.DataFrame, fact: str) -> str:
    before, after = (numbers(each, [fact])[:, 0] for each in (frame, done))
    if not np.isfinite(before).any():
        return "Nobody has a value."
    ways = (("a mean of", np.nanmean), ("at least", np.nanmin), ("at most", np.nanmax))
    pairs = [(label, amount(float(way(after))), amount(float(way(before)))) for label, way in ways]
    changed = [f"{label} {new} instead of {old}" for label, new, old in pairs if new != old]
    return f"Training sees {', '.join(changed)}." if changed else "Mean, least and largest value stay as they are."


def _worth(found: Worth | None) -> list[str]:
    if found is None:
        return ["Too few values are known to tell how good the filling is."]
    simplest = "the median" if found.is_number else "the commonest value"
    if found.is_number:
        told = f"was off by {amount(found.error)} on average, {simplest} by {amount(found.simplest)}"
    else:
        told = f"was wrong in {percent(found.error)}, {simplest} in {percent(found.simplest)}"
    advice = "" if found.better else f" Take {simplest} instead: it is as good and simpler."
    return [f"Of {many(found.hidden, 'known value')} hidden for a test it {told}.{advice}"]


def _is_learnt(fact: str, kinds: dict[str, str]) -> bool:
    if fact in kinds:
        return True
    crosses = learnt_crosses(profile.vocabulary())
    return any(fact in weights.values() for weights in crosses.values())


def _shape(frame: pl.DataFrame, fact: str) -> dict[str, Any]:
    if kind_of(frame, fact) == NUMBER:
        return shape_of(numbers(frame, [fact])[:, 0])
    return {"words": words_of(frame[fact])}
