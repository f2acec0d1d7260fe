"""A vocabulary of departments, traits and event names comes in; the list of all built-in facts comes out.

The modules of formulas have each fact once; here they are put in order and told to those who ask: `frame.py` and
`deriving.py` compute them, `expiring.py` says when they change, rules, segments and templates read their names, scorers
learn from some of them.
"""

from functools import lru_cache
from typing import Final

from decisioning.customers.facts.browsing import basket_facts, search_facts, view_facts
from decisioning.customers.facts.buying import discount_facts, money_facts, order_facts
from decisioning.customers.facts.formulas import BuiltIn, Source
from decisioning.customers.facts.ranking import rfm_facts
from decisioning.customers.facts.responding import consent_facts, content_facts, coupon_facts, message_facts
from decisioning.customers.facts.tastes import rhythm_facts, share_facts, since_facts, taste_facts, trait_facts
from decisioning.customers.facts.visiting import activity_facts, device_facts, place_facts, session_facts
from decisioning.customers.facts.vocabulary import Vocabulary
from rules.language.facts import Fact

__all__ = ["built_in_facts", "catalogue_facts", "learnt_crosses", "learnt_facts", "share_facts"]

GROWING: Final = frozenset({"visits", "orders", "spend", "tenure_days"})


@lru_cache(maxsize=8)
def built_in_facts(vocabulary: Vocabulary) -> tuple[BuiltIn, ...]:
    """Every built-in fact, in a fixed order; the traits come last and never take a name that is taken."""
    groups = (
        activity_facts(),
        session_facts(),
        order_facts(),
        money_facts(),
        discount_facts(),
        coupon_facts(),
        content_facts(),
        message_facts(),
        consent_facts(),
        basket_facts(),
        search_facts(),
        view_facts(),
        device_facts(),
        place_facts(),
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
