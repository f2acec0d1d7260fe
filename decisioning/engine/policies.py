"""The contents that compete for one slot in; the one to show and the chance that each of them had, out.

All policies have one shape, `Contest -> Draw`, and stand in one table, `POLICIES`:

- greedy: the best.
- softmax: content i with chance e^(uᵢ/T) / Σ e^(uⱼ/T), where u is its score as a share of the best score of the
  placement. Drawn by adding Gumbel noise to u/T and taking the greatest (Gumbel-top-k, slot by slot): a ranking drawn
  so has the Plackett-Luce distribution (Luce 1959, Plackett 1975; Kool, van Hoof and Welling 2019).
- thompson: a rate is drawn for each content from its Beta posterior; the greatest wins (Thompson 1933).
- linucb: mean + α · width of a ridge regression a content (Li, Chu, Langford and Schapire 2010).
- linear-thompson: a reward is drawn from N(mean, (α · width)²) (Agrawal and Goyal 2013).

Chances that have no closed form are counted in `COUNTED` draws that are the same for everybody, with one more win
shared by all contents, so that none has chance 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np

from .dice import Dice, Floats, normals

COUNTED: Final = 1000

Belief = tuple[float, float]  # (successes, failures) with the prior for Beta; (mean, width) for the linear ones


@dataclass(frozen=True, slots=True)
class Contest:
    """Who competes for one slot, best first, and by what. `utilities` are scores, less what diversity takes off.

    A belief b about a content makes the utility `keep` · b · factor − penalty. `scale` is the best score of the
    placement in units of the utilities, at least a little above 0.
    """

    rank: int
    keys: Sequence[str]
    utilities: Sequence[float]
    dice: Dice
    scale: float = 1.0
    temperature: float = 0.2
    width: float = 1.0
    keep: float = 1.0
    factors: Sequence[float] = ()
    penalties: Sequence[float] = ()
    beliefs: Sequence[Belief] = field(default=())


@dataclass(frozen=True, slots=True)
class Draw:
    """The place of the content chosen, and the chance of every place."""

    place: int
    chances: Sequence[float]
    estimated: bool = False


def greedy(contest: Contest) -> Draw:
    """The best; of equals the first."""
    return _certain(max(range(len(contest.keys)), key=contest.utilities.__getitem__), len(contest.keys))


def softmax(contest: Contest) -> Draw:
    """Each in proportion to e^(u/T), exactly."""
    logits = np.asarray(contest.utilities, np.float64) / (contest.scale * contest.temperature)
    weights = np.exp(logits - logits.max())
    noise = contest.dice.gumbels(f"gumbel-{contest.rank}", len(logits))
    return Draw(int(np.argmax(logits + noise)), (weights / weights.sum()).tolist())


def thompson(contest: Contest) -> Draw:
    """The greatest of one draw from each Beta posterior."""
    successes, failures = (np.array(column) for column in zip(*contest.beliefs, strict=True))
    drawn = contest.dice.generator(f"beta-{contest.rank}").beta(successes, failures)
    place = int(np.argmax(_utilities(contest, drawn)))
    terms = (tuple(contest.beliefs), tuple(contest.factors), tuple(contest.penalties), contest.keep)
    return Draw(place, _beta_chances(*terms), estimated=True)


def linucb(contest: Contest) -> Draw:
    """The greatest upper bound; certain, as nothing is drawn."""
    means, widths = _means_and_widths(contest)
    place = int(np.argmax(_utilities(contest, np.maximum(means + widths, 0.0))))
    return _certain(place, len(contest.keys))


def linear_thompson(contest: Contest) -> Draw:
    """The greatest of one draw from each content's normal posterior; a reward below 0 is 0."""
    means, widths = _means_and_widths(contest)
    noise = contest.dice.normals(f"normal-{contest.rank}", len(means))
    place = int(np.argmax(_utilities(contest, np.maximum(means + widths * noise, 0.0))))
    many = np.maximum(means + widths * normals(COUNTED, len(means)), 0.0)
    return Draw(place, _counted(_utilities(contest, many)), estimated=True)


@dataclass(frozen=True, slots=True)
class Policy:
    """How a slot is filled. `explores`: with the placement's share of uniform choices; `reads`: its beliefs, if any."""

    name: str
    label: str
    choose: Callable[[Contest], Draw]
    explores: bool = True
    reads: str = ""


POSTERIORS, BANDIT = "posteriors", "bandit"
GREEDY = Policy("greedy", "best first", greedy, explores=False)
EPSILON = Policy("epsilon", "best first, with some exploration", greedy)
POLICIES: Final[dict[str, Policy]] = {
    policy.name: policy
    for policy in (
        GREEDY,
        EPSILON,
        Policy("softmax", "by chance, the better the likelier (softmax)", softmax),
        Policy("thompson", "Thompson sampling of success rates", thompson, reads=POSTERIORS),
        Policy("linucb", "LinUCB: best by upper bound in the customer's context", linucb, reads=BANDIT),
        Policy("linear-thompson", "linear Thompson sampling in the customer's context", linear_thompson, reads=BANDIT),
    )
}


def _certain(place: int, size: int) -> Draw:
    chances = [0.0] * size
    chances[place] = 1.0
    return Draw(place, chances)


def _utilities(contest: Contest, beliefs: Floats) -> Floats:
    """(…, contents) what drawn rates or rewards are worth in this slot."""
    return contest.keep * beliefs * np.asarray(contest.factors) - np.asarray(contest.penalties)


def _means_and_widths(contest: Contest) -> tuple[Floats, Floats]:
    means, widths = (np.array(column, np.float64) for column in zip(*contest.beliefs, strict=True))
    return means, contest.width * widths


@lru_cache(maxsize=4096)
def _beta_chances(
    beliefs: tuple[Belief, ...], factors: tuple[float, ...], penalties: tuple[float, ...], keep: float
) -> tuple[float, ...]:
    """The chance of each to win. It depends on no customer, so that few of them have to be counted."""
    successes, failures = (np.array(column) for column in zip(*beliefs, strict=True))
    drawn = Dice("count").generator("betas").beta(successes, failures, (COUNTED, len(beliefs)))
    return _counted(keep * drawn * np.array(factors) - np.array(penalties))


def _counted(many: Floats) -> tuple[float, ...]:
    """(draws, contents) utilities to the share of draws each content wins, with one more win shared by all."""
    size = many.shape[1]
    wins = np.bincount(np.argmax(many, axis=1), minlength=size)
    return tuple(((wins + 1.0 / size) / (len(many) + 1.0)).tolist())
