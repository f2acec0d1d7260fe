"""A customer's state and a moment come in; the customer's facts come out, as they are stored."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from decisioning.customers.facts.catalogue import built_in_facts
from decisioning.customers.facts.formulas import One
from decisioning.customers.facts.hearing import value_of
from decisioning.customers.facts.seen import Seen
from decisioning.customers.facts.state import State, micros_of
from decisioning.customers.facts.telling import traits_of
from decisioning.customers.facts.vocabulary import Vocabulary
from rules.language.nodes import History


def derive(state: State, now: datetime, vocabulary: Vocabulary, histories: Mapping[str, History]) -> dict[str, Any]:
    """Every fact there is at `now`: JSON values (dates as RFC 3339 texts), missing facts left out.

    The same as `facts.facts_frame` and the columns of `rules.language.history` give from all the state's events
    with timestamp ≤ now. `now` must not lie before the moment the state was last pruned; without a zone it is a
    `TypeError`.
    """
    clock = micros_of(now)
    seen = Seen(state, traits_of(state), clock, vocabulary.time_zone)
    found = {name: value for name, one in plan_of(vocabulary) if (value := one(seen)) is not None}
    for text, history in histories.items():
        value = value_of(history, state.heard.get(text), clock)
        if value is not None:
            found[text] = value
    return found


@lru_cache(maxsize=8)
def plan_of(vocabulary: Vocabulary) -> tuple[tuple[str, One], ...]:
    """The name of each built-in fact, and how it is computed for one customer."""
    return tuple((fact.name, fact.one) for fact in built_in_facts(vocabulary))
