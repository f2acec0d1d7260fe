"""Comes in: nothing. Goes out: whether off-policy figures from a random log contain what another policy really earned.

And whether a policy that was trained by twenty clicks of that log is refused for lack of data.

The Open Bandit data (Saito et al. 2021) that the package `obp` brings along: 10,000 rows each of a uniformly random
policy and of Bernoulli Thompson sampling (BTS), for three campaigns of a fashion shop. The chances of BTS are computed
from its published priors, as the authors do: the share of draws in which an item comes at each of the three places.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import yaml

from decisioning.learning.expecting import expectation, expected_rewards, folds
from decisioning.learning.offpolicy import Log, Target, Worth, worth
from decisioning.learning.resampling import Floats
from tests.bench.system import system
from tests.learn.commands import Product
from tests.learn.figure import Figure

CAMPAIGNS: Final = ("all", "men", "women")
PLACES: Final = 3
DRAWS, ROUNDS = 10_000, 10
SEED: Final = 1
CLICKS: Final = 20
REFUSED: Final = "refused for lack of data"
COLUMNS: Final = (
    "timestamp",
    "item_id",
    "position",
    "click",
    "propensity_score",
    *(f"user_feature_{n}" for n in range(4)),
)
MAPPING: Final = """\
[fields]
at = "timestamp"
placement = { constant = "fashion" }
policy = { constant = "random" }
propensity = "propensity_score"
content = "item_id"
rank = "position"
outcome.click = "click"
facts.user_feature_0 = "user_feature_0"
facts.user_feature_1 = "user_feature_1"
facts.user_feature_2 = "user_feature_2"
facts.user_feature_3 = "user_feature_3"
"""
MISSING: Final = "install obp without its dependencies (uv pip install --no-deps obp) to measure Open Bandit data"


def openbandit() -> Iterator[Figure]:
    """IPS, SNIPS and DR of BTS from the random log, beside what BTS earned in its own; skipped without the data."""
    found = find_spec("obp")
    if found is None or found.origin is None:
        yield Figure("Open Bandit", words=MISSING)
        return
    folder = Path(found.origin).parent
    yield few(read(folder / "dataset/obd/random/all/all.csv"))
    priors = yaml.safe_load(folder.joinpath("policy/conf/prior_bts.yaml").read_text())
    for campaign in CAMPAIGNS:
        logs = folder / "dataset/obd"
        earned = float(read(logs / f"bts/{campaign}/{campaign}.csv")["click"].mean())  # type: ignore[arg-type]
        judged = judged_by(read(logs / f"random/{campaign}/{campaign}.csv"), chances_of(priors[campaign]))
        for name in ("ips", "snips", "dr"):
            one = getattr(judged, name)
            words = f"BTS earned {earned:.5f}; effective rows {judged.effective:,.0f}"
            figure = Figure(f"Open Bandit {campaign} {name}", one.value, one.low, one.high, "contains the truth")
            yield figure.judged(one.low <= earned <= one.high, words)


def few(log: pl.DataFrame) -> Figure:
    """What the gate says of a policy that was trained by the random log up to its twentieth click."""
    ordered = log.sort("timestamp")
    until = ordered.with_row_index().filter(pl.col("click") == 1)["index"][CLICKS - 1]
    with system("learn-fashion") as servers:
        product = Product(servers, "fashion")
        rows, mapping = servers.place.folder / "fashion.csv", servers.place.folder / "fashion.toml"
        ordered.head(until + 1).select(*COLUMNS).write_csv(rows)
        mapping.write_text(MAPPING)
        product.manage("import", "decisions", str(rows), "--mapping", str(mapping))
        _, said, _ = product.train("--placement", "fashion", "--objective", "click")
    refused = "not enough data" in said and "more are needed" in said
    return Figure(f"Open Bandit, {CLICKS} clicks", wanted=REFUSED).judged(refused, said[:160])


def read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path)


def chances_of(prior: dict[str, Any]) -> Floats:
    """(items, places) how often BTS puts each item at each place."""
    rng = np.random.default_rng(SEED)
    alpha, beta = np.array(prior["alpha"]), np.array(prior["beta"])
    found = np.zeros((len(alpha), PLACES))
    for _ in range(ROUNDS):
        best = np.argsort(-rng.beta(alpha, beta, (DRAWS, len(alpha))), axis=1)[:, :PLACES]
        for place in range(PLACES):
            found[:, place] += np.bincount(best[:, place], minlength=len(alpha))
    return found / (DRAWS * ROUNDS)


def judged_by(log: pl.DataFrame, chances: Floats) -> Worth:
    """What a policy of these chances would have earned, by a random log; every row is a customer of its own."""
    items, at = (log[name].to_numpy().astype(np.int64) for name in ("item_id", "position"))
    at = at - at.min() + 1
    rewards, shown = (log[name].to_numpy().astype(np.float64) for name in ("click", "propensity_score"))
    rows = np.arange(len(rewards), dtype=np.int64)
    tables = expected_rewards(rewards, items, at, rows)
    places = range(1, PLACES + 1)
    every = np.array([[[expectation(t, k, p) for k in range(len(chances))] for p in places] for t in tables])
    fold = folds(rows)
    by_policy = (every[fold, at - 1] * chances.T[at - 1]).sum(axis=1)
    told = Log(rewards, shown, rows, rows, at, every[fold, at - 1, items])
    return worth(told, Target(chances[items, at - 1], by_policy), np.random.default_rng(0))
