"""How rules get in each other's way, proved and measured; and circles of segments."""

from datetime import UTC, datetime

import polars as pl

from rules.language import parse
from rules.language.analysis import Entry, Finding, check_rules
from rules.language.circles import segment_circles
from rules.language.parser import parse_condition, parse_rule

NOW = datetime(2026, 3, 29, tzinfo=UTC)
TYPES = {"age": "number", "city": "text"}
PEOPLE = pl.DataFrame({"age": list(range(100)), "city": ["Berlin", "Paris"] * 50})


def rules(*texts: str, priority: int = 0) -> list[Entry]:
    return [Entry(f"r{place}", parse_rule(text), priority) for place, text in enumerate(texts, 1)]


def told(found: list[Finding]) -> list[tuple[str, str, str | None]]:
    return [(one.kind, one.key, one.other) for one in found]


def test_a_rule_behind_a_stop_that_covers_it_is_unreachable() -> None:
    found = check_rules(rules("IF age > 30 THEN STOP", 'IF age > 40 AND city = "Paris" THEN SHOW "x"'), TYPES)
    assert told(found) == [("unreachable", "r2", "r1")]
    assert found[0].message == '"r2" is unreachable: "r1" says STOP first, for all it is true for.'


def test_the_else_of_a_stop_counts_as_well() -> None:
    entries = rules('IF age > 30 THEN SHOW "x" ELSE STOP', 'IF age IS MISSING THEN SHOW "y"')
    assert told(check_rules(entries, TYPES)) == [("unreachable", "r2", "r1")]


def test_a_rule_with_an_else_still_does_something() -> None:
    assert check_rules(rules("IF age > 30 THEN STOP", 'IF age > 40 THEN SHOW "x" ELSE SHOW "y"'), TYPES) == []


def test_a_rule_whose_contents_an_only_has_removed_is_powerless() -> None:
    texts = ('IF city = "Paris" THEN ONLY "x"', 'IF city = "Paris" AND age > 1 THEN BOOST "y" BY 2')
    assert told(check_rules(rules(*texts), TYPES)) == [("powerless", "r2", "r1")]


def test_targets_are_looked_up_when_it_is_told_how() -> None:
    entries = rules('IF age > 1 THEN ONLY TAGGED "eco"', 'IF age > 2 THEN BOOST "leaf" BY 2')
    keys = {'TAGGED "eco"': frozenset({"leaf", "tree"}), '"leaf"': frozenset({"leaf"})}

    def reach(target: object) -> frozenset[str]:
        return keys['TAGGED "eco"' if hasattr(target, "tag") else '"leaf"']

    assert told(check_rules(entries, TYPES)) == [("powerless", "r2", "r1")]
    assert check_rules(entries, TYPES, reach=reach) == []


def test_what_cannot_be_proved_is_measured() -> None:
    entries = rules("IF age >= 20 THEN STOP", 'IF city = "Paris" THEN SHOW "x"', 'IF age < 10 THEN SHOW "y"')
    found = check_rules(entries, TYPES, PEOPLE, NOW)
    assert told(found) == [("shadowed", "r2", "r1")]
    assert (found[0].share, found[0].customers) == (0.8, 50)
    assert found[0].message == '"r2" is shadowed for 80 % of its 50 customers by rule "r1".'


def test_a_rule_for_nobody_is_told() -> None:
    assert told(check_rules(rules("IF age > 500 THEN STOP"), TYPES, PEOPLE, NOW)) == [("empty", "r1", None)]
    assert told(check_rules(rules("IF age > 5 AND age < 3 THEN STOP"), TYPES)) == [("never", "r1", None)]


def test_a_tie_is_told_only_where_both_can_meet() -> None:
    show, hide = 'IF city = "Paris" THEN SHOW "x"', 'IF age > 5 THEN HIDE "x"'
    assert told(check_rules(rules(show, hide), TYPES)) == [("tie", "r2", "r1")]
    assert check_rules(rules(show, 'IF city = "Berlin" THEN HIDE "x"'), TYPES) == []
    first, second = rules(show, hide)
    higher = Entry(first.key, first.rule, 5)
    assert told(check_rules([higher, second], TYPES)) == [("contradiction", "r2", "r1")]


def test_rules_of_different_placements_never_meet() -> None:
    first, second = rules("IF age > 30 THEN STOP", 'IF age > 40 THEN SHOW "x"')
    here = Entry("r1", first.rule, 0, frozenset({"home"}))
    assert check_rules([here, Entry("r2", second.rule, 0, frozenset({"shop"}))], TYPES) == []
    assert told(check_rules([here, second], TYPES)) == [("unreachable", "r2", "r1")]


def test_segments_in_a_circle_are_found_once() -> None:
    segments = {
        "a": parse_condition('IN SEGMENT "b"'),
        "b": parse_condition('IN SEGMENT "c" AND x = 1'),
        "c": parse_condition('NOT customer_segment IN ("a", "z")'),
        "d": parse_condition('segments CONTAINS "d"'),
        "e": parse_condition('IN SEGMENT "a"'),
        "f": parse_condition("x = 1"),
    }
    assert segment_circles(segments) == [("a", "b", "c"), ("d",)]
    assert segment_circles({"f": parse("x = 1")}) == []  # type: ignore[dict-item]
