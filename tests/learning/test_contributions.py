"""The shares of a score: they sum to it on its scale, name what was read, and a scorer of constants has none."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from decisioning.learning.contributions import LOG, PLAIN, contributions, logit, off
from decisioning.learning.family import made
from decisioning.learning.features import learn_schema, paired_matrix
from decisioning.learning.scorer import (
    Careful,
    Forest,
    Logistic,
    Order,
    Prior,
    Scorer,
    TLearner,
    Trees,
    TwoStage,
    Worth,
    XLearner,
)

from .shop import CROSSES, KINDS, OFFERS, showings

WHO = [
    {"orders_30d": 9, "spend_90d": 300.0, "redeemed": 1, "member": True, "age": "25-34", "share_dairy": 0.9},
    {"orders_30d": 0, "share_dairy": 0.1, "share_meat": 0.9},
    {},
]


@pytest.fixture(scope="module")
def taught() -> Callable[..., Scorer]:
    """Fits a kind of scorer to the shop's showings."""
    rows = showings()
    facts = [dict(row) for row in rows.select(*KINDS, "share_dairy", "share_meat").iter_rows(named=True)]
    schema = learn_schema(KINDS, facts, OFFERS, CROSSES)
    place = {offer.key: number for number, offer in enumerate(OFFERS)}
    X = paired_matrix(schema, facts, OFFERS, [place[key] for key in rows["content_key"]])
    y = rows["converted_at"].is_not_null().to_numpy().astype(np.int8)
    slates = np.arange(len(y)) // 6
    return lambda kind, **more: made(kind, schema, **more).fit(X, y, rows["content_key"].to_list(), groups=slates)


@pytest.fixture(scope="module")
def trees(taught) -> Trees:
    return taught(Trees)


@pytest.fixture(scope="module", params=[Trees, Forest, Logistic, Order, Careful])
def scorer(request, taught) -> Scorer:
    return taught(request.param)


@pytest.mark.parametrize("facts", WHO)
@pytest.mark.parametrize("offer", OFFERS[:3])
def test_base_and_shares_sum_to_the_log_odds_of_the_chance_given(scorer, facts, offer):
    told = contributions(scorer, facts, offer)
    assert told.score == scorer.score_contents(facts, [offer])[0]
    assert math.isclose(told.base + sum(factor.share for factor in told.factors), told.total, abs_tol=1e-6)
    assert math.isclose(1 / (1 + math.exp(-told.total)), told.score, abs_tol=1e-9)


@pytest.mark.parametrize("facts", WHO)
@pytest.mark.parametrize("offer", OFFERS[:3])
@pytest.mark.parametrize("kind", [Worth, TLearner, XLearner])
def test_shares_of_money_and_of_gains_sum_to_them_on_their_scale(taught, kind, facts, offer):
    scorer = taught(kind)
    told = contributions(scorer, facts, offer)
    assert told.scale == (LOG if kind is Worth else PLAIN)
    assert told.score == scorer.score_contents(facts, [offer])[0]
    assert math.isclose(told.base + sum(factor.share for factor in told.factors), told.total, abs_tol=1e-6)
    assert math.isclose(off(told.scale, told.total), told.score, rel_tol=1e-9, abs_tol=1e-12)
    own = kind is Worth or bool(scorer.parts(offer.key))
    assert bool(told.factors) == own


def test_some_gains_are_of_the_customer_and_some_of_everybody(taught):
    scorer = taught(TLearner)
    shares = {offer.key: contributions(scorer, WHO[0], offer).factors for offer in OFFERS}
    assert {bool(one) for one in shares.values()} == {True, False}


def test_a_product_of_two_models_has_no_shares(taught):
    told = contributions(taught(TwoStage), WHO[0], OFFERS[0])
    assert (told.factors, told.base) == ((), told.total)
    assert off(told.scale, told.total) == pytest.approx(told.score)


def test_the_base_is_the_same_for_everybody(scorer):
    """So shares hold all that tells customers apart, of every kind of scorer."""
    bases = {round(contributions(scorer, facts, OFFERS[0]).base, 6) for facts in WHO}
    assert len(bases) == 1
    assert contributions(scorer, WHO[0], OFFERS[0]).factors


def test_a_scorer_that_nothing_vouches_for_has_a_base_alone(taught):
    careful = taught(Careful)
    careful.weight_ = 0.0
    assert contributions(careful, WHO[0], OFFERS[0]).factors == ()


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
    assert (told.factors, told.base) == ((), logit(told.score))
