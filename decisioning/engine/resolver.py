"""One placement's question in; the contents to show with reasons, propensities and the rung reached, out.

The order: audience → eligibility → holdout → rules → scores → pick → default. Nothing here raises for what a customer,
a context or a marketer may bring; the ladder (`full → rules+model → rules+prior → rules → default`) names what was
missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rules.language import matches

from .candidates import NO_LISTS, Candidates, candidates, may_be_shown
from .context import context_facts
from .dice import Dice
from .eligibility import ELSEWHERE, all_capped, eligible
from .holdout import HELD, arms_of
from .objective import Factor, at_most, factors, formula, product, worth
from .policies import EPSILON
from .prepare import Prepared, Slot
from .ranking import Field, Pick, order, pick
from .scoring import DEFAULT, FULL, LADDER, MODEL, PRIOR, RULES, UNKNOWN, Live, Scores, score
from .targeting import Targeting, target
from .types import Ask, Item, Resolution
from .variety import variety_of

__all__ = ["DEFAULT", "FULL", "LADDER", "MODEL", "PRIOR", "RULES", "UNKNOWN", "all_facts", "propensities", "resolve"]

OUTSIDE = "customer is outside the placement's audience"
HELD_OUT = "customer is in the holdout"


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What eligibility and rules left of a placement's contents, before anything is scored."""

    slot: Slot
    ask: Ask
    facts: Mapping[str, Any]
    state: Targeting
    arms: tuple[str, ...] = ()
    drawn: Candidates | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """The slots as filled, what was passed over and why, and what the scores are made of."""

    picks: list[Pick]
    left: Mapping[str, str]
    weighed: Mapping[str, float]
    parts: Mapping[str, tuple[Factor, ...]]


def resolve(prepared: Prepared, ask: Ask, now: datetime) -> Resolution:
    """Decide for one placement. Raises KeyError only for a placement that the snapshot does not hold."""
    narrowed = narrow(prepared, ask, now)
    return narrowed if isinstance(narrowed, Resolution) else rank(prepared, narrowed, now)


def propensities(prepared: Prepared, ask: Ask, now: datetime) -> list[dict[str, float]]:
    """For each slot that `resolve` fills, the chance of everything that competed for it, given the slots above."""
    narrowed = narrow(prepared, ask, now)
    if isinstance(narrowed, Resolution):
        return [{item.content.key: 1.0} for item in narrowed.items]
    scores = score_of(prepared, narrowed)
    return [chosen.chances for chosen in _fill(prepared, narrowed, scores, now).picks]


def instead(prepared: Prepared, ask: Ask, now: datetime) -> Resolution:
    """What stands in where `resolve` failed: the default contents, or nothing where these fail too; never raises."""
    slot = prepared.slots[ask.placement]
    nothing = Targeting({}, {})
    try:
        return _default(Narrowed(slot, ask, all_facts(prepared, ask, now), nothing), "ERROR", now)
    except Exception:
        return Resolution((), DEFAULT, "ERROR", slot.item.policy, basis="nothing could be decided")


def narrow(prepared: Prepared, ask: Ask, now: datetime) -> Narrowed | Resolution:
    """Everything before the scores; the answer itself where nothing is left to be scored."""
    slot = prepared.slots[ask.placement]
    facts = all_facts(prepared, ask, now)
    pool = slot.pool if ask.candidates is None else ask.candidates
    if slot.audience is not None and not matches(slot.audience, facts, now):
        dropped = {content.key: OUTSIDE for content in pool}
        return _default(Narrowed(slot, ask, facts, Targeting({}, dropped)), "OUTSIDE_AUDIENCE", now)
    always = slot.always if ask.candidates is None else frozenset()
    drawn = candidates(slot, ask, facts, now)
    if drawn is None:
        kept, dropped = eligible(pool, ask, facts, now, always)
    else:
        kept, dropped = may_be_shown(drawn, ask, facts, now, always, ask.count or slot.item.count)
    nothing = "CAPPED" if not kept and all_capped(dropped) else "FALLBACK"
    if ask.explain and ask.candidates is None:
        dropped.update(dict.fromkeys(slot.elsewhere, ELSEWHERE))
    arms = arms_of(slot, ask.holdout, facts)
    if HELD in arms:
        dropped.update(dict.fromkeys(kept, HELD_OUT))
        return _default(Narrowed(slot, ask, facts, Targeting({}, dropped), arms), "HOLDOUT", now)
    state = target(slot, kept, dropped, facts, now, ask.explain, ask.candidates)
    narrowed = Narrowed(slot, ask, facts, state, arms, drawn)
    return narrowed if state.kept else _default(narrowed, nothing, now)


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


