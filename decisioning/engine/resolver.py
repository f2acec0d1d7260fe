"""One placement's question in; the contents to show with reasons, propensities and the rung reached, out.

The order: audience → eligibility → rules → scores → pick → default. Nothing here raises for what a customer, a context
or a marketer may bring; the ladder (`full → rules+model → rules+prior → rules → default`) names what was missing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from rules.language import matches

from ..experiments.assignment import bucket
from .context import context_facts
from .eligibility import eligible, in_schedule
from .prepare import Prepared, Slot
from .ranking import Pick, order, pick
from .targeting import Targeting, target
from .types import Ask, ContentItem, Item, Profile, Resolution

FULL, MODEL, PRIOR, RULES, DEFAULT = "full", "rules+model", "rules+prior", "rules", "default"
UNKNOWN = "unknown customer"
LADDER = (FULL, MODEL, PRIOR, RULES, DEFAULT)


def resolve(prepared: Prepared, ask: Ask, now: datetime) -> Resolution:
    """Decide for one placement. Raises KeyError only for a placement that the snapshot does not hold."""
    slot = prepared.slots[ask.placement]
    facts = all_facts(prepared, ask, now)
    if slot.audience is not None and not matches(slot.audience, facts, now):
        dropped = {content.key: "customer is outside the placement's audience" for content in slot.pool}
        return _default(slot, ask, Targeting({}, dropped), "OUTSIDE_AUDIENCE", now)
    kept, dropped = eligible(slot.pool, now, ask.exclude)
    state = target(slot, kept, dropped, facts, now, ask.explain)
    if not state.kept:
        return _default(slot, ask, state, "FALLBACK", now)
    scores, rung, degraded = score(prepared, ask.customer, list(state.kept.values()))
    return _answer(slot, ask, prepared, state, scores, rung, degraded)


def all_facts(prepared: Prepared, ask: Ask, now: datetime) -> dict[str, Any]:
    """What rules see: the customer's facts, segments (keys; keys and names as `customer_segment`), the moment's."""
    customer = ask.customer
    facts: dict[str, Any] = dict(customer.facts) if customer else {}
    keys = list(customer.segments) if customer else []
    facts["customer_id"] = (customer.unit or customer.key) if customer else ask.person
    facts["segments"] = keys
    facts["customer_segment"] = keys + [prepared.segment_names[key] for key in keys if key in prepared.segment_names]
    facts.update(context_facts(ask.context, now))
    return facts


def score(
    prepared: Prepared, customer: Profile | None, contents: Sequence[ContentItem]
) -> tuple[dict[str, float], str, tuple[str, ...]]:
    """Chance of conversion by content key, the rung that gave it, and what was missing."""
    scorer = prepared.scorer
    if scorer is not None and customer is not None and customer.facts:
        try:
            values = scorer.score_contents(customer.facts, contents)
            return dict(zip((c.key for c in contents), values, strict=True)), FULL, ()
        except ValueError as error:
            missing = (f"scorer: {error}",)
    else:
        missing = ("no scorer",) if scorer is None else (UNKNOWN,)
    priors = prepared.data.priors
    if customer is not None and customer.scores:
        stored = {c.key: customer.scores.get(c.key, priors.get(c.key, 0.0)) for c in contents}
        return stored, MODEL, missing
    if priors:
        return {c.key: priors.get(c.key, 0.0) for c in contents}, PRIOR, missing
    return {}, RULES, missing


def _answer(
    slot: Slot,
    ask: Ask,
    prepared: Prepared,
    state: Targeting,
    scores: Mapping[str, float],
    rung: str,
    degraded: tuple[str, ...],
) -> Resolution:
    weighed = {key: _weigh(slot, content, scores, state) for key, content in state.kept.items()}
    ranked = order(list(state.kept), weighed, state.shown)
    exploration = slot.item.exploration if slot.item.policy == "epsilon" else 0.0
    dice = partial(bucket, f"{ask.person}\x1f{ask.request_id}\x1f{prepared.number}\x1f{slot.item.key}")
    picks = pick(ranked, state.shown, state.pins, ask.count or slot.item.count, exploration, dice)
    items = tuple(_item(chosen, state, scores, weighed, rung) for chosen in picks)
    for key in ranked:
        if not any(chosen.key == key for chosen in picks):
            state.dropped[key] = "ranked below the number asked for"
    return Resolution(
        items,
        rung,
        "TARGETING_MATCH" if any(trace.effects for trace in state.traces) else "RANKED",
        slot.item.policy,
        tuple(state.traces),
        state.dropped,
        tuple(state.campaigns),
        degraded,
    )


def _weigh(slot: Slot, content: ContentItem, scores: Mapping[str, float], state: Targeting) -> float:
    """Score × value (where value is the objective) × boosts; without any score every content starts at 1."""
    base = scores.get(content.key, 0.0) if scores else 1.0
    worth = content.value if slot.item.objective == "value" else 1.0
    return base * worth * state.boosts.get(content.key, 1.0)


def _item(chosen: Pick, state: Targeting, scores: Mapping[str, float], weighed: Mapping[str, float], rung: str) -> Item:
    key = chosen.key
    reasons = list(state.reasons.get(key, ()))
    if key in scores:
        source = "prior rate" if rung == PRIOR else "scorer"
        reasons.append(f"{source} gives a {scores[key]:.1%} chance of conversion")
    if chosen.explored:
        reasons.append("chosen by exploration")
    return Item(state.kept[key], chosen.rank, weighed[key], chosen.propensity, tuple(reasons))


def _default(slot: Slot, ask: Ask, state: Targeting, reason: str, now: datetime) -> Resolution:
    """The placement's default contents, in their order; no rule touches them, but their dates still hold."""
    current = [content for content in slot.defaults if in_schedule(content, now)]
    items = tuple(
        Item(content, rank, None, 1.0, ("default content of the placement",))
        for rank, content in enumerate(current[: ask.count or slot.item.count], start=1)
    )
    return Resolution(
        items, DEFAULT, reason, slot.item.policy, tuple(state.traces), state.dropped, tuple(state.campaigns)
    )
