"""A placement's contents and what is known of the customer in; a score for each and what it stands on, out.

The first that is there counts: the beliefs of the placement's own policy (counts or a bandit), the scorer with the
customer's facts, the scores a worker stored, and for somebody new what is known of others: rates in the customer's
segments, likeness to what they clicked, rates at such moments (device, country …), the smoothed rates of the contents.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..learning.family import CHANCE, ORDER, PRIOR_STRENGTH, UPLIFT
from .contents import similarity, traits_of
from .context import moments
from .objective import CLICK, CONVERSION, VALUE, number, success_of
from .policies import BANDIT, POSTERIORS, Belief
from .prepare import Prepared, Slot
from .types import ContentItem, Profile

FULL, MODEL, PRIOR, RULES, DEFAULT = "full", "rules+model", "rules+prior", "rules", "default"
LADDER: Final = (FULL, MODEL, PRIOR, RULES, DEFAULT)
UNKNOWN: Final = "unknown customer"
STANDS_IN: Final = "no scorer of {}s: {} stand in"
SAID: Final = {CLICK: "chances of a click", CONVERSION: "chances of conversion", VALUE: "expected values"}
CLICKED: Final = "clicked_contents"  # the fact that lists the keys of contents a customer clicked
GIVES: Final = "{} gives a {:.1%} chance of {}"
GIVES_MONEY: Final = "{} gives an expected value of {:,.2f}"
GAINS: Final = "{} gives a gain of {:+.1%} in the chance of {}"
GAINS_MONEY: Final = "{} gives a gain of {:+,.2f} in the expected value"

Live = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores by content key, the rung that gave them, what they stand on, and what was missing.

    They are chances of a "click" or a "conversion", or expected "value", as `objective` says; or by how much these are
    higher than with another content (`gain`).
    """

    values: Mapping[str, float]
    rung: str
    basis: str
    degraded: tuple[str, ...] = ()
    source: str = "prior rate"
    objective: str = CONVERSION
    gain: bool = False
    beliefs: Mapping[str, Belief] = field(default_factory=dict)
    words: Callable[[str], str] | None = None

    def why(self, key: str) -> str:
        """One content's score in words; nothing where there is none."""
        if key not in self.values:
            return ""
        if self.words:
            return self.words(key)
        if self.money:
            return (GAINS_MONEY if self.gain else GIVES_MONEY).format(self.source, self.values[key])
        return (GAINS if self.gain else GIVES).format(self.source, self.values[key], self.objective)

    @property
    def money(self) -> bool:
        """Whether the scores are money."""
        return self.objective == VALUE


def score(
    prepared: Prepared,
    slot: Slot,
    customer: Profile | None,
    contents: Sequence[ContentItem],
    facts: Mapping[str, Any],
    live: Live | None = None,
) -> Scores:
    """Scores for these contents. `live` is what the scorer said, where it was asked for many customers at once."""
    if slot.policy.reads == POSTERIORS and slot.counts is not None:
        return _counted(slot, contents)
    if slot.policy.reads == BANDIT and slot.bandit is not None:
        return _in_context(slot, contents, facts)
    found = _learned(prepared, slot, customer, contents, facts, live)
    degraded = found.degraded
    if slot.policy.reads:
        degraded = (*degraded, f"no {slot.policy.reads} of {slot.item.key} yet: best first")
    if found.values and found.objective not in (slot.item.objective, success_of(slot.item.objective)):
        degraded = (*degraded, STANDS_IN.format(success_of(slot.item.objective), SAID[found.objective]))
    return found if degraded is found.degraded else replace(found, degraded=degraded)


def wants_scorer(prepared: Prepared, slot: Slot, customer: Profile | None) -> bool:
    """Whether `score` will ask the scorer for this customer."""
    if (slot.policy.reads == POSTERIORS and slot.counts is not None) or slot.bandit is not None:
        return False
    return prepared.scorer is not None and customer is not None and bool(customer.facts)


def _learned(
    prepared: Prepared,
    slot: Slot,
    customer: Profile | None,
    contents: Sequence[ContentItem],
    facts: Mapping[str, Any],
    live: Live | None,
) -> Scores:
    scorer, version = prepared.scorer, prepared.data.scorer.version if prepared.data.scorer else 0
    missing: tuple[str, ...]
    if scorer is not None and customer is not None and customer.facts:
        try:
            values = finite(scorer.score_contents(facts, contents)) if live is None else None
            by_key = dict(zip((c.key for c in contents), values, strict=True)) if values is not None else live
            return Scores(by_key or {}, FULL, f"scorer {version}", (), "scorer", *_says(prepared))
        except ValueError as error:
            missing = (f"scorer: {error}",)
    else:
        missing = ("no scorer",) if scorer is None else (UNKNOWN,)
    priors = prepared.data.priors
    if customer is not None and customer.scores:
        stored = {c.key: customer.scores.get(c.key, priors.get(c.key, 0.0)) for c in contents}
        basis = f"scores stored by scorer {customer.scorer or version}"
        return Scores(stored, MODEL, basis, missing, "scorer", *_says(prepared))
    return _of_others(prepared, slot, customer, contents, facts, missing)


