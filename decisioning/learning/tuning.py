"""Showings and a budget come in; settings of a scorer that are surely better than the usual ones come out.

Each trial is taught by earlier rows and measured on later ones, in folds. Tree-structured Parzen estimators (Bergstra
et al. 2011) propose, the median rule ends what is behind (Golovin et al. 2017); Optuna does both (Akiba et al. 2019).
The usual settings are trial 0. What wins meets them once more on the latest fold, which no trial has seen, for the best
of many trials is partly luck; unless it is surely better there, the usual ones stay.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from decisioning.learning.bench import Question
from decisioning.learning.dials import TUNABLE, Settings, settings_of, usual
from decisioning.learning.family import CHANCE, ORDER, VALUE
from decisioning.learning.folding import Fold, Lost, expanding
from decisioning.learning.later import Later
from decisioning.learning.spending import Meter
from decisioning.learning.training import Ingredients

if TYPE_CHECKING:
    import optuna
else:
    optuna = Later("optuna")

Progress = Callable[[int, int, str], None]
METRICS: Final = {CHANCE: "log loss", ORDER: "1 - nDCG@10", VALUE: "squared error"}
TRIALS_UP: Final = "the trials are used up"
TOO_FEW: Final = "too few outcomes over time to measure settings by"
FEWEST_FOLDS: Final = 2  # one to search by, and a later one to meet the usual settings on
FIRST_RANDOM: Final = 8  # trials that are drawn before anything is concluded from them


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a search came to. `usual` and `best` are mean losses by `metric`, `gain` what was less on the latest fold.

    `settings` are what is taken ({}: the usual ones), `found` those that won the search; `megabytes` the most this
    process ever held; `stopped` why the search ended.
    """

    kind: str
    metric: str
    stopped: str
    settings: Settings = field(default_factory=dict)
    found: Settings = field(default_factory=dict)
    trials: int = 0
    cut_short: int = 0
    usual: float | None = None
    best: float | None = None
    gain: float | None = None
    seconds: float = 0.0
    megabytes: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    @property
    def words(self) -> str:
        """For people."""
        return told(self.to_dict())


def told(report: Mapping[str, Any]) -> str:
    """A search that was kept, for people."""
    spent = (
        f"{report['trials']} trials ({report['cut_short']} cut short) in {report['seconds']:.0f} s, at most"
        f" {report['megabytes']:.0f} MB; {report['stopped']}"
    )
    if report["usual"] is None:
        return f"{report['kind']}: the usual settings; {report['stopped']}"
    measured = f"{report['metric']} {report['usual']:.4f} as usual, {report['best']:.4f} at best"
    named = ", ".join(f"{name} {short(value)}" for name, value in sorted(flat(report["found"]).items()))
    if report["gain"] is None:
        return f"{report['kind']}: the usual settings; {measured}; {spent}"
    taken = "taken" if report["settings"] else "not taken, for that is not surely better"
    return f"{report['kind']}: {named}; {measured}; {report['gain']:.4f} less on the latest fold: {taken}; {spent}"


