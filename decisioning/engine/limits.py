"""What is about to be published in; each limit that it exceeds, with the cure, out.

A decision is answered in well under a millisecond up to these limits; behind them nothing breaks, but nobody measured.
Rules are held to theirs when they are published, everything else when it is saved in the admin.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from rules.language import RuleError, nodes, parse

from .prepare import count_tests
from .types import PlacementItem, SnapshotData

PLACEMENTS: Final = 1_000
RULES_PER_PLACEMENT: Final = 10_000
CONTENTS_PER_PLACEMENT: Final = 2_000
CONTENTS_BEHIND_LISTS: Final = 200_000  # where a placement draws from candidate lists
DEFAULTS_PER_PLACEMENT: Final = 50
STEPS_PER_RULE: Final = 50  # actions in THEN and ELSE together
TESTS_PER_RULE: Final = 200
SEGMENTS: Final = 10_000
TAGS_PER_CONTENT: Final = 100
ATTRIBUTES_PER_CONTENT: Final = 200

CURES: Final = {
    "rules": "choose placements for rules that are not for all",
    "actions": "aim at TAGGED or WHERE instead",
    "tests": "make its condition a segment",
}


class Use(NamedTuple):
    """How many of something there are, and how many there may be."""

    what: str
    number: int
    most: int


class Excess(NamedTuple):
    """One limit exceeded: by what, how far, and what to do about it."""

    whose: str
    what: str
    number: int
    most: int
    cure: str

    def __str__(self) -> str:
        return f"{self.whose} has {self.number:,} {self.what}; at most {self.most:,} are allowed: {self.cure}."


def limits(data: SnapshotData) -> list[str]:
    """One sentence a limit exceeded, the whole first, then placements, contents and rules by key; empty is well."""
    return [*map(str, sizes(data)), *(sentence for rule in data.rules for sentence in of_rule(rule.key, rule.text))]


def worse(before: Iterable[Excess], after: Iterable[Excess]) -> list[Excess]:
    """What a change made too much or more so; a site that is over a limit already can still be mended step by step."""
    former = {(each.whose, each.what): each.number for each in before}
    return [each for each in after if each.number > former.get((each.whose, each.what), 0)]


def sizes(data: SnapshotData) -> list[Excess]:
    """The same without what the rules' texts say, so that none has to be parsed."""
    found = [
        _over("The site", len(data.placements), PLACEMENTS, "placements", "switch off those no app asks for"),
        _over("The site", len(data.segments), SEGMENTS, "segments", "switch off those no rule names"),
    ]
    rules, contents = (Crowd(item.placements for item in items) for items in (data.rules, data.contents))
    for placement in data.placements:
        found += _of_placement(placement, rules, contents)
    for content in data.contents:
        name = f"Content {content.key}"
        found.append(_over(name, len(content.tags), TAGS_PER_CONTENT, "tags", "use attributes for what tells it apart"))
        many, cure = len(content.attributes), "move what no rule reads to the body"
        found.append(_over(name, many, ATTRIBUTES_PER_CONTENT, "attributes", cure))
    return [each for each in found if each]


def of_rule(key: str, text: str) -> list[str]:
    """What one rule's text has too much of; a text that is no rule is said to be none."""
    try:
        node = parse(text)
    except RuleError as error:
        return [f"Rule {key} cannot be read: {error}"]
    if not isinstance(node, nodes.Rule):
        return [f"Rule {key} has no THEN; say what it does, or make it a segment."]
    found = (_over(f"Rule {key}", use.number, use.most, use.what, CURES[use.what]) for use in _uses(node))
    return [str(each) for each in found if each]


def used_by_rule(text: str) -> list[Use]:
    """How much of what it may have a rule's text has; nothing for a text that is no rule."""
    try:
        node = parse(text)
    except RuleError:
        return []
    return _uses(node) if isinstance(node, nodes.Rule) else []


class Crowd:
    """Rules or contents, each told by its placements (none means every one), counted once for all placements."""

    def __init__(self, many: Iterable[Sequence[str]]) -> None:
        self.everywhere = 0
        self.own: Counter[str] = Counter()
        for places in many:
            self.everywhere += not places
            self.own.update(set(places))

    def at(self, placement: str) -> int:
        """How many are for this placement."""
        return self.everywhere + self.own[placement]


def rules_at(placement: str, rules: Crowd) -> Use:
    """How many of these rules are for this placement."""
    return Use("rules", rules.at(placement), RULES_PER_PLACEMENT)


def crowded(placement: str, rules: Crowd) -> Excess | None:
    """Where that is too many."""
    use = rules_at(placement, rules)
    return _over(f"Placement {placement}", use.number, use.most, use.what, CURES[use.what])


def _of_placement(placement: PlacementItem, rules: Crowd, contents: Crowd) -> list[Excess | None]:
    name, many = f"Placement {placement.key}", contents.at(placement.key)
    listed = bool(placement.lists)
    most = CONTENTS_BEHIND_LISTS if listed else CONTENTS_PER_PLACEMENT
    cure = "choose placements for contents" + ("" if listed else ", tick candidate lists, or send candidates")
    return [
        crowded(placement.key, rules),
        _over(name, many, most, "contents", cure),
        _over(name, len(placement.defaults), DEFAULTS_PER_PLACEMENT, "default contents", "keep the first ones"),
    ]


def _uses(node: nodes.Rule) -> list[Use]:
    return [
        Use("actions", len(node.then) + len(node.otherwise), STEPS_PER_RULE),
        Use("tests", count_tests(node.condition), TESTS_PER_RULE),
    ]


def _over(whose: str, number: int, most: int, what: str, cure: str) -> Excess | None:
    return Excess(whose, what, number, most, cure) if number > most else None
