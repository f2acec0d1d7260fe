"""A customer's state and a moment come in; the customer's facts come out, as they are stored."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from decisioning.customers.facts.catalogue import built_in_facts
from decisioning.customers.facts.clocks import clock_of
from decisioning.customers.facts.custom import NONE, Customs, add, read_for
from decisioning.customers.facts.folding import matured
from decisioning.customers.facts.formulas import BuiltIn, One
from decisioning.customers.facts.hearing import value_of
from decisioning.customers.facts.seen import Seen
from decisioning.customers.facts.state import State, micros_of
from decisioning.customers.facts.vocabulary import Vocabulary
from rules.language.nodes import History


def derive(
    state: State,
    now: datetime,
    vocabulary: Vocabulary,
    histories: Mapping[str, History],
    only: Collection[str] | None = None,
    customs: Customs = NONE,
    consents: Sequence[str] = (),
) -> dict[str, Any]:
    """Every fact there is at `now`, or those of `only`: JSON values (dates as RFC 3339 texts), missing ones left out.

    The same as `frame.facts_frame`, the columns of `rules.language.history` and `custom.with_customs` give from all the
    state's events with timestamp ≤ now; `histories` holds those that the custom facts read, `consents` the channels the
    customer allows, by name. `now` must not lie before the moment the state was last folded or pruned at; without a
    zone it is a `TypeError`. A `frozenset` as `only` is quickest: what it asks for is looked up once.
    """
    clock = micros_of(now)
    if state.ahead:
        state = matured(state, now, histories)
    seen = Seen(state, clock, clock_of(vocabulary.time_zone), consents)
    needed = None if only is None else read_for(frozenset(only), customs)
    plan = plan_of(vocabulary, needed)
    found = {name: value for name, one in plan if (value := one(seen)) is not None}
    for text, history in histories.items():
        if needed is None or text in needed:
            value = value_of(history, state.heard.get(text), clock)
            if value is not None:
                found[text] = value
    add(found, customs)
    return found if only is None or not customs.facts else {name: found[name] for name in only if name in found}


@lru_cache(maxsize=64)
def plan_of(vocabulary: Vocabulary, only: frozenset[str] | None) -> tuple[tuple[str, One], ...]:
    """The name of each built-in fact that is asked for, and how it is computed for one customer."""
    return tuple((fact.name, fact.one) for fact in built_in_facts(vocabulary) if only is None or fact.name in only)


@lru_cache(maxsize=8)
def by_name(vocabulary: Vocabulary) -> dict[str, BuiltIn]:
    """The built-in facts by their name."""
    return {fact.name: fact for fact in built_in_facts(vocabulary)}