def short(value: Any) -> str:
    """Three digits that matter."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def flat(settings: Mapping[str, Any]) -> Settings:
    """Settings within settings beside the others."""
    return {**{name: value for name, value in settings.items() if name != "settings"}, **settings.get("settings", {})}


def quiet(done: int, of: int, what: str) -> None:
    """Tells nobody."""


def tuned(
    showings: pl.DataFrame,
    known: pl.DataFrame,
    parts: Ingredients,
    question: Question,
    meter: Meter,
    progress: Progress = quiet,
) -> tuple[Settings, Tuning]:
    """Settings for `question.kind`, measured on folds of `known` alone, and how they were found.

    `known` are the showings that may be learned from, with closed windows; what is counted is counted in `showings`.
    The same rows, seed and trials give the same settings where neither time nor memory runs out. Raises `ValueError`
    for a kind without settings to search.
    """
    if question.kind.kind not in TUNABLE:
        raise ValueError(f"There is nothing to tune in {question.kind.kind!r}; take one of {', '.join(TUNABLE)}.")
    folds = expanding(showings, known, parts, question)
    if len(folds) < FEWEST_FOLDS:
        return {}, Tuning(question.kind.kind, METRICS[question.kind.task], TOO_FEW)
    search = Search(folds, question, meter, progress)
    search.run()
    report = search.report()
    return report.settings, report


class Search:
    """Trials on all folds but the last, where the winner then meets the usual settings."""

    def __init__(self, folds: list[Fold], question: Question, meter: Meter, progress: Progress) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.searched, self.last = folds[:-1], folds[-1]
        self.question, self.meter, self.progress = question, meter, progress
        self.study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=question.seed, n_startup_trials=FIRST_RANDOM),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST_RANDOM // 2),
        )
        self.study.enqueue_trial(usual(question.kind.kind))
        self.stopped = TRIALS_UP
        self.settings: dict[int, Settings] = {}

    def run(self) -> None:
        """As many trials as the budget has room for."""
        of = self.meter.budget.trials
        for number in range(of):
            self.progress(number, of, self._words(number))
            trial = self.study.ask()
            # Trial 0 is what a scorer does by itself.
            proposed = settings_of(self.question.kind.kind, trial)
            self.settings[number] = proposed if number else {}
            if stopped := self._tried(trial, self.settings[number]):
                self.stopped = stopped
                break
        self.progress(of, of, self._words(of))

    def _tried(self, trial: "optuna.Trial", settings: Settings) -> str:
        """Measure a trial, fold by fold, unless it falls behind; why it could not be ended where that is so."""
        state = optuna.trial.TrialState
        found: list[Lost] = []
        for step, fold in enumerate(self.searched):
            # Two steps are kept for the meeting on the latest fold.
            if stopped := self.meter.spent(ahead=3):
                self.study.tell(trial, state=state.FAIL)
                return stopped
            found.append(self._lost(fold, settings))
            trial.report(mean_of(found), step)
            if step + 1 < len(self.searched) and trial.should_prune():
                self.study.tell(trial, state=state.PRUNED)
                return ""
        self.study.tell(trial, mean_of(found))
        return ""

    def _lost(self, fold: Fold, settings: Settings) -> Lost:
        with self.meter.step():
            return fold.lost(self.question.kind, self.question, settings)

    def _complete(self) -> dict[int, float]:
        """{trial: its loss} of those that were measured on every fold."""
        return {
            one.number: float(one.value)
            for one in self.study.get_trials(deepcopy=False)
            if one.state == optuna.trial.TrialState.COMPLETE and one.value is not None
        }

    def _words(self, number: int) -> str:
        losses = self._complete()
        best = f"; best {METRICS[self.question.kind.task]} so far {min(losses.values()):.4f}" if losses else ""
        return f"tuning: {number} of {self.meter.budget.trials} trials{best}"

    def report(self) -> Tuning:
        """The winner, if it is surely better than the usual settings where none of the trials has been."""
        losses = self._complete()
        cut = sum(one.state == optuna.trial.TrialState.PRUNED for one in self.study.get_trials(deepcopy=False))
        best = min(losses, key=lambda number: (losses[number], number)) if losses else 0
        found = self.settings.get(best, {})
        gain, sure = self._met(found) if best and 0 in losses else (None, False)
        return Tuning(
            kind=self.question.kind.kind,
            metric=METRICS[self.question.kind.task],
            stopped=self.stopped,
            settings=found if sure else {},
            found=found,
            trials=len(losses) + cut,
            cut_short=cut,
            usual=losses.get(0),
            best=losses.get(best),
            gain=gain,
            seconds=round(self.meter.seconds, 1),
            megabytes=round(self.meter.peak, 1),
        )

    def _met(self, found: Settings) -> tuple[float | None, bool]:
        """How much less than the usual ones these settings lose on the latest fold, and whether that is no chance."""
        lost = []
        for settings in ({}, found):
            if stopped := self.meter.spent():
                self.stopped = f"{stopped} before the winner met the usual settings"
                return None, False
            lost.append(self._lost(self.last, settings))
        before, after = lost
        return before.mean - after.mean, before.surely_more(after)


def mean_of(found: list[Lost]) -> float:
    """The mean of all rows of all folds."""
    return float(np.concatenate([lost.figures for lost in found]).mean()) if found else math.inf
