"""Baselines first: all facts are taken where they surely tell more, and nobody is judged by what taught."""

import numpy as np
import polars as pl
import pytest

from decisioning.learning.foretelling import SIMPLE, WHOLE, Rows, foretold, matrix
from decisioning.learning.gate import judge
from decisioning.learning.scorer import Scorer
from decisioning.learning.targets import TARGETS

KINDS = {"rfm_score": "number", "visits_30d": "number", "city": "category"}
CITIES = np.array(["Bonn", "Ulm", None])


def people(chance, seed: int = 1, n: int = 500, moments: int = 4, money: bool = False) -> Rows:
    """So many customers at each moment; `chance` of (score, visits) in z units."""
    dice = np.random.default_rng(seed)
    score, visits = dice.normal(size=(2, n * moments))
    happens = dice.random(n * moments) < 1 / (1 + np.exp(-chance(score, visits)))
    y = np.where(happens, dice.gamma(2.0, 10.0, n * moments), 0.0) if money else happens.astype(float)
    frame = pl.DataFrame(
        {"rfm_score": 8 + 2 * score, "visits_30d": visits, "city": CITIES[dice.integers(0, 3, n * moments)].tolist()},
        schema_overrides={"city": pl.String},
    )
    return Rows(frame, y, np.tile(np.arange(n), moments), np.repeat(np.arange(1, moments + 1), n))


def by_score(score, visits):
    return 1.2 * score


def by_both(score, visits):
    return score + 2.0 * visits


@pytest.mark.parametrize("name", TARGETS)
def test_recency_frequency_and_money_are_enough_where_nothing_else_tells(name):
    found = foretold(TARGETS[name], people(by_score, money=name == "value"), KINDS)
    assert found.chosen.startswith(SIMPLE) and found.against == ()
    assert judge(found.evidence(1.0)).promoted
    assert found.scorer.schema.names == ("rfm_score",)


@pytest.mark.parametrize("name", TARGETS)
def test_all_facts_are_taken_where_they_surely_tell_more(name):
    found = foretold(TARGETS[name], people(by_both, money=name == "value"), KINDS)
    assert found.chosen.startswith(WHOLE)
    deciding = found.against[0]
    assert deciding.gain.low > 0
    assert found.caught[0] > found.caught[1]
    assert judge(found.evidence(1.0)).promoted


def test_what_nothing_tells_is_refused_by_the_gate():
    found = foretold(TARGETS["churn"], people(lambda score, visits: -1.0 + 0 * score), KINDS)
    verdict = judge(found.evidence(1.0))
    assert not verdict.promoted and "keep the best constant choice" in verdict.words


def test_what_came_true_last_has_no_say_in_what_is_chosen():
    rows = people(by_score)
    turned = Rows(rows.frame, np.where(rows.at == 4, 1 - rows.y, rows.y), rows.customers, rows.at)
    before, after = (foretold(TARGETS["repurchase"], each, KINDS) for each in (rows, turned))
    assert before.chosen == after.chosen
    assert before.figures[0].value.value > 0.6 > 0.4 > after.figures[0].value.value


def test_the_scorer_that_is_kept_has_learned_from_all_and_survives_its_artefact():
    rows = people(by_both)
    one, other = (foretold(TARGETS["churn"], rows, KINDS).scorer for _ in range(2))
    assert one.to_artefact() == other.to_artefact()
    again = Scorer.from_artefact(one.to_artefact())
    X = matrix(one.schema, rows)
    assert (again.score(X, one.schema.hash, ("",)) == one.score(X, one.schema.hash, ("",))).all()


def test_too_little_is_told_with_what_is_missing():
    with pytest.raises(ValueError, match=r"not enough data: .* to judge by for churn; about .* more are needed"):
        foretold(TARGETS["churn"], people(lambda score, visits: -3.0 + 0 * score, n=300), KINDS)


def test_without_scores_of_recency_everything_is_a_constant_or_all_facts():
    found = foretold(TARGETS["churn"], people(by_both), {"visits_30d": "number"})
    assert found.chosen.startswith(WHOLE)


def test_two_moments_are_enough():
    assert foretold(TARGETS["churn"], people(by_score, moments=2), KINDS).taught.rows == 500
