"""A small site in; decisions, facts, rules and a scorer for tests of what explains decisions, out."""

from typing import Any

import numpy as np

from campaigns.models import Content
from decisioning.config import clock
from decisioning.customers.models import Customer
from decisioning.learning.features import learn_schema, paired_matrix
from decisioning.learning.scorer import Trees
from decisioning.models import Artefact, Decision
from decisioning.store import artefacts, publishing
from rules import rulebook
from rules.language.facts import Catalogue, Fact, built_in
from rules.models import Rule

from .conftest import Site

KNOWN = {name: Fact(name, "number") for name in ("age", "orders_30d")} | {"device": Fact("device", "text")}


def write(site: Site, key: str, text: str) -> None:
    """A published rule, live."""
    rule, _ = Rule.objects.update_or_create(key=key, defaults={"name": key, "text": text})
    rulebook.publish(rule, None, Catalogue(facts={**KNOWN, **built_in()}))
    site.publish()


def decided(site: Site, **body: Any) -> Decision:
    """The row of a decision that was just made."""
    answer = site.decide(**body)
    site.ledger.flush()
    return Decision.objects.get(pk=answer["placements"][0]["decision_id"])


def knows(site: Site, **facts: Any) -> None:
    """What the customer's facts are from now on."""
    customer = Customer.objects.get(key="c-1")
    Customer.objects.filter(pk=customer.pk).update(facts=facts, facts_version=customer.facts_version + 1)
    publishing.publish([customer.pk])


def train(site: Site) -> None:
    """A scorer of trees by which the old like apples, active and published."""
    contents = list(Content.objects.filter(key__in=["apple", "banana"]).order_by("key"))
    for number, content in enumerate(contents):
        content.attributes = {"sour": 1 - number}
        content.save()
    dice = np.random.default_rng(5)
    facts = [{"age": int(age), "orders_30d": int(age) % 4} for age in dice.integers(10, 80, 2000)]
    which = dice.integers(0, 2, 2000)
    chance = [0.6 if (who["age"] > 45) == (number == 0) else 0.1 for who, number in zip(facts, which, strict=True)]
    schema = learn_schema({"age": "number", "orders_30d": "number"}, facts, contents, {})
    X = paired_matrix(schema, facts, contents, list(which))
    y = (dice.random(2000) < chance).astype(np.int8)
    scorer = Trees(schema, trees=20).fit(X, y, [contents[number].key for number in which])
    row = artefacts.keep(Artefact.Kind.SCORER, scorer.to_artefact(), schema.hash, {}, clock.now())
    artefacts.activate(row, tried=True)
    site.publish()
