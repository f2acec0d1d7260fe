"""The shares of a chance: they sum to its logit, name what was read, and a scorer of constants has none."""

import math

import numpy as np
import pytest

from decisioning.learning.contributions import contributions, logit
from decisioning.learning.features import learn_schema, paired_matrix
from decisioning.learning.scorer import Prior, Scorer, Trees

from .shop import CROSSES, KINDS, OFFERS, showings

WHO = [
    {"orders_30d": 9, "spend_90d": 300.0, "redeemed": 1, "member": True, "age": "25-34", "share_dairy": 0.9},
    {"orders_30d": 0, "share_dairy": 0.1, "share_meat": 0.9},
    {},
]


@pytest.fixture(scope="module")
def trees() -> Trees:
    rows = showings()
    facts = [dict(row) for row in rows.select(*KINDS, "share_dairy", "share_meat").iter_rows(named=True)]
    schema = learn_schema(KINDS, facts, OFFERS, CROSSES)
    place = {offer.key: number for number, offer in enumerate(OFFERS)}
    X = paired_matrix(schema, facts, OFFERS, [place[key] for key in rows["content_key"]])
    y = rows["converted_at"].is_not_null().to_numpy().astype(np.int8)
    return Trees(schema).fit(X, y, rows["content_key"].to_list())


@pytest.mark.parametrize("facts", WHO)
@pytest.mark.parametrize("offer", OFFERS[:3])
def test_base_and_shares_sum_to_the_log_odds_of_the_chance_given(trees, facts, offer):
    told = contributions(trees, facts, offer)
    assert told.chance == trees.score_contents(facts, [offer])[0]
    assert math.isclose(told.base + sum(factor.share for factor in told.factors), told.log_odds, abs_tol=1e-6)
    assert math.isclose(1 / (1 + math.exp(-told.log_odds)), told.chance, abs_tol=1e-9)


def test_factors_come_largest_first_with_the_values_that_were_read(trees):
    told = contributions(trees, WHO[0], OFFERS[4])
    sizes = [abs(factor.share) for factor in told.factors]
    assert sizes == sorted(sizes, reverse=True)
    read = {factor.name: (factor.source, factor.value) for factor in told.factors}
    assert read["orders_30d"] == ("fact", 9)
    assert read["share_in_departments"] == ("cross", pytest.approx(0.9))


def test_a_habit_of_buying_speaks_for_and_its_lack_against(trees):
    def share(facts):
        return next(f.share for f in contributions(trees, facts, OFFERS[0]).factors if f.name == "orders_30d")

    assert share({**WHO[0], "orders_30d": 15}) > 0 > share({**WHO[0], "orders_30d": 0})


def test_shares_survive_the_way_to_bytes_and_back(trees):
    again = Scorer.from_artefact(trees.to_artefact())
    assert contributions(again, WHO[0], OFFERS[1]) == contributions(trees, WHO[0], OFFERS[1])


def test_a_scorer_of_constants_has_a_base_alone(trees):
    prior = Prior(trees.schema).fit(
        np.zeros((4, len(trees.schema.columns)), np.float32), np.array([0, 1, 0, 0], np.int8), ["offer-0"] * 4
    )
    told = contributions(prior, WHO[0], OFFERS[0])
    assert (told.factors, told.base) == ((), logit(told.chance))
