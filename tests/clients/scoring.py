"""Coupons in; a scorer that has learned who redeems which, active in the database, out."""

import numpy as np

from campaigns.models import Content
from decisioning.config import clock
from decisioning.learning.features import learn_schema, paired_matrix
from decisioning.learning.scorer import Trees
from decisioning.models import Artefact
from decisioning.store import artefacts


def train(coupons: list[Content]) -> None:
    """Those with many orders redeem what stands far down the list."""
    dice = np.random.default_rng(5)
    facts = [{"orders_365d": int(orders)} for orders in dice.integers(0, 80, 2000)]
    which = dice.integers(0, len(coupons), len(facts))
    likely = [who["orders_365d"] > 30 and number > 2 for who, number in zip(facts, which, strict=True)]
    y = (dice.random(len(facts)) < np.where(likely, 0.6, 0.1)).astype(np.int8)
    schema = learn_schema({"orders_365d": "number"}, facts, coupons, {})
    shown = [coupons[number].key for number in which]
    scorer = Trees(schema, trees=20).fit(paired_matrix(schema, facts, coupons, list(which)), y, shown)
    artefacts.activate(artefacts.keep(Artefact.Kind.SCORER, scorer.to_artefact(), schema.hash, {}, clock.now()))
