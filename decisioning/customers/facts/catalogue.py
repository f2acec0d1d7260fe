"""A vocabulary of departments, traits and event names comes in; the list of all built-in facts comes out.

`formulas.py` and `tastes.py` have each fact once; here they are put in order and told to those who ask: `facts.py` and
`deriving.py` compute them, rules, segments and templates read their names, scorers learn from some of them.
"""

from functools import lru_cache
from typing import Final

from decisioning.customers.facts.formulas import BuiltIn, Source, activity_facts, coupon_facts, money_facts, order_facts
from decisioning.customers.facts.tastes import (
    rfm_facts,
    rhythm_facts,
    share_facts,
    since_facts,
    taste_facts,
    trait_facts,
)
from decisioning.customers.facts.vocabulary import Vocabulary
from rules.language.facts import Fact

__all__ = ["built_in_facts", "catalogue_facts", "learnt_crosses", "learnt_facts", "share_facts"]

GROWING: Final = frozenset({"visits", "orders", "spend", "tenure_days"})


@lru_cache(maxsize=8)
def built_in_facts(vocabulary: Vocabulary) -> tuple[BuiltIn, ...]:
    """Every built-in fact, in a fixed order; the traits come last and never take a name that is taken."""
    groups = (
        activity_facts(),
        order_facts(),
        money_facts(),
        coupon_facts(),
        rhythm_facts(),
        taste_facts(vocabulary),
        rfm_facts(vocabulary),
        since_facts(vocabulary),
    )
    found = {fact.name: fact for group in groups for fact in group}
    for fact in trait_facts(vocabulary, found):
        found[fact.name] = fact
    return tuple(found.values())


def catalogue_facts(vocabulary: Vocabulary) -> dict[str, Fact]:
    """{name: Fact} of all built-in facts, ready for a rule catalogue."""
    return {built_in.name: built_in.fact for built_in in built_in_facts(vocabulary)}


def learnt_facts(vocabulary: Vocabulary) -> dict[str, str]:
    """{fact: "number" or "category"} for scorers: numbers, booleans and the texts among the traits.

    What only grows with the age of the log (`GROWING`) is left out: a scorer would learn the date from it.
    """
    kinds = {"number": "number", "boolean": "number", "text": "category"}
    return {
        fact.name: kinds[fact.type]
        for fact in built_in_facts(vocabulary)
        if fact.type in kinds and (fact.type != "text" or fact.source is Source.TRAITS) and fact.name not in GROWING
    }


def learnt_crosses(vocabulary: Vocabulary) -> dict[str, dict[str, str]]:
    """{content attribute with shares: {its value: the customer's fact}}, for a scorer's products."""
    return {"departments": share_facts(vocabulary)}
