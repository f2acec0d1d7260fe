"""Comes in: nothing. Goes out: how well the redeeming of coupons of the demo's data is told, by the product's commands.

The public *Complete Journey* of a grocery chain, which `make demo` shows: learned from campaigns whose window closed
before August 2017, judged on every household of those that began from then on.
"""

from collections.abc import Iterator
from typing import Final

from tests.bench.system import system
from tests.learn.commands import Product
from tests.learn.figure import Figure
from tools.demo.showcase import TRAINING
from tools.dev.environment import clock_offset

LEAST_AUC, MOST_ERROR = 0.80, 0.03
LOAD: Final = """\
import django
django.setup()
from decisioning.config import clock
from decisioning.config.celery import app
from tools.demo import complete_journey, loading
app.conf.update(task_always_eager=True, task_eager_propagates=True)  # no worker runs here
loading.load_data(complete_journey.load(), clock.now())
"""


def coupons() -> Iterator[Figure]:
    """AUC beside previous redemptions alone, and the calibration error."""
    with system("learn-coupons") as servers:
        product = Product(servers, "coupons")
        # The data end with 2017; so does this product's clock.
        product.variables["DECISIONING_CLOCK_OFFSET"] = str(clock_offset(servers.place))
        product.run("-c", LOAD)
        words = [word for name, value in TRAINING.items() for word in (f"--{name}", value)]
        number, said, _ = product.train(*words)
        found = product.backtest(number)
        auc, error = found["AUC"], found["calibration error"]
        told = Figure("coupons AUC", auc["value"], auc["low"], auc["high"], f">= {LEAST_AUC}")
        yield told.judged(auc["value"] >= LEAST_AUC, said)
        gain = auc["gain"]
        yield Figure("coupons AUC gain over each coupon's rate", gain["value"], gain["low"], gain["high"])
        told = Figure("coupons calibration error", error["value"], error["low"], error["high"], f"<= {MOST_ERROR}")
        yield told.judged(error["value"] <= MOST_ERROR)
