"""Tables of the engine itself; customers, rules and campaigns have their own."""

from .access import ApiKey
from .decisions import Decision, EventOutcome, Outcome
from .files import ArchivePart
from .published import Artefact, Change, Score, ScoredContents, Snapshot
from .runs import LearningRun
from .sums import DroppedMonth, Statistic, Tally, Traffic, Uncounted, UncountedOutcome

__all__ = [
    "ApiKey",
    "ArchivePart",
    "Artefact",
    "Change",
    "Decision",
    "DroppedMonth",
    "EventOutcome",
    "LearningRun",
    "Outcome",
    "Score",
    "ScoredContents",
    "Snapshot",
    "Statistic",
    "Tally",
    "Traffic",
    "Uncounted",
    "UncountedOutcome",
]
