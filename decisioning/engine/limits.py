"""What is about to be published in; each limit that it exceeds, with the cure, out.

A decision is answered in well under a millisecond up to these limits; behind them nothing breaks, but nobody measured.
"""

from collections.abc import Iterable
from typing import Final

from rules.language import RuleError, nodes, parse

from .prepare import count_tests
from .types import PlacementItem, RuleItem, SnapshotData

PLACEMENTS: Final = 1_000
RULES_PER_PLACEMENT: Final = 10_000
CONTENTS_PER_PLACEMENT: Final = 2_000
DEFAULTS_PER_PLACEMENT: Final = 50
STEPS_PER_RULE: Final = 50  # actions in THEN and ELSE together
TESTS_PER_RULE: Final = 200
SEGMENTS: Final = 10_000
TAGS_PER_CONTENT: Final = 100
ATTRIBUTES_PER_CONTENT: Final = 200


def limits(data: SnapshotData) -> list[str]:
    """One sentence a limit exceeded, the whole first, then placements, rules and contents by key; empty is well."""
    found = [
        _over("The site", len(data.placements), PLACEMENTS, "placements", "switch off those no app asks for"),
        _over("The site", len(data.segments), SEGMENTS, "segments", "switch off those no rule names"),
    ]
    for placement in data.placements:
        found += _of_placement(placement, data)
    for rule in data.rules:
        found += _of_rule(rule)
    for content in data.contents:
        name = f"Content {content.key}"
        found.append(_over(name, len(content.tags), TAGS_PER_CONTENT, "tags", "use attributes for what tells it apart"))
        many, cure = len(content.attributes), "move what no rule reads to the body"
        found.append(_over(name, many, ATTRIBUTES_PER_CONTENT, "attributes", cure))
    return [sentence for sentence in found if sentence]


def _of_placement(placement: PlacementItem, data: SnapshotData) -> list[str]:
    name = f"Placement {placement.key}"
    rules = _here(placement, (rule.placements for rule in data.rules))
    contents = _here(placement, (content.placements for content in data.contents))
    return [
        _over(name, rules, RULES_PER_PLACEMENT, "rules", "choose placements for rules that are not for all"),
        _over(name, contents, CONTENTS_PER_PLACEMENT, "contents", "choose placements for contents, or send candidates"),
        _over(name, len(placement.defaults), DEFAULTS_PER_PLACEMENT, "default contents", "keep the first ones"),
    ]


def _here(placement: PlacementItem, many: Iterable[tuple[str, ...]]) -> int:
    """How many are for this placement; no placements means every one."""
    return sum(1 for places in many if not places or placement.key in places)


def _of_rule(rule: RuleItem) -> list[str]:
    try:
        node = parse(rule.text)
    except RuleError as error:
        return [f"Rule {rule.key} cannot be read: {error}"]
    if not isinstance(node, nodes.Rule):
        return [f"Rule {rule.key} has no THEN; say what it does, or make it a segment."]
    name = f"Rule {rule.key}"
    return [
        _over(name, len(node.then) + len(node.otherwise), STEPS_PER_RULE, "actions", "aim at TAGGED or WHERE instead"),
        _over(name, count_tests(node.condition), TESTS_PER_RULE, "tests", "make its condition a segment"),
    ]


def _over(whose: str, number: int, most: int, what: str, cure: str) -> str:
    return f"{whose} has {number:,} {what}; at most {most:,} are allowed: {cure}." if number > most else ""
