"""The gate opens only when everything holds, and says in words what does not."""

from dataclasses import replace

import numpy as np
import pytest

from decisioning.learning.evaluation import Estimate
from decisioning.learning.fairness import audit
from decisioning.learning.gate import CHAMPION, CONSTANT, Evidence, Gain, Verdict, judge
from decisioning.learning.offpolicy import Target, worth

from .logs import log_of

CLEAR, ZERO = Estimate(0.05, 0.02, 0.08), Estimate(0.01, -0.01, 0.03)
GOOD = Evidence(
    trained=200,
    tested=100,
    compared=60,
    gains=(Gain("AUC", CONSTANT, CLEAR), Gain("AUC", CHAMPION, CLEAR), Gain("log loss", CONSTANT, CLEAR)),
    worths=((CONSTANT, worth(*log_of(4000, 1), np.random.default_rng(0))),),
    calibration=(0.02, 0.01, 0.3),
    milliseconds=0.4,
)


def failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if not check.passed]


def test_a_challenger_that_holds_everything_is_promoted() -> None:
    verdict = judge(GOOD)
    assert verdict.promoted
    assert failed(verdict) == []
    assert verdict.words == f"promote: all {len(verdict.checks)} checks hold"


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        (
            {"trained": 20},
            "outcomes learned from",
            "not enough data: 20 outcomes learned from, about 10 more are needed",
        ),
        ({"tested": 4}, "outcomes judged by", "not enough data: 4 outcomes judged by"),
        ({"compared": 0}, "outcomes since the champion was trained", "about 30 more are needed"),
        ({"gains": (Gain("AUC", CONSTANT, ZERO),)}, "AUC against the best constant choice", "does not exclude zero"),
        ({"gains": (Gain("AUC", CHAMPION, ZERO),)}, "AUC against the champion", "over the champion, which does not"),
        ({"calibration": (0.12, 0.01, 0.3)}, "calibration", "calibration error 0.1200, at most 0.1100"),
        ({"calibration": (0.02, 0.0, 0.03)}, "calibration", "at most 0.0100"),
        ({"calibration": (0.02, 0.0, 0.97)}, "calibration", "at most 0.0100"),
        ({"milliseconds": 12.5}, "latency", "12.50 ms a decision, at most 10"),
    ],
)
def test_each_thing_that_fails_keeps_what_is_used(change: dict[str, object], name: str, words: str) -> None:
    verdict = judge(replace(GOOD, **change))
    assert not verdict.promoted
    assert failed(verdict) == [name]
    assert words in verdict.words
    assert verdict.words.startswith("keep the champion: ")


def test_without_a_champion_the_best_constant_choice_is_kept() -> None:
    alone = replace(GOOD, compared=None, gains=(Gain("AUC", CONSTANT, ZERO),), worths=())
    assert judge(alone).words == (
        "keep the best constant choice: AUC gains 0.0100 [-0.0100, 0.0300] over the best constant choice,"
        " which does not exclude zero"
    )


def test_a_gain_by_the_log_that_cannot_be_told_is_none() -> None:
    thin = worth(*log_of(60, 2), np.random.default_rng(0))
    verdict = judge(replace(GOOD, worths=((CONSTANT, thin),)))
    assert failed(verdict) == ["value by the log against the best constant choice"]
    assert "more decisions needed" in verdict.words


def test_a_policy_that_earns_no_more_by_the_log_is_not_promoted() -> None:
    log, _ = log_of(4000, 1)
    same = worth(log, Target(log.chances, log.expected), np.random.default_rng(0))
    assert "which does not exclude zero" in judge(replace(GOOD, worths=((CONSTANT, same),))).words


@pytest.mark.parametrize(("tilt", "passes"), [(0.0, True), (0.6, False)])
def test_groups_must_fare_alike(tilt: float, passes: bool) -> None:
    rng = np.random.default_rng(5)
    women = rng.random(2000) < 0.5
    scores, y = rng.random(2000) + tilt * women, rng.random(2000) < 0.3
    names = np.where(women, "women", "men").tolist()
    found = audit("gender", names, scores, y, np.arange(2000), rng)
    verdict = judge(replace(GOOD, audits=(found,)))
    assert verdict.promoted is passes
    if not passes:
        assert failed(verdict) == ["disparate impact by gender", "equal opportunity by gender"]


def test_the_verdict_can_be_kept_and_read() -> None:
    verdict = judge(replace(GOOD, tested=4))
    assert verdict.to_dict()["checks"][1]["figure"] == 4
    assert "FAILED  outcomes judged by" in verdict.table()
