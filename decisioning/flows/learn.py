"""The ledger in; scorers, kept as signed artefacts and put to work where the gate lets them, out."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import msgspec
import polars as pl
from django.conf import settings

from campaigns.models import Content, Placement

from ..learning import dataset
from ..learning.bench import Champion, Question
from ..learning.card import card
from ..learning.choosing import chosen_kind
from ..learning.contest import Contest, contest
from ..learning.evaluation import auc
from ..learning.examining import AUC, Figure
from ..learning.family import CHANCE, ORDER, UPLIFT, VALUE
from ..learning.gate import Verdict, judge
from ..learning.scorer import Scorer, Trees
from ..learning.spending import Budget
from ..learning.splitting import split_of
from ..learning.training import Ingredients, column_of, train
from ..learning.treating import facts_in
from ..learning.verifying import golden
from ..models import Artefact
from ..store import artefacts
from .showings import ingredients, showings
from .tune import tuned_for

log = logging.getLogger(__name__)

GOLDEN_ROWS, GOLDEN_CONTENTS = 8, 30
STEPS: Final = 5
Progress = Callable[[int, int, str], None]
# Which scorer learns a task where nobody names one; the first there is.
USUAL: Final = {CHANCE: ("trees",), ORDER: ("order",), VALUE: ("worth",), UPLIFT: ("uplift",)}


def quiet(done: int, of: int, what: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a scorer learns, and how it is judged: on showings from `split` on, of one `placement` only.

    Without a split it is the moment before which four fifths were shown. `since` leaves out what was shown before the
    log began. `objective` is "click", "conversion" or "value"; without one it is the placement's. `task` and `scorer`
    choose what learns it (see `kind_of`; without either, `choosing` does).
    `baseline` is a fact whose AUC is told beside; else, the best constant's is. With `tune` the scorer's settings are
    searched for before, within that budget.
    """

    split: datetime | None = None
    placement: str | None = None
    baseline: str | None = None
    since: datetime | None = None
    objective: str | None = None
    task: str | None = None
    scorer: str | None = None
    tune: Budget | None = None


def train_scorer(now: datetime, terms: Terms, progress: Progress = quiet) -> Artefact:
    """Train on everything known by `now`, judge it by the terms, keep it, and activate it if the gate lets it.

    `progress` is told what is being done. Raises ValueError when the ledger holds nothing to learn from, or the terms
    name what there is not.
    """
    progress(0, STEPS, "reading the ledger")
    known = usable(now)
    parts, judged = ingredients(known), of_placement(known, terms.placement)
    progress(1, STEPS, "choosing what learns it")
    question = _asked(now, terms, known, judged, parts)
    question, tuning = tuned_for(question, terms.tune, known, judged, parts, partial(progress, 1, STEPS))
    kind, objective = question.kind, question.objective
    champion = artefacts.active(Artefact.Kind.SCORER)
    progress(2, STEPS, "learning from the earlier part and judging by the later")
    found = contest(known, judged, parts, question, _met(champion))
    progress(3, STEPS, f"learning from all {known.height:,} showings")
    scorer = train(known, parts, now, since=terms.since, objective=objective, kind=kind, settings=question.settings)
    rows = dataset.closed(known, now, terms.since, objective)
    progress(4, STEPS, "trying it, and asking the gate")
    artefact = artefacts.keep(
        Artefact.Kind.SCORER,
        scorer.to_artefact(),
        scorer.schema.hash,
        _metrics(found, rows, terms, question) | _treated(scorer, rows) | tuning,
        now,
        msgspec.to_builtins(golden(scorer, _latest_facts(rows), parts.contents[:GOLDEN_CONTENTS])),
        _window(rows),
    )
    _let_through(artefact, found)
    progress(STEPS, STEPS, "done")
    return artefact


def _asked(now: datetime, terms: Terms, known: pl.DataFrame, judged: pl.DataFrame, parts: Ingredients) -> Question:
    """What is learned, by the scorer that is named or, where none is, by the one that earlier showings ask for."""
    question = Question(
        terms.split or split_of(judged, now, terms.since, objective_of(terms)),
        now,
        objective_of(terms),
        kind_of(terms.task, terms.scorer),
        terms.since,
        tuple(settings.SENSITIVE_FACTS),
    )
    money = question.objective == dataset.VALUE
    if terms.task or terms.scorer:
        if money and question.kind.task == CHANCE:
            raise ValueError(
                "A scorer of chances cannot be held against money: say --task value, or another objective."
            )
        return question
    kind = kind_of(VALUE, None) if money else chosen_kind(known, judged, parts, question)
    return replace(question, kind=kind)


def _window(rows: pl.DataFrame) -> tuple[datetime, datetime]:
    """From the first moment that was learned from up to, and without, the first that was not."""
    first, last = rows["shown_at"].min(), rows["shown_at"].max()
    assert isinstance(first, datetime) and isinstance(last, datetime)
    return first, last + timedelta(microseconds=1)


def usable(now: datetime) -> pl.DataFrame:
    """What was shown by now of contents that are still there; raises ValueError where there is none."""
    known = showings(now)
    known = known.filter(pl.col("content_key").is_in(list(Content.objects.values_list("key", flat=True))))
    if known.is_empty():
        raise ValueError("The ledger holds no outcomes yet; send impressions and conversions first.")
    return known


