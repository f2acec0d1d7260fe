"""`manage.py learn <verb>`: what the worker runs in a process of its own, and a person may run by hand.

Verbs: `train` a scorer, `evaluate` it or a policy, `promote` one against the gate, `rollback` to the former one, let
one run as a `shadow`; `foretell` who leaves, who buys again and what they spend; `recall` learns candidate lists;
`compare` clusterings, `adopt` one of them, `cluster` (both at once), `watch` the active one.
"""

import sys
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from decisioning.config import clock
from decisioning.flows import cluster, evaluate, foretell, learn, promote, recall, shadow, spawning
from decisioning.learning.clustering import Options
from decisioning.learning.dataset import OBJECTIVES
from decisioning.learning.spending import Budget
from decisioning.models import Artefact
from decisioning.store import runs
from decisioning.tasks import refresh_everything

VERBS = (
    "train",
    "evaluate",
    "promote",
    "rollback",
    "shadow",
    "foretell",
    "recall",
    "cluster",
    "compare",
    "adopt",
    "watch",
)
TASKS = ("chance", "order", "value", "uplift")
TERMS = ("split", "placement", "baseline", "since", "objective", "task", "scorer")
ASKED = ("placement", "objective", "since", "until", "artefact", "policy", "draft")
SOON = 60  # seconds, after which the worker has taken in what was told
SEARCHED = ("facts", "algorithms", "scalings", "numbers")


def words(text: str) -> tuple[str, ...]:
    """A list with commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def moment(text: str) -> datetime:
    """A moment in ISO 8601; without a zone it is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in words(text))


class Command(BaseCommand):
    """Train a scorer or find clusters."""

    help = "Train a scorer on the ledger, or find clusters of customers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", choices=VERBS)
        parser.add_argument("number", nargs="?", type=int, help="the scorer to promote, or to run as a shadow")
        parser.add_argument("--split", type=moment, help="judge by what was shown from this moment on")
        parser.add_argument("--placement", help="judge by this placement alone")
        parser.add_argument("--objective", choices=OBJECTIVES, help="what to bring about; the placement's by default")
        parser.add_argument("--task", choices=TASKS, help="what the scores mean; chances by default")
        parser.add_argument("--scorer", help="which scorer learns it, by its name")
        parser.add_argument("--baseline", help="a fact whose AUC is told beside; the best constant by default")
        parser.add_argument("--since", type=moment, help="leave out what was shown before this moment")
        parser.add_argument("--tune", type=float, metavar="MINUTES", help="train: search settings for so long at most")
        parser.add_argument("--trials", type=int, help="train: search settings in so many trials at most")
        parser.add_argument("--memory", type=float, metavar="MB", help="train: let the search hold no more in memory")
        parser.add_argument("--until", type=moment, help="evaluate what was shown before this moment")
        parser.add_argument("--policy", help="evaluate: current, constant:CONTENT, or a file of chances")
        parser.add_argument("--draft", help="evaluate the rule of this key as it is now, published or not")
        parser.add_argument("--target", type=words, help="foretell: churn:30,repurchase:30,value:90 or some of them")
        parser.add_argument("--stop", action="store_true", help="shadow: let it run no longer")
        parser.add_argument("--why", default="by hand", help="train: what the list of trainings says it was for")
        parser.add_argument("--note", default="", help="why a scorer is promoted against the gate")
        parser.add_argument("--as-of", type=moment, help="train as if it were this moment")
        parser.add_argument("--facts", type=words, help="number facts to cluster on, with commas")
        parser.add_argument("--algorithms", type=words, help="some of the algorithms, with commas")
        parser.add_argument("--scalings", type=words, help="some of log, standard, quantile, raw, with commas")
        parser.add_argument("--numbers", type=whole_numbers, help="numbers of clusters to try, with commas")
        parser.add_argument("--artefact", type=int, help="the clustering to adopt, the scorer to evaluate")

    def handle(self, *args: Any, **options: Any) -> None:
        now = options["as_of"] or clock.now()
        try:
            self.stdout.write(getattr(self, options["verb"])(now, options))
        except runs.Busy as error:
            raise CommandError(str(error), returncode=spawning.OCCUPIED) from None
        except ValueError as error:
            raise CommandError(str(error)) from None

    def train(self, now: datetime, options: dict[str, Any]) -> str:
        terms = learn.Terms(**{word: options[word] for word in TERMS}, tune=budget(options))
        with runs.alone("train", options["why"]) as run:

            def progress(done: int, of: int, what: str) -> None:
                run.tell(done, of, what)
                self.progress(done, of, what)

            found = learn.train_scorer(now, terms, progress)
            run.made(found)
        return trained(found)

    def evaluate(self, now: datetime, options: dict[str, Any]) -> str:
        asked = evaluate.Asked(**{word: options[word] for word in ASKED})
        return evaluate.told(evaluate.evaluate(now, asked))

    def promote(self, now: datetime, options: dict[str, Any]) -> str:
        if options["number"] is None:
            raise ValueError("Which scorer? Say `learn promote NUMBER --note WHY`; `learn train` told the number.")
        if not options["note"] and shadow.shadows().filter(pk=options["number"]).exists():
            return f"{shadow.promote(options['number'])} is active."
        return f"{promote.promote(options['number'], options['note'])} is active."

    def rollback(self, now: datetime, options: dict[str, Any]) -> str:
        return f"{promote.rollback()} is active again."

    def shadow(self, now: datetime, options: dict[str, Any]) -> str:
        number = options["number"]
        if options["stop"]:
            if number is None:
                raise ValueError("Which shadow? Say `learn shadow NUMBER --stop`; `learn shadow` lists those that run.")
            return f"{shadow.end(number)} does not run as a shadow any more."
        if number is not None:
            return f"{shadow.begin(number, now)} runs as a shadow; `learn shadow` tells what it would have done."
        return seen(shadow.look(now))

    def foretell(self, now: datetime, options: dict[str, Any]) -> str:
        every = foretell.asked(options["target"] or settings.FORETOLD)
        with runs.alone("foretell", options["why"]) as run:

            def progress(done: int, of: int, what: str) -> None:
                run.tell(done, of, what)
                self.progress(done, of, what)

            lines = foretell.foretell(now, every, progress)
        if foretell.unknown():
            # A trait that nobody had before is a fact only once everybody's facts are computed with it.
            refresh_everything.apply_async(countdown=SOON)
            lines.append(f"Everybody's facts are computed anew in {SOON} seconds, and hold it then.")
        return "\n".join(lines)

    def recall(self, now: datetime, options: dict[str, Any]) -> str:
        return listed(recall.learn(now))

    def cluster(self, now: datetime, options: dict[str, Any]) -> str:
        return told(cluster.cluster(now, searched(options), self.progress))

    def compare(self, now: datetime, options: dict[str, Any]) -> str:
        return told(cluster.compare(now, searched(options), self.progress))

    def adopt(self, now: datetime, options: dict[str, Any]) -> str:
        if options["artefact"] is None:
            raise ValueError("Which clustering? Add --artefact with the number that `learn compare` told.")
        return told(cluster.adopt(options["artefact"], now))

    def watch(self, now: datetime, options: dict[str, Any]) -> str:
        report = cluster.watch(now)
        if report is None:
            raise ValueError("There is no active clustering to watch; run `manage.py learn cluster` first.")
        return f"{report['verdict']}: {'; '.join(report['reasons']) or 'as when it was fitted'}"

    def progress(self, done: int, of: int, what: str) -> None:
        """One line on the terminal, written over and over; silent for a worker."""
        if sys.stderr.isatty():
            self.stderr.write(f"\r{done}/{of} {what}".ljust(78), ending="\n" if done == of else "")


