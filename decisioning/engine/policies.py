"""The contents that compete for one slot in; the one to show and the chance that each of them had, out.

All policies have one shape, `Contest -> Draw`, and stand in one table, `POLICIES`:

- greedy: the best.
- softmax: content i with chance e^(uᵢ/T) / Σ e^(uⱼ/T), where u is its score as a share of the best score of the
  placement. Drawn by adding Gumbel noise to u/T and taking the greatest (Gumbel-top-k, slot by slot): a ranking drawn
  so has the Plackett-Luce distribution (Luce 1959, Plackett 1975; Kool, van Hoof and Welling 2019).
- thompson: a rate is drawn for each content from its Beta posterior; the greatest wins (Thompson 1933).
- linucb: mean + α · width of a ridge regression a content (Li, Chu, Langford and Schapire 2010).
- linear-thompson: a reward is drawn from N(mean, (α · width)²) (Agrawal and Goyal 2013).

Chances that have no closed form are counted in draws (see `counting`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from .counting import Belief, Count, Counted, betas, rewards
from .dice import Dice, Floats

KEPT: Final = 4096  # chances of Thompson sampling that a process keeps, of at most `SMALL` contents each
SMALL: Final = 100


@dataclass(frozen=True, slots=True)
class Contest:
    """Who competes for one slot, best first, and by what. `utilities` are scores, less what diversity takes off.

    A belief b about a content makes the utility `keep` · b · factor − penalty. `scale` is the best score of the
    placement in units of the utilities, at least a little above 0. `counted` are the placement's draws, where chances
    are counted and there is more than this slot.
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
    counted: Counted | None = None


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
    return Draw(place, _beta_chances(contest), estimated=True)


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
    return Draw(place, _chances(contest, rewards), estimated=True)


@dataclass(frozen=True, slots=True)
class Policy:
    """How a slot is filled. `explores`: with the placement's share of uniform choices; `reads`: its beliefs, if any;
    `counts`: by which draws chances are counted, where they are."""

    name: str
    label: str
    choose: Callable[[Contest], Draw]
    explores: bool = True
    reads: str = ""
    counts: Count | None = None


POSTERIORS, BANDIT = "posteriors", "bandit"
GREEDY = Policy("greedy", "best first", greedy, explores=False)
EPSILON = Policy("epsilon", "best first, with some exploration", greedy)
POLICIES: Final[dict[str, Policy]] = {
    policy.name: policy
    for policy in (
        GREEDY,
        EPSILON,
        Policy("softmax", "by chance, the better the likelier (softmax)", softmax),
        Policy("thompson", "Thompson sampling of success rates", thompson, reads=POSTERIORS, counts=betas),
        Policy("linucb", "LinUCB: best by upper bound in the customer's context", linucb, reads=BANDIT),
        Policy(
            "linear-thompson",
            "linear Thompson sampling in the customer's context",
            linear_thompson,
            reads=BANDIT,
            counts=rewards,
        ),
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


def _chances(contest: Contest, count: Count) -> tuple[float, ...]:
    """The chance of each to win, by the placement's draws or by this slot's own."""
    counted = contest.counted
    if counted is None:
        counted = Counted(count, contest.keys, contest.beliefs, contest.factors, contest.width)
    return counted.chances(contest.keys, contest.penalties, contest.keep)


_known: dict[tuple[object, ...], tuple[float, ...]] = {}


def _beta_chances(contest: Contest) -> tuple[float, ...]:
    """The chance of each to win. It depends on no customer, so that few of them have to be counted."""
    terms = (
        *(tuple(contest.keys), tuple(contest.beliefs), tuple(contest.factors), tuple(contest.penalties)),
        contest.keep,
    )
    found = _known.get(terms)
    if found is None:
        found = _chances(contest, betas)
        if len(_known) >= KEPT:
            _known.clear()
        if len(contest.keys) <= SMALL:
            _known[terms] = found
    return found