def of_placement(known: pl.DataFrame, placement: str | None) -> pl.DataFrame:
    """The showings of one placement (all without one); raises ValueError naming those there are."""
    if not placement:
        return known
    found = known.filter(pl.col("placement") == placement)
    if found.is_empty():
        names = ", ".join(sorted(known["placement"].unique()))
        raise ValueError(f"Nothing was shown in the placement {placement!r}; the ledger has {names}.")
    return found


def kind_of(task: str | None, name: str | None) -> type[Scorer]:
    """The scorer of a name, or the usual one of a task; else small trees. Raises ValueError naming those there are."""
    if name:
        if name not in Scorer.family:
            raise ValueError(f"There is no scorer {name!r}; take one of {', '.join(sorted(Scorer.family))}.")
        if task and Scorer.family[name].task != task:
            raise ValueError(f"{name} learns the task {Scorer.family[name].task!r}, not {task!r}; say one of the two.")
        return Scorer.family[name]
    if not task:
        return Trees
    fitting = [kind for kind, each in sorted(Scorer.family.items()) if each.task == task]
    chosen = [kind for kind in USUAL.get(task, ()) if kind in fitting] or fitting
    if not chosen:
        raise ValueError(f"Nothing learns the task {task!r}; take one of {', '.join(USUAL)}.")
    return Scorer.family[chosen[0]]


def objective_of(terms: Terms) -> str:
    """What is to be brought about: as said, else as the placement has it, or all of them where none is named."""
    if terms.objective:
        return terms.objective
    placements = Placement.objects.filter(key=terms.placement) if terms.placement else Placement.objects.all()
    found = set(placements.values_list("objective", flat=True))
    return found.pop() if len(found) == 1 else dataset.CONVERSION


def _met(champion: Artefact | None) -> Champion | None:
    """The champion, to be met; one that cannot be read any more is nobody to lose to."""
    if champion is None:
        return None
    try:
        scorer = Scorer.from_artefact(artefacts.read(champion))
    except ValueError as error:
        log.error("%s cannot be read and is not compared with: %s", champion, error)
        return None
    return Champion(scorer, champion.until or champion.trained_at)


def _metrics(found: Contest, rows: pl.DataFrame, terms: Terms, question: Question) -> dict[str, Any]:
    beside = _beside(found, terms)
    return {
        **beside,
        "base_rate": found.base_rate.value,
        "rows": rows.height,
        "conversions": found_outcomes(rows, question.objective),
        "objective": question.objective,
        "scorer": f"{found.scorer.kind} ({found.scorer.task})",
        "split": question.split.isoformat(),
        "backtest": found.to_dict(),
        **_carded(found),
    }


def _carded(found: Contest) -> dict[str, Any]:
    """The card of the backtest's scorer on rows it has not seen."""
    return {"card": card(found.scorer, found.tested)} if len(found.tested) else {}


def found_outcomes(rows: pl.DataFrame, objective: str) -> int:
    """How many of the showings had the outcome in question."""
    return int((dataset.outcome(rows, objective) > 0).sum())


def _beside(found: Contest, terms: Terms) -> dict[str, Any]:
    """AUC with its interval, and that of the baseline; the first figure there is of scorers that have no AUC."""
    told: Figure | None = next((figure for figure in found.figures if figure.metric == AUC), None)
    if told is None:
        return {}
    baseline = told.baseline
    if terms.baseline:
        hits = (found.tested.y > 0).astype("int8")
        baseline = auc(hits, column_of(found.scorer, found.tested, terms.baseline))
    name = terms.baseline or "the best constant choice"
    value = told.value
    named = {"auc": value.value, "auc_low": value.low, "auc_high": value.high, "auc_baseline": baseline}
    return {**named, "baseline": name}


def _treated(scorer: Scorer, rows: pl.DataFrame) -> dict[str, Any]:
    """What was done to the facts of the training rows, in words; the scorer itself holds how."""
    if not scorer.treatment.policies:
        return {}
    _, effects = scorer.treatment.apply(facts_in(rows, scorer.treatment.reads))
    return {"data quality": {effect.fact: str(effect) for effect in effects}}


def _latest_facts(rows: pl.DataFrame) -> list[Mapping[str, Any]]:
    """Facts of the latest few who were shown something."""
    found = dataset.facts_of(rows.unique("customer_id", keep="last", maintain_order=True).tail(GOLDEN_ROWS))
    return [*found.to_dicts()] if isinstance(found, pl.DataFrame) else [*found]


def _let_through(artefact: Artefact, found: Contest) -> None:
    """Put it to work if the gate opens; otherwise the champion stays, and why is kept with the artefact."""
    try:
        milliseconds = artefacts.trial(artefact)
    except ValueError as error:
        verdict = Verdict(False, str(error), ())
    else:
        verdict = judge(found.evidence(milliseconds))
    artefact.metrics["gate"] = verdict.to_dict()
    if not verdict.promoted:
        artefact.metrics["refused"] = verdict.words
        log.warning("%s is not used: %s", artefact, verdict.words)
    artefact.save(update_fields=["metrics"])
    if verdict.promoted:
        artefacts.activate(artefact, tried=True)
