"""Every policy of the table keeps the same promises; each keeps those of its own source."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from campaigns.models import Placement
from decisioning.engine.dice import Dice
from decisioning.engine.policies import BANDIT, POLICIES, POSTERIORS, Contest
from decisioning.engine.ranking import Field, order, pick

KEYS = ("a", "b", "c", "d")
# The 0.9999 quantile of chi-square with 3 degrees of freedom; the dice are fixed, so it holds always or never.
LARGEST = 21.1
BELIEFS = {
    POSTERIORS: ((30.0, 70.0), (28.0, 72.0), (2.0, 8.0), (1.0, 19.0)),
    BANDIT: ((0.3, 0.05), (0.25, 0.1), (0.1, 0.2), (0.0, 0.1)),
    "": (),
}


def contest(name: str, request: int, **more: object) -> Contest:
    values = {
        "utilities": (0.4, 0.3, 0.2, 0.1),
        "scale": 0.4,
        "temperature": 0.5,
        "beliefs": BELIEFS[POLICIES[name].reads],
    }
    more = {**values, "factors": (1.0, 1.0, 1.5, 2.0), "penalties": (0.0,) * 4, **more}
    return Contest(1, KEYS, dice=Dice(f"request {request}"), **more)


@pytest.mark.parametrize("name", POLICIES)
def test_chances_sum_to_one_and_the_same_request_gets_the_same_draw(name: str):
    one = POLICIES[name].choose(contest(name, 1))
    assert sum(one.chances) == pytest.approx(1.0)
    assert len(one.chances) == 4
    assert all(0 <= chance <= 1 for chance in one.chances)
    assert POLICIES[name].choose(contest(name, 1)) == one


@pytest.mark.parametrize("name", POLICIES)
def test_a_single_content_is_certain(name: str):
    values = {"beliefs": BELIEFS[POLICIES[name].reads][:1], "factors": (1.0,), "penalties": (0.0,)}
    alone = Contest(1, KEYS[:1], (0.4,), Dice("x"), **values)
    assert POLICIES[name].choose(alone).chances[0] == pytest.approx(1.0)


@pytest.mark.parametrize(("name", "draws"), [("softmax", 8000), ("thompson", 3000), ("linear-thompson", 3000)])
def test_draws_agree_with_the_chances_by_chi_square(name: str, draws: int):
    policy = POLICIES[name]
    seen = Counter(policy.choose(contest(name, request)).place for request in range(draws))
    chances = np.array(policy.choose(contest(name, 1)).chances)
    counts = np.array([seen[place] for place in range(4)])
    # Chances counted in 1,000 draws of their own are as uncertain as that many draws.
    noise = 1.0 if not policy.choose(contest(name, 1)).estimated else 1.0 + draws / 1000
    assert (((counts - draws * chances) ** 2) / (draws * chances)).sum() / noise < LARGEST


def test_the_table_is_what_a_placement_may_choose():
    assert dict(Placement.Policy.choices) == {name: policy.label for name, policy in POLICIES.items()}


def test_softmax_is_exact_and_colder_is_greedier():
    chances = POLICIES["softmax"].choose(contest("softmax", 1)).chances
    weights = np.exp(np.array([0.4, 0.3, 0.2, 0.1]) / 0.4 / 0.5)
    assert chances == pytest.approx((weights / weights.sum()).tolist())
    cold = POLICIES["softmax"].choose(contest("softmax", 1, temperature=0.001)).chances
    assert cold[0] == pytest.approx(1.0)


def test_rankings_by_softmax_have_the_plackett_luce_distribution():
    scores, draws = {"a": 0.4, "b": 0.3, "c": 0.2}, 100_000
    weights = {key: np.exp(score / 0.4) for key, score in scores.items()}
    # Gumbel-top-k for all draws at once, by the dice that a slot uses; the order of the greatest k is the ranking.
    noise = Dice("many").gumbels("gumbel-1", 3 * draws).reshape(draws, 3)
    ranked = np.argsort(-(np.array(list(scores.values())) / 0.4 + noise), axis=1)
    seen = Counter(map(tuple, ranked.tolist()))
    chi = 0.0
    for places in permutations(range(3)):
        left, chance = list("abc"), 1.0
        for place in places:
            chance *= weights["abc"[place]] / sum(weights[key] for key in left)
            left.remove("abc"[place])
        chi += (seen[places] - draws * chance) ** 2 / (draws * chance)
    assert chi < 25.8  # the 0.9999 quantile with 5 degrees of freedom


def test_the_slots_of_one_request_multiply_to_plackett_luce():
    scores, rankings, said = {"a": 0.4, "b": 0.3, "c": 0.2}, Counter(), {}
    for request in range(2000):
        field = Field(scores, Dice(f"r{request}"), POLICIES["softmax"], temperature=1.0)
        picks, _ = pick(order(scores, scores, frozenset()), frozenset(), {}, 3, field)
        ranking = tuple(choice.key for choice in picks)
        rankings[ranking] += 1
        said[ranking] = np.prod([choice.propensity for choice in picks])
    assert sum(said.values()) == pytest.approx(1.0)
    assert sum((rankings[r] - 2000 * p) ** 2 / (2000 * p) for r, p in said.items()) < 25.8


def test_thompson_sampling_finds_the_chance_of_being_the_best():
    many = Dice("test").generator("x").beta(*np.array(BELIEFS[POSTERIORS]).T, (100_000, 4)) * [1.0, 1.0, 1.5, 2.0]
    truth = np.bincount(many.argmax(axis=1), minlength=4) / 100_000
    chances = POLICIES["thompson"].choose(contest("thompson", 1)).chances
    assert chances == pytest.approx(truth.tolist(), abs=0.06)  # four standard errors of 1,000 draws


def test_linucb_takes_the_upper_bound_and_believes_the_means_at_width_0():
    equal = {"factors": (1.0,) * 4}
    assert POLICIES["linucb"].choose(contest("linucb", 1, width=3.0, **equal)).place == 2
    assert POLICIES["linucb"].choose(contest("linucb", 1, width=0.0, **equal)).place == 0
