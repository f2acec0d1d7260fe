"""A scorer, a policy or a rule's draft in; what it is worth by the ledger, in words and figures, out."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from ..learning import dataset
from ..learning.bench import Bench, Question, constants_of, of_contents, seen_of
from ..learning.drift import moved
from ..learning.evaluation import Estimate
from ..learning.examining import AUC, CALIBRATION, LOG_LOSS, MRR, NDCG, SQUARED, Figure, figures
from ..learning.gate import CONSTANT
from ..learning.offpolicy import Worth
from ..learning.scorer import Scorer
from ..models import Artefact
from ..store import artefacts
from . import learn, reconsider
from .showings import ingredients
from .suppose import LOGGED, MOST, Span, Supposed, supposed

CURRENT: Final = "current"
FIXED: Final = "constant:"
SHORT: Final = {
    AUC: "auc",
    LOG_LOSS: "log_loss",
    CALIBRATION: "ece",
    SQUARED: "squared_error",
    NDCG: "ndcg@10",
    MRR: "mrr",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be judged: a `policy`, the `draft` of a rule, or (without both) a scorer, usually the one in use.

    `most` decisions are looked at; of more, a sample.
    """

    placement: str | None = None
    objective: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    artefact: int | None = None
    policy: str | None = None
    draft: str | None = None
    most: int = MOST


