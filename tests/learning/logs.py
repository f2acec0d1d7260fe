"""Dice in; a log of two kinds of customers and four contents with chances, another policy, and its true worth, out."""

import numpy as np

from decisioning.learning.expecting import expectation, expected_rewards, folds
from decisioning.learning.offpolicy import Log, Target

RATES = np.array([[0.05, 0.10, 0.20, 0.08], [0.15, 0.05, 0.08, 0.12]])
LOGGED = np.array([[0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25]])
TARGET = np.array([[0.1, 0.1, 0.7, 0.1], [0.6, 0.1, 0.1, 0.2]])
PLACES = (1, 2)


def worth_of(chances: np.ndarray) -> float:
    """What a policy is truly worth a decision: in the second place contents earn half."""
    return float(sum((RATES * chances).sum(axis=1).mean() / place for place in PLACES))


def log_of(decisions: int, seed: int) -> tuple[Log, Target]:
    """So many decisions for half as many customers, one content in each of two places."""
    rng = np.random.default_rng(seed)
    customers = rng.integers(0, decisions // 2, decisions)
    kind = customers % 2
    shown = [(rng.random(decisions)[:, None] > LOGGED[kind].cumsum(axis=1)).sum(axis=1).clip(0, 3) for _ in PLACES]
    rewards = [rng.random(decisions) < RATES[kind, a] / place for a, place in zip(shown, PLACES, strict=True)]
    keys, kinds, people = np.concatenate(shown), np.tile(kind, len(PLACES)), np.tile(customers, len(PLACES))
    places, reward = np.repeat(PLACES, decisions), np.concatenate(rewards).astype(np.float64)
    tables = expected_rewards(reward, keys, places, people)
    model = np.array([[[expectation(t, key, p) for key in range(4)] for p in PLACES] for t in tables])
    expected = model[folds(people), places - 1]
    rows = np.arange(len(keys))
    log = Log(reward, LOGGED[kinds, keys], rows % decisions, people, places, expected[rows, keys])
    return log, Target(TARGET[kinds, keys], (expected * TARGET[kinds]).sum(axis=1))
