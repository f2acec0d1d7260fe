"""The kind of a scorer comes in; where its settings may stand, and what a trial proposes, comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

from decisioning.learning.boosting import Forest, Trees
from decisioning.learning.careful import INSIDE, Careful
from decisioning.learning.family import Scorer
from decisioning.learning.linear import Logistic
from decisioning.learning.ordering import Order
from decisioning.learning.worth import Worth

if TYPE_CHECKING:
    import optuna

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dial:
    """Where a setting may stand: from `low` to `high` by its logarithm, or at one `among` some."""

    low: float = 0
    high: float = 0
    among: tuple[Any, ...] = ()

    def proposed(self, trial: "optuna.Trial", name: str) -> Any:
        if self.among:
            return trial.suggest_categorical(name, self.among)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=True)
        return trial.suggest_float(name, self.low, self.high, log=True)


# Small scorers alone: each decision waits for one.
GROWN: Final = {
    "trees": Dial(20, 150),
    "leaves": Dial(3, 31),
    "rate": Dial(0.02, 0.2),
    "smallest_leaf": Dial(10, 200),
    "l2": Dial(0.3, 100.0),
    "columns": Dial(0.2, 1.0),
    "random_cuts": Dial(among=(False, True)),
}
SPACES: Final[Mapping[str, Mapping[str, Dial]]] = {
    Trees.kind: GROWN,
    Order.kind: GROWN,
    Worth.kind: GROWN,
    Forest.kind: {
        **{name: GROWN[name] for name in ("smallest_leaf", "l2", "columns", "random_cuts")},
        "trees": Dial(50, 200),
        "leaves": Dial(7, 63),
    },
    Logistic.kind: {"strength": Dial(among=(None, 0.0001, 0.001, 0.01, 0.1, 1.0))},
}
TUNABLE: Final = (*SPACES, Careful.kind)


def settings_of(kind: str, trial: "optuna.Trial") -> Settings:
    """What a trial proposes for a kind of scorer."""
    if kind != Careful.kind:
        return {name: dial.proposed(trial, name) for name, dial in SPACES[kind].items()}
    inner = trial.suggest_categorical("inner", INSIDE)
    within = {name: dial.proposed(trial, f"{inner}.{name}") for name, dial in SPACES[inner].items()}
    return {"inner": inner, "settings": within}


def usual(kind: str) -> Settings:
    """What a trial has to propose to be the usual settings, by the names of its proposals."""
    if kind == Careful.kind:
        return {"inner": Trees.kind, **{f"{Trees.kind}.{name}": value for name, value in usual(Trees.kind).items()}}
    given = signature(Scorer.family[kind].__init__).parameters
    return {name: given[name].default for name in SPACES[kind]}
