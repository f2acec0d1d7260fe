"""A snapshot's data in; parsed rules, indexes and a loaded scorer out, built once per process and snapshot."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rules.language import RuleError, RuleIndex, matches, nodes, parse

from ..learning.bandit import LinearBandit
from ..learning.recall import Recall
from ..learning.scorer import Scorer
from .candidates import Lists, lists_of
from .contents import content_facts
from .eligibility import turning_points, unconditional
from .objective import Factor, worth
from .policies import BANDIT, EPSILON, POLICIES, Policy
from .types import ContentItem, KeyItem, PlacementItem, RuleItem, SnapshotData

Targets = frozenset[str]


@dataclass(frozen=True, slots=True)
class Step:
    """An action with its targets resolved to content keys; `name` is the verb, `amount` its factor or position."""

    verb: str
    targets: Targets
    amount: float = 0.0
    campaign: str = ""
    target: nodes.Target | None = None


@dataclass(frozen=True, slots=True)
class PreparedRule:
    """A rule ready to run: its condition as a tree, its branches as steps."""

    item: RuleItem
    condition: nodes.Condition
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Slot:
    """A placement with its contents, its rules in their order, and the index over them.

    `counts` are (successes, failures) by content, None where nothing was counted; `elsewhere` are the contents that are
    for other placements, but for the defaults, which were chosen for this one by name; `always` are unconditional (see
    `eligibility`), and `worth` is that of `objective`;
    the share `held` of customers is held out, as `draw` says.
    """

    item: PlacementItem
    audience: nodes.Node | None
    pool: tuple[ContentItem, ...]
    defaults: tuple[ContentItem, ...]
    rules: tuple[PreparedRule, ...]
    index: RuleIndex
    policy: Policy = EPSILON
    counts: Mapping[str, tuple[float, float]] | None = None
    bandit: LinearBandit | None = None
    elsewhere: tuple[str, ...] = ()
    always: frozenset[str] = frozenset()
    worth: Mapping[str, tuple[Factor, ...]] = field(default_factory=dict)
    held: float = 0.0
    draw: str = ""
    lists: Lists | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A whole snapshot, ready to decide with."""

    number: int
    built_at: datetime
    data: SnapshotData
    slots: Mapping[str, Slot]
    segment_names: Mapping[str, str]
    keys: Mapping[str, KeyItem]
    scorer: Scorer | None
    turning_points: tuple[datetime, ...]
    problems: tuple[str, ...] = field(default=())
    contents: Mapping[str, ContentItem] = field(default_factory=dict)
    recall: Recall | None = None


def prepare(number: int, built_at: datetime, data: SnapshotData, recall: Recall | None = None) -> Prepared:
    """Parse, order and index everything; a rule that no longer parses is left out and named in `problems`.

    `recall` are the candidate lists that `data.recall` names, which travel beside the snapshot.
    """
    problems: list[str] = []
    contents = {content.key: content for content in data.contents}
    rules = [rule for rule in (_rule(item, data.contents, built_at, problems) for item in data.rules) if rule]
    rules.sort(key=_order)
    scorer = _scorer(data, problems)
    slots = {item.key: _slot(item, data, contents, rules, problems, recall) for item in data.placements}
    names = {segment.key: segment.name for segment in data.segments}
    keys = {key.prefix: key for key in data.keys}
    moments = turning_points((*data.contents, *data.rules))
    return Prepared(number, built_at, data, slots, names, keys, scorer, moments, tuple(problems), contents, recall)


def _order(rule: PreparedRule) -> tuple[int, int, datetime, str]:
    """Priority, then specificity (how many tests), then age; the key settles what is still equal."""
    return (-rule.item.priority, -count_tests(rule.condition), rule.item.created_at, rule.item.key)


def count_tests(condition: nodes.Condition) -> int:
    """How many tests a condition makes: its specificity."""
    return sum(1 for _ in nodes.leaves(condition))


def _scorer(data: SnapshotData, problems: list[str]) -> Scorer | None:
    if data.scorer is None:
        return None
    try:
        return Scorer.from_artefact(data.scorer.data)
    except ValueError as error:
        problems.append(f"scorer {data.scorer.version}: {error}")
        return None


