"""A small shop with customers, two contents and a ledger of what was shown, for tests of what learns from one."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from campaigns.models import Content, Placement
from decisioning.customers.models import Customer, FactVocabulary
from decisioning.models import Decision, Outcome


def open_shop(now: datetime, facts: Callable[[int], dict[str, Any]]) -> list[Customer]:
    """400 customers, the facts of the n-th given by n, and the contents `a` and `b` in the placement `mail`."""
    Placement.objects.create(key="mail", name="Mail", window_hours=24, policy="greedy")
    for key in ("a", "b"):
        Content.objects.create(key=key, name=key, attributes={"size": ord(key)})
    FactVocabulary.objects.create(data={}, learned_at=now)
    return Customer.objects.bulk_create(Customer(key=f"c-{n}", facts=facts(n), facts_at=now) for n in range(400))


def show(people: list[Customer], now: datetime, follows_orders: bool = True) -> None:
    """Each saw both contents on one of forty days before now; those with many orders convert more often."""
    dice = Random(4)
    decisions, outcomes = [], []
    for number, person in enumerate(people * 2):
        # Every day sees customers of every kind.
        at = now - timedelta(days=2 + number // 20 % 40)
        row = Decision(
            id=UUID(int=number + 1),
            at=at,
            customer_id=person.pk,
            customer_key=person.key,
            placement="mail",
            rung="full",
            reason="RANKED",
            policy="greedy",
            facts=person.facts,
            items=[{"key": key, "rank": rank, "score": None, "propensity": 1.0} for rank, key in enumerate("ab", 1)],
        )
        decisions.append(row)
        for key in "ab":
            outcomes.append(
                Outcome(decision_id=row.id, content=key, kind="impression", at=at, message_id=f"i-{number}{key}")
            )
            chance = person.facts["orders_365d"] / 20 if follows_orders else 0.4
            if dice.random() < chance:
                later = at + timedelta(hours=1)
                outcomes.append(
                    Outcome(decision_id=row.id, content=key, kind="conversion", at=later, message_id=f"c-{number}{key}")
                )
    Decision.objects.bulk_create(decisions)
    Outcome.objects.bulk_create(outcomes)