@dataclass(frozen=True, slots=True)
class Line:
    """One figure; `low` and `high` are the ends of its 95 % interval, `baseline` is what it is beside."""

    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    baseline: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was judged, by what, all figures, and what one should know when reading them."""

    name: str
    title: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        figures = [{name: getattr(line, name) for name in Line.__slots__} for line in self.lines]
        return {"name": self.name, "title": self.title, "figures": figures, "notes": list(self.notes)}


def evaluate(now: datetime, asked: Asked) -> Evaluation:
    """Judge what is asked for. Raises ValueError, with the cure, for what there is not, and where nothing is known."""
    if asked.draft is not None:
        return _draft(now, asked, asked.draft)
    if asked.policy is not None:
        return _of_supposed(f"policy {asked.policy}", supposed(now, span_of(asked), policy_of(now, asked.policy)))
    return _scorer(now, asked)


def span_of(asked: Asked) -> Span:
    """Which decisions, and by what they are judged."""
    objective = learn.objective_of(learn.Terms(placement=asked.placement, objective=asked.objective))
    return Span(objective, asked.placement, asked.since, asked.until, asked.most)


def policy_of(now: datetime, name: str) -> reconsider.Policy:
    """A policy by what it is called on the command line."""
    if name == CURRENT:
        return reconsider.by_rules(now)
    if name.startswith(FIXED):
        return reconsider.always(name.removeprefix(FIXED))
    return reconsider.from_file(Path(name))


def _draft(now: datetime, asked: Asked, rule: str) -> Evaluation:
    current, draft = reconsider.by_rules(now), reconsider.by_rules(now, rule)
    return _of_supposed(f"draft {rule}", supposed(now, span_of(asked), draft, current))


def _of_supposed(name: str, found: Supposed) -> Evaluation:
    first = found.worths[LOGGED]
    span = f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M}"
    sample = ", an even sample of more" if found.sampled else ""
    title = f"{name} on {found.decisions:,} decisions of {span}{sample}"
    return Evaluation(name, title, tuple(worth_lines(found.worths)), notes_of(first))


def worth_lines(worths: Mapping[str, Worth]) -> Iterable[Line]:
    """What a policy would have earned a decision, by each estimator, and its gain over each that it is held against."""
    one = next(iter(worths.values()))
    for metric, found in (("ips", one.ips), ("snips", one.snips), ("dr", one.dr)):
        if found is not None:
            yield line(metric, found, one.logged.value)
    yield line("logged", one.logged)
    for over, each in worths.items():
        yield line(f"gain over {over}", each.gain, 0.0)
    yield Line("decisions", one.decisions)
    yield Line("effective rows", round(one.effective, 1), baseline=one.rows)
    yield line("mean weight", one.mean_weight, 1.0)
    yield Line("largest weight", round(one.largest, 3), baseline=one.clip)
    yield Line("share clipped", one.clipped)
    yield Line("more decisions needed", one.needed)


def notes_of(found: Worth) -> tuple[str, ...]:
    """What is wrong with the figures, and how they are meant."""
    meant = f"earnings a decision; gains by {found.by}; weights clipped at {found.clip:g}; places count independently"
    return (found.problem, meant) if found.problem else (meant,)


def line(metric: str, found: Estimate, baseline: float | None = None) -> Line:
    """An estimate as a line."""
    return Line(metric, found.value, found.low, found.high, baseline)


def _scorer(now: datetime, asked: Asked) -> Evaluation:
    artefact, scorer = _chosen(asked.artefact)
    span = span_of(asked)
    since, until = asked.since or artefact.until or artefact.trained_at, asked.until or now
    known = learn.usable(now)
    parts, judged = ingredients(known), learn.of_placement(known, asked.placement)
    rows = dataset.closed(judged.filter(pl.col("shown_at") < until), now, since, span.objective)
    if rows.is_empty():
        newest = str(judged["shown_at"].max())[:16]
        raise ValueError(
            f"Nothing that {artefact} has not learned from was shown and has closed since {since:%Y-%m-%d %H:%M} (the "
            f"newest showing is of {newest}); name another moment with --since."
        )
    bench = Bench(known, rows, parts, Question(since, now, span.objective, type(scorer)))
    tested, scores = bench.scored(scorer)
    before = dataset.closed(judged, since, None, span.objective)
    constants = constants_of(before, span.objective) if before.height else {"": scorer.rate_, **scorer.priors}
    rng = np.random.default_rng(0)
    found = figures(seen_of(tested), scores, of_contents(constants, tested.contents), scorer.task, rng)
    worths = dict(bench.worths(scorer, tested, {CONSTANT: constants}, rng))
    notes = next((notes_of(each) for each in worths.values()), ())
    if artefact.until and since < artefact.until:
        seen = int((tested.at < int(artefact.until.timestamp() * 1e6)).sum())
        notes = (f"{seen:,} of these showings taught it, and flatter it: name a later --since, or none", *notes)
    title = (
        f"{artefact} on {len(tested):,} showings from {since:%Y-%m-%d %H:%M} on, beside each content's rate until then"
    )
    lines = (
        *figure_lines(found),
        *(worth_lines(worths) if worths else ()),
        *_moved(before, tested, bench, scorer, scores),
    )
    return Evaluation(f"scorer {artefact.pk}", title, lines, notes)


def _chosen(number: int | None) -> tuple[Artefact, Scorer]:
    found = (
        artefacts.active(Artefact.Kind.SCORER)
        if number is None
        else Artefact.objects.filter(pk=number, kind=Artefact.Kind.SCORER).first()
    )
    if found is None:
        missing = "No scorer is in use" if number is None else f"There is no scorer {number}"
        raise ValueError(f"{missing}; train one with `manage.py learn train`, or name one with --artefact.")
    return found, Scorer.from_artefact(artefacts.read(found))


def figure_lines(found: Iterable[Figure]) -> Iterable[Line]:
    """Each figure beside the baseline's, and the gain over it."""
    for figure in found:
        yield line(SHORT[figure.metric], figure.value, figure.baseline)
        if figure.gain is not None:
            yield line(f"{SHORT[figure.metric]} gain", figure.gain, 0.0)


def _moved(before: pl.DataFrame, tested: Any, bench: Bench, scorer: Scorer, scores: Any) -> Iterable[Line]:
    """How far the scores have drifted from those of the rows that were there before."""
    if before.height:
        _, then = bench.scored(scorer, before)
        yield Line("psi of scores", moved("scores", then, scores).psi, baseline=0.1)


def told(found: Evaluation) -> str:
    """A table for people, and then a JSON line a figure."""
    rows = [("", "value", "low", "high", "beside")]
    rows += [
        (one.metric, _short(one.value), _short(one.low), _short(one.high), _short(one.baseline)) for one in found.lines
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines = [
        json.dumps({"learn": found.name, **{name: getattr(one, name) for name in Line.__slots__}})
        for one in found.lines
    ]
    return "\n".join([found.title, *table, *found.notes, *lines])


def _short(figure: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:,.0f}" if figure == int(figure) and abs(figure) >= 10 else f"{figure:.4f}"