def _says(prepared: Prepared) -> tuple[str, bool]:
    """What the scorer's scores are, and whether they are gains."""
    item, scorer = prepared.data.scorer, prepared.scorer
    objective = item.objective if item else CONVERSION
    if objective == VALUE and scorer is not None and scorer.task in (CHANCE, ORDER):
        # Too little to learn money from gave a constant: how often anything was bought.
        objective = CONVERSION
    return objective, scorer is not None and scorer.task == UPLIFT


def finite(values: Sequence[float]) -> Sequence[float]:
    """The values; raises ValueError when one of them is no number."""
    if not math.isfinite(sum(values)):
        raise ValueError("a score is not a finite number")
    return values


def _of_others(
    prepared: Prepared,
    slot: Slot,
    customer: Profile | None,
    contents: Sequence[ContentItem],
    facts: Mapping[str, Any],
    missing: tuple[str, ...],
) -> Scores:
    """What a cold start stands on."""
    rates, names, here = prepared.data.segment_priors, prepared.segment_names, success_of(slot.item.objective)
    segments = [key for key in (customer.segments if customer else ()) if key in rates]
    if segments:
        called = [names.get(key, key) for key in segments]
        return _as_group(prepared, "segment", segments, called, contents, (missing, here))
    # The scorer's own rates; without a scorer they were counted where they are asked for.
    of = success_of(prepared.data.scorer.objective) if prepared.data.scorer else here
    if (alike := _alike(prepared, contents, facts, (missing, of))) is not None:
        return alike
    now = [name for name in moments(facts) if name in rates] if rates else []
    if now:
        return _as_group(prepared, "context", now, now, contents, (missing, here))
    priors = prepared.data.priors
    if priors:
        values = {c.key: priors.get(c.key, 0.0) for c in contents}
        return Scores(values, PRIOR, "popularity, smoothed", missing, objective=of)
    return Scores({}, RULES, "rules alone", missing)


def _as_group(
    prepared: Prepared,
    kind: str,
    groups: Sequence[str],
    names: Sequence[str],
    contents: Sequence[ContentItem],
    said: tuple[tuple[str, ...], str],
) -> Scores:
    """The mean of the groups' rates; a content none of them knows has its rate among all.

    `said` is what was missing, and what the rates are of.
    """
    rates, priors, told = prepared.data.segment_priors, prepared.data.priors, ", ".join(names)
    found: dict[str, float] = {}
    for content in contents:
        known = [rates[group][content.key] for group in groups if content.key in rates[group]]
        found[content.key] = sum(known) / len(known) if known else priors.get(content.key, 0.0)
    return Scores(found, PRIOR, f"{kind} prior: {told}", said[0], f"prior rate of {told}", said[1])


def _alike(
    prepared: Prepared, contents: Sequence[ContentItem], facts: Mapping[str, Any], said: tuple[tuple[str, ...], str]
) -> Scores | None:
    """Rates raised by likeness to contents the customer clicked: rate × (1 + similarity); None where none is alike."""
    clicked = facts.get(CLICKED)
    listed = clicked if isinstance(clicked, list | tuple) else ()
    known = [key for key in listed if isinstance(key, str) and key in prepared.contents]
    if not known:
        return None
    traits = [traits_of(prepared.contents[key]) for key in known]
    near = {c.key: max(similarity(traits_of(c), one) for one in traits) for c in contents}
    if not any(near.values()):
        return None
    priors, names = prepared.data.priors, ", ".join(known[:3])
    values = {key: priors.get(key, 0.0) * (1.0 + share) if priors else share for key, share in near.items()}
    return Scores(
        values,
        PRIOR,
        f"content similarity: {names}",
        said[0],
        objective=said[1],
        words=lambda key: f"{near[key]:.0%} like what the customer clicked ({names})",
    )


def _counted(slot: Slot, contents: Sequence[ContentItem]) -> Scores:
    """Beta posteriors of the placement's counts; a content starts at the common rate, weighing 20 showings."""
    counts = slot.counts or {}
    good, bad = (sum(column) for column in zip(*counts.values(), strict=True))
    rate = (good + 1.0) / (good + bad + 2.0)
    start = (PRIOR_STRENGTH * rate, PRIOR_STRENGTH * (1.0 - rate))
    told = {c.key: counts.get(c.key, (0.0, 0.0)) for c in contents}
    beliefs = {key: (start[0] + yes, start[1] + no) for key, (yes, no) in told.items()}
    return Scores(
        {key: yes / (yes + no) for key, (yes, no) in beliefs.items()},
        PRIOR,
        f"posteriors of {slot.item.key}",
        beliefs=beliefs,
        words=lambda key: f"{told[key][0]:g} successes in {sum(told[key]):g} showings here",
    )


def _in_context(slot: Slot, contents: Sequence[ContentItem], facts: Mapping[str, Any]) -> Scores:
    """The bandit's mean and width for this customer; LinUCB's score is the upper bound."""
    bandit = slot.bandit
    assert bandit is not None
    x = bandit.features(facts)
    beliefs = {c.key: bandit.expect(x, c.key) for c in contents}
    width = slot.item.bandit_width if slot.policy.name == "linucb" else 0.0
    return Scores(
        {key: max(0.0, mean + width * wide) for key, (mean, wide) in beliefs.items()},
        FULL,
        f"bandit of {slot.item.key}",
        beliefs=beliefs,
        words=lambda key: f"bandit expects {number(beliefs[key][0])} ± {number(beliefs[key][1])} for this customer",
    )
