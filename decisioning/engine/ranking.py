"""Contents with their scores in; slots filled with contents and the propensity of each, out.

Slot by slot: a pin stands; else what a rule's SHOW chose competes while some of it remains; else all the rest, less
what diversity forbids. Of a slot's chance, a share `new_share` goes to contents that were hardly shown, evenly; of what
remains a share ε to all, evenly; the rest is the policy's. So the propensity of one of n contents, k of them new, is

    p = new_share · [new] / k + (1 − new_share) · (ε / n + (1 − ε) · p of the policy)

and for the best first that is 1 − ε + ε/n for the best and ε/n for the others (Sutton and Barto, 2.2). It is
conditional: given what stands in the slots above.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .counting import Belief, Counted
from .dice import Dice
from .policies import EPSILON, Contest, Draw, Policy
from .variety import Variety

# Less than once in a billion slots is no exploration, and its propensity could not be told from 0.
LEAST = 1e-9
# A score at or below this is none, and shares of it mean nothing.
LOWEST = 1e-100
BELOW = "ranked below the number asked for"
CERTAIN = Draw(0, (1.0,))
EXPLORED = "chosen by exploration"
NEW = "chosen as a new content, to become known"


@dataclass(frozen=True, slots=True)
class Shares:
    """What of a slot goes to whom: `epsilon` to all, `new` to the places of new contents, the rest to the policy."""

    epsilon: float = 0.0
    new: float = 0.0
    places: Sequence[int] = ()

    def chance(self, place: int, own: Draw) -> float:
        """The chance of a place, all shares together."""
        size = len(own.chances)
        if size == 1:
            return 1.0
        chance = (1.0 - self.new) * (self.epsilon / size + (1.0 - self.epsilon) * own.chances[place])
        return chance + self.new / len(self.places) if self.new and place in self.places else chance


@dataclass(frozen=True, slots=True)
class Pick:
    """The content chosen for a slot (rank from 1), its propensity, and why it was this one.

    `keys` are all that competed, `own` what the policy said of them.
    """

    key: str
    rank: int
    propensity: float = 1.0
    keys: Sequence[str] = ()
    own: Draw = CERTAIN
    shares: Shares = Shares()
    notes: tuple[str, ...] = ()

    @property
    def chances(self) -> dict[str, float]:
        """The propensity of everything that competed for the slot."""
        places = enumerate(self.keys or (self.key,))
        return {key: self.shares.chance(place, self.own) for place, key in places}


@dataclass(frozen=True, slots=True)
class Field:
    """Everything that competes: scores by key (`best` is the greatest), their factors, and how slots are filled."""

    scores: Mapping[str, float]
    dice: Dice
    policy: Policy = EPSILON
    exploration: float = 0.0
    temperature: float = 0.2
    width: float = 1.0
    factors: Mapping[str, float] = field(default_factory=dict)
    beliefs: Mapping[str, Belief] = field(default_factory=dict)
    new: frozenset[str] = frozenset()
    new_share: float = 0.0
    variety: Variety | None = None
    best: float = field(init=False, default=0.0)
    counted: Counted | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "best", max(self.scores.values(), default=0.0))

    def factors_of(self, keys: Iterable[str]) -> list[float]:
        """By what beliefs about these are multiplied."""
        return [self.factors.get(key, 1.0) for key in keys]


def order(keys: Iterable[str], scores: Mapping[str, float], shown: frozenset[str]) -> list[str]:
    """Shown contents first, then by score; equal scores by key, so that a replay agrees."""
    return sorted(keys, key=lambda key: (key not in shown, -scores.get(key, 0.0), key))


def pick(
    ranked: Sequence[str], shown: frozenset[str], pins: Mapping[int, str], count: int, field: Field
) -> tuple[list[Pick], dict[str, str]]:
    """Up to `count` slots filled, and why the rest was left; `ranked` is in the order that `order` gave.

    Exploration never leaves what a rule's SHOW chose while some of it remains. A pin behind the last slot holds
    nothing: its content competes with the others. A slot that diversity leaves nothing for stays empty.
    """
    slots = range(1, min(count, len(ranked)) + 1)
    held = {rank: pins[rank] for rank in slots if rank in pins}
    fixed = set(held.values())
    rest = [key for key in ranked if key not in fixed]
    if field.policy.counts:
        field = replace(field, counted=_counted(rest, field))
    variety = field.variety
    for key in held.values() if variety else ():
        variety.add(key)  # type: ignore[union-attr]
    picks: list[Pick] = []
    for rank in slots:
        if rank in held:
            picks.append(Pick(held[rank], rank))
        elif (choice := _fill(rest, shown, rank, field)) is not None:
            rest.remove(choice.key)
            picks.append(choice)
            if variety:
                variety.add(choice.key)
    return picks, {key: (variety.too_many(key) if variety else "") or BELOW for key in rest}


def _fill(rest: Sequence[str], shown: frozenset[str], rank: int, field: Field) -> Pick | None:
    """The choice for one slot; None when diversity allows nothing."""
    tier = [key for key in rest if key in shown]
    if tier or field.variety is None:
        return _choose(_contest(tier or list(rest), rank, field), field)
    variety = field.variety
    tier = [key for key in rest if not variety.too_many(key)]
    if not tier:
        return None
    contest = _contest(tier, rank, field, variety)
    return _choose(contest, field, _moved(contest, rest))


def _moved(contest: Contest, rest: Sequence[str]) -> Mapping[str, str]:
    """What diversity put first where score would have put another."""
    first = contest.keys[max(range(len(contest.keys)), key=contest.utilities.__getitem__)]
    return {} if first == rest[0] else {first: f"diversity moved it up, before {rest[0]} with a higher score"}


def _contest(tier: Sequence[str], rank: int, field: Field, variety: Variety | None = None) -> Contest:
    """The slot as policies see it."""
    scores = [field.scores.get(key, 0.0) for key in tier]
    best = field.best if field.best > LOWEST else 1.0
    keep, scale = 1.0, best
    penalties: list[float] = []
    if variety is not None and variety.weight > 0:
        keep, scale = (1.0 - variety.weight) / best, 1.0
        penalties = [variety.weight * variety.nearest[key] for key in tier]
        scores = [keep * score - penalty for score, penalty in zip(scores, penalties, strict=True)]
    contest = Contest(rank, tier, scores, field.dice, scale, field.temperature, field.width, keep)
    if not field.policy.reads:
        return contest
    return replace(
        contest,
        factors=field.factors_of(tier),
        beliefs=[field.beliefs[key] for key in tier],
        penalties=penalties or [0.0] * len(tier),
        counted=field.counted,
    )


def _counted(keys: Sequence[str], field: Field) -> Counted | None:
    """The draws by which chances of all slots are counted, where they are."""
    count = field.policy.counts
    if count is None or not keys:
        return None
    return Counted(count, keys, [field.beliefs[key] for key in keys], field.factors_of(keys), field.width)


def _choose(contest: Contest, field: Field, moved: Mapping[str, str] | None = None) -> Pick:
    """Whose share of the slot the dice give it to, and every content's chance."""
    keys, rank, dice = contest.keys, contest.rank, field.dice
    own = field.policy.choose(contest)
    shares = _shares(keys, field)
    place = own.place
    notes: tuple[str, ...] = ()
    if shares.new and dice(f"new-{rank}") < shares.new:
        place, notes = shares.places[int(dice(f"new-choice-{rank}") * len(shares.places))], (NEW,)
    elif shares.epsilon and len(keys) > 1 and dice(f"explore-{rank}") < shares.epsilon:
        place, notes = int(dice(f"choice-{rank}") * len(keys)), (EXPLORED,)
    elif moved and keys[place] in moved:
        notes = (moved[keys[place]],)
    return Pick(keys[place], rank, shares.chance(place, own), keys, own, shares, notes)


def _shares(keys: Sequence[str], field: Field) -> Shares:
    """What this slot's shares are; new contents have one where there are others beside them."""
    epsilon = field.exploration if field.policy.explores and field.exploration >= LEAST else 0.0
    places = [place for place, key in enumerate(keys) if key in field.new] if field.new_share >= LEAST else []
    return Shares(epsilon, field.new_share if 0 < len(places) < len(keys) else 0.0, places)
