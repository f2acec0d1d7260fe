"""Comes in: a file of real data. Goes out: what the product's own commands make of it, on servers of their own.

Nothing here knows the product from inside: files are imported, scorers trained and evaluated as anybody would.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.bench.system import System, system
from tests.learn.figure import Figure
from tools.devstack.places import REPOSITORY

MAPPING: Final = """\
[file]
loose = "history_segment"

[fields]
at = { constant = "2008-03-20" }
placement = { constant = "email" }
policy = { constant = "random" }
propensity = { constant = 0.333333333 }
content = "segment"
outcome.click = "visit"
outcome.conversion = "conversion"
value = "spend"
facts.recency = "recency"
facts.history_segment = "history_segment"
facts.history = "history"
facts.mens = "mens"
facts.womens = "womens"
facts.zip_code = "zip_code"
facts.newbie = "newbie"
facts.channel = "channel"
"""
KEPT: Final = "keep the best constant choice"
OUTCOMES: Final = ("click", "conversion", "value")
SPLITS: Final = 20
SPLIT_BY: Final = ("trees", "logistic", "uplift-t")


class Product:
    """`manage.py` on an empty database."""

    def __init__(self, servers: System, name: str) -> None:
        self.variables = servers.variables(servers.database(name))
        self.variables["ARCHIVE_URL"] = str(servers.place.folder / "archive")
        self.manage("migrate", "--verbosity", "0")

    def manage(self, *words: str) -> str:
        """What it says; `RuntimeError` with its last words where it fails."""
        return self.run("manage.py", *words)

    def run(self, *words: str) -> str:
        """The same of anything that Python runs."""
        together = os.environ | self.variables
        command = [sys.executable, *words]
        done = subprocess.run(command, cwd=REPOSITORY, env=together, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
        return done.stdout

    def train(self, *words: str) -> tuple[int, str, str]:
        """The scorer's number, what the gate said, and the moment it was judged from."""
        told = self.manage("learn", "train", *words)
        number = re.search(r"^scorer (\d+)", told, re.MULTILINE)
        split = re.search(r"^split\s+(\S+)", told, re.MULTILINE)
        assert number and split, told
        return int(number[1]), told.strip().splitlines()[-1], split[1]

    def backtest(self, number: int) -> dict[str, Any]:
        """The figures that the scorer was judged by: of one that had learned what came before the split alone."""
        code = (
            "import json; from decisioning.models import Artefact; "
            f"print(json.dumps(Artefact.objects.get(pk={number}).metrics['backtest']['figures']))"
        )
        found: dict[str, Any] = json.loads(self.manage("shell", "--verbosity", "0", "-c", code).splitlines()[-1])
        return found


def ranklens(path: Path) -> Iterator[Figure]:
    """Rankings of films in Metarank's format, trained as it comes and judged on the latest fifth by time."""
    with system("learn-films") as servers:
        product = Product(servers, "films")
        product.manage("import", "metarank", str(path.resolve()), "--placement", "films")
        number, said, _ = product.train("--placement", "films")
        for name, one in product.backtest(number).items():
            figure = Figure(f"RankLens {name}", one["value"], one["low"], one["high"])
            words = f"each film's rate {one['baseline']:.4f}"
            if name != "nDCG@10":
                yield Figure(figure.name, figure.value, figure.low, figure.high, words=words)
                continue
            wanted = Figure(figure.name, figure.value, figure.low, figure.high, ">= 0.605")
            yield wanted.judged(one["value"] >= 0.605, words)
            gain = one["gain"]
            over = Figure(f"RankLens {name} gain", gain["value"], gain["low"], gain["high"], "above 0")
            yield over.judged(gain["low"] > 0, said)


def hillstrom(path: Path) -> Iterator[Figure]:
    """One of three e-mails at random, everything at one moment: the gate by each outcome."""
    with system("learn-mail") as servers:
        product = Product(servers, "mail")
        mapping = servers.place.folder / "mail.toml"
        mapping.write_text(MAPPING)
        product.manage("import", "decisions", str(path.resolve()), "--mapping", str(mapping))
        for objective in OUTCOMES:
            task = ("--task", "value") if objective == "value" else ()
            _, said, _ = product.train("--placement", "email", "--objective", objective, *task)
            yield Figure(f"Hillstrom {objective}", wanted=KEPT).judged(said.startswith(KEPT), said[:160])
        yield from _splits(product)


def _splits(product: Product) -> Iterator[Figure]:
    """Learned and let through on one random half, judged on the other."""
    told = product.run("-m", "tests.learn.splits", "email", "click", str(SPLITS), *SPLIT_BY)
    rows = [json.loads(line) for line in told.splitlines()]
    for scorer in SPLIT_BY:
        through = [row for row in rows if row["scorer"] == scorer and row["promoted"]]
        lost = sum(row["gain"] < 0 for row in through)
        words = f"of {SPLITS} random halves; let through: {len(through)}"
        yield Figure(f"Hillstrom {scorer}: let through and lost", lost, wanted="0").judged(lost == 0, words)