def score_of(prepared: Prepared, narrowed: Narrowed, live: Live | None = None) -> Scores:
    """Scores for what was left."""
    contents = list(narrowed.state.kept.values())
    return score(prepared, narrowed.slot, narrowed.ask.customer, contents, narrowed.facts, live)


def rank(prepared: Prepared, narrowed: Narrowed, now: datetime, live: Live | None = None) -> Resolution:
    """Score what is left, fill the slots, and say why. Changes what is kept in `narrowed`: rank it once."""
    slot, state, drawn = narrowed.slot, narrowed.state, narrowed.drawn
    scores = score_of(prepared, narrowed, live)
    ranked = _fill(prepared, narrowed, scores, now)
    state.dropped.update(ranked.left)
    return Resolution(
        tuple(_item(chosen, state, scores, ranked, drawn) for chosen in ranked.picks),
        scores.rung,
        "TARGETING_MATCH" if any(trace.effects for trace in state.traces) else "RANKED",
        slot.item.policy,
        tuple(state.traces),
        state.dropped,
        tuple(state.campaigns),
        (*scores.degraded, NO_LISTS) if slot.item.lists and slot.lists is None else scores.degraded,
        f"{scores.basis}; {drawn.basis()}" if drawn else scores.basis,
        dict(ranked.weighed),
        narrowed.arms,
    )


def _fill(prepared: Prepared, narrowed: Narrowed, scores: Scores, now: datetime) -> Ranked:
    """Without any score every content starts at 1, and rules alone tell them apart."""
    slot, ask, state = narrowed.slot, narrowed.ask, narrowed.state
    own = slot.worth if ask.candidates is None else {key: worth(c, slot.item) for key, c in state.kept.items()}
    parts = {
        key: factors(c, slot.item, own[key], state.boosts.get(key, 1.0), now, scores.money)
        for key, c in state.kept.items()
    }
    whole = {key: product(found) if found else 1.0 for key, found in parts.items()}
    weighed = {key: at_most(_base(scores, key) * factor) for key, factor in whole.items()}
    field = Field(
        weighed,
        Dice(f"{ask.person}\x1f{ask.request_id}\x1f{prepared.number}\x1f{slot.item.key}"),
        slot.policy if scores.beliefs or not slot.policy.reads else EPSILON,
        slot.item.exploration,
        slot.item.temperature,
        slot.item.bandit_width,
        whole,
        scores.beliefs,
        _new(slot, state) if slot.item.new_share else frozenset(),
        slot.item.new_share,
        variety_of(slot.item, state.kept),
    )
    ranked = order(state.kept, weighed, state.shown)
    picks, left = pick(ranked, state.shown, state.pins, ask.count or slot.item.count, field)
    return Ranked(picks, left, weighed, parts)


def _base(scores: Scores, key: str) -> float:
    return scores.values.get(key, 0.0) if scores.values else 1.0


def _new(slot: Slot, state: Targeting) -> frozenset[str]:
    """Contents shown too seldom here to be judged; nobody is new where nothing was counted."""
    counts = slot.counts
    if counts is None:
        return frozenset()
    return frozenset(key for key in state.kept if sum(counts.get(key, (0.0,))) < slot.item.new_showings)


def _item(chosen: Pick, state: Targeting, scores: Scores, ranked: Ranked, drawn: Candidates | None) -> Item:
    key, parts = chosen.key, ranked.parts[chosen.key]
    told = formula(_base(scores, key), parts, ranked.weighed[key])
    came = drawn.why(key) if drawn else ""
    reasons = [*state.reasons.get(key, ()), came, scores.why(key), told if parts else "", *chosen.notes]
    return Item(
        state.kept[key],
        chosen.rank,
        ranked.weighed[key],
        chosen.propensity,
        tuple(reason for reason in reasons if reason),
        told,
        chosen.own.estimated,
    )


def _default(narrowed: Narrowed, reason: str, now: datetime) -> Resolution:
    """The placement's default contents, in their order; no rule touches them, but they too must be eligible."""
    slot, ask, state = narrowed.slot, narrowed.ask, narrowed.state
    current, not_now = eligible(slot.defaults, ask, narrowed.facts, now, anywhere=True)
    items = tuple(
        Item(content, rank, None, 1.0, ("default content of the placement",))
        for rank, content in enumerate(list(current.values())[: ask.count or slot.item.count], start=1)
    )
    return Resolution(
        items,
        DEFAULT,
        reason,
        slot.item.policy,
        tuple(state.traces),
        {**not_now, **state.dropped},
        tuple(state.campaigns),
        basis="default contents" if items else "nothing may be shown",
        arms=narrowed.arms,
    )