def _slot(
    item: PlacementItem,
    data: SnapshotData,
    contents: Mapping[str, ContentItem],
    rules: Iterable[PreparedRule],
    problems: list[str],
    recall: Recall | None,
) -> Slot:
    here = tuple(rule for rule in rules if not rule.item.placements or item.key in rule.item.placements)
    # A default content stands in when nothing else may be shown; it competes with nobody.
    pool = tuple(c for c in data.contents if c.key not in item.defaults and _is_for(c, item))
    if item.policy not in POLICIES:
        problems.append(f"placement {item.key}: there is no policy {item.policy!r}; the best is shown first")
    return Slot(
        item,
        _audience(item, problems),
        pool,
        tuple(contents[key] for key in item.defaults if key in contents),
        here,
        RuleIndex([(rule.item.key, rule.condition) for rule in here]),
        POLICIES.get(item.policy, EPSILON),
        data.posteriors.get(item.key) or None,
        _bandit(item, data, problems),
        tuple(c.key for c in data.contents if c.key not in item.defaults and not _is_for(c, item)),
        frozenset(c.key for c in pool if unconditional(c)),
        {c.key: worth(c, item) for c in pool},
        max(item.holdout_share, data.holdout_share),
        f"holdout\x1f{data.holdout_draw}",
        lists_of(item, pool, here, recall),
    )


def _is_for(content: ContentItem, item: PlacementItem) -> bool:
    return not content.placements or item.key in content.placements


def _audience(item: PlacementItem, problems: list[str]) -> nodes.Node | None:
    if not item.audience.strip():
        return None
    try:
        return parse(item.audience)
    except RuleError as error:
        problems.append(f"audience of placement {item.key}: {error}")
        return None


def _bandit(item: PlacementItem, data: SnapshotData, problems: list[str]) -> LinearBandit | None:
    """The placement's bandit, where its policy reads one; one learned from other facts than asked for is none."""
    stored = data.bandits.get(item.key)
    if stored is None or item.policy not in POLICIES or POLICIES[item.policy].reads != BANDIT:
        return None
    try:
        bandit = LinearBandit.from_bytes(stored)
    except ValueError as error:
        problems.append(f"bandit of placement {item.key}: {error}")
        return None
    if item.bandit_facts and bandit.facts != item.bandit_facts:
        problems.append(f"bandit of placement {item.key}: it was learned from other facts; train it again")
        return None
    return bandit


def _rule(item: RuleItem, contents: Iterable[ContentItem], now: datetime, problems: list[str]) -> PreparedRule | None:
    try:
        node = parse(item.text)
    except RuleError as error:
        problems.append(f"rule {item.key}: {error}")
        return None
    if not isinstance(node, nodes.Rule):
        problems.append(f"rule {item.key}: it has no THEN")
        return None
    return PreparedRule(
        item,
        node.condition,
        tuple(_step(action, contents, now) for action in node.then),
        tuple(_step(action, contents, now) for action in node.otherwise),
    )


def _step(action: nodes.Action, contents: Iterable[ContentItem], now: datetime) -> Step:
    if isinstance(action, nodes.Stop):
        return Step("STOP", frozenset())
    if isinstance(action, nodes.StartCampaign):
        return Step("START CAMPAIGN", frozenset(), campaign=action.key)
    targets = targets_of(action.target, contents, now)
    verb = type(action).__name__.upper()
    if isinstance(action, nodes.Boost | nodes.Bury):
        return Step(verb, targets, action.factor, target=action.target)
    position = float(action.position) if isinstance(action, nodes.Pin) else 0.0
    return Step(verb, targets, position, target=action.target)


def targets_of(target: nodes.Target, contents: Iterable[ContentItem], now: datetime) -> Targets:
    """The content keys a target means, settled when the snapshot is prepared and not per request."""
    if isinstance(target, nodes.ContentKey):
        return frozenset({target.key})
    if isinstance(target, nodes.Tagged):
        return frozenset(c.key for c in contents if target.tag in c.tags)
    return frozenset(c.key for c in contents if matches(target.condition, content_facts(c), now))