def budget(options: dict[str, Any]) -> Budget | None:
    """What a search of settings may use; nothing where none is asked for."""
    asked = {"minutes": options["tune"], "megabytes": options["memory"], "trials": options["trials"]}
    given = {name: value for name, value in asked.items() if value is not None}
    return Budget(**given) if given else None


def trained(found: Artefact) -> str:
    """The scorer's number, its figures, and what the gate said of it."""
    metrics = found.metrics
    judged = [figure_told(name, one) for name, one in metrics["backtest"]["figures"].items()]
    checks = [f"{'passed' if c['passed'] else 'FAILED':<8}{c['name']}: {c['words']}" for c in metrics["gate"]["checks"]]
    state = "active" if found.active else "not used"
    figures = {name: value for name, value in metrics.items() if not isinstance(value, dict)}
    told = "\n".join(f"{name:<16}{value}" for name, value in figures.items() if name != "refused")
    tuning = [f"{'tuning':<16}{metrics['tuning']['words']}"] if "tuning" in metrics else []
    return "\n".join([f"{found} ({state})", told, *judged, *tuning, *checks, metrics["gate"]["words"]])


def figure_told(name: str, one: dict[str, Any]) -> str:
    """A figure of the later part, with its interval, beside the best constant's."""
    beside = "" if one["baseline"] is None else f", the best constant choice {one['baseline']:.4f}"
    return f"{name:<16}{one['value']:.4f} [{one['low']:.4f}, {one['high']:.4f}]{beside}"


def seen(reports: list[dict[str, Any]]) -> str:
    """What each shadow would have done, and what the gate says of it."""
    told = [
        f"scorer {one['scorer']} beside scorer {one['beside']} on {one['decisions']:,} decisions since"
        f" {one['since'][:16]}: {one['the same']:,} of {one['first choices']:,} first choices are the same.\n"
        f"{one['gate']['words']}"
        for one in reports
    ]
    return "\n".join(told) or "No shadow runs, or nothing was decided since; begin one with `learn shadow NUMBER`."


def listed(found: Artefact) -> str:
    """What the candidate lists were learned from, and how much of what customers touched next each had found."""
    metrics, state = found.metrics, "active" if found.active else "not used"
    head = f"{'list':<10}{'covered':>9}{'of 20':>9}{'of 500':>9}"
    figures = [
        f"{name:<10}{one['covered']:>9.1%}{one['found among 20']:>9.1%}{one['found among 500']:>9.1%}"
        for name, one in metrics["lists"].items()
    ]
    return "\n".join(
        [
            f"{found} ({state}): {metrics['contents']:,} contents, {metrics['touches']:,} touches of"
            f" {metrics['customers']:,} customers",
            f"What {metrics['tested customers']:,} customers touched next, found beforehand:",
            *((head, *figures) if figures else ("nobody touched anything new yet",)),
            *([f"Not used: {metrics['refused']}."] if metrics.get("refused") else []),
        ]
    )


def searched(options: dict[str, Any]) -> Options:
    """The defaults, but for what was asked."""
    return Options(**{name: options[name] for name in SEARCHED if options[name]})


def told(found: Artefact) -> str:
    """What was found, a line a cluster."""
    metrics = found.metrics
    chosen, kept = metrics["chosen"], metrics["kept"]["labels"]
    lines = [
        f"{found} ({'active' if found.active else 'not used'}): {chosen['algorithm']} on the {chosen['scaling']} scale,"
        f" {chosen['setting']}, of {len(metrics['comparison'])} candidates for {metrics['customers']:,} customers",
        *([] if kept is None else [f"{kept:.0%} of the customers keep their cluster"]),
        *(f"{one['share']:5.0%}  {one['name']}: {one['story']}" for one in metrics["clusters"]),
    ]
    return "\n".join(lines)
