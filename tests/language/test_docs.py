"""docs/rules.md is run: its Python, its rules, its tables of meaning and of limits."""

import doctest
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import rules.language
from rules.language import format, limits, matches, parse
from rules.language.operators import OPERATORS
from rules.language.parser import parse_rule

PAGE = Path(__file__).parent.parent.parent / "docs" / "rules.md"
TEXT = PAGE.read_text(encoding="utf-8")
NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
MEANINGS = re.findall(r"^\| `(.+)` \| `(\{.*\})` \| (true|false) \|$", TEXT, re.MULTILINE)


def test_its_python_prints_what_it_says() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8", optionflags=doctest.ELLIPSIS)
    assert tried > 20
    assert failed == 0


@pytest.mark.parametrize(("condition", "facts", "answer"), MEANINGS)
def test_its_tables_of_meaning_hold(condition: str, facts: str, answer: str) -> None:
    assert matches(parse(condition), json.loads(facts), NOW) is (answer == "true")


def test_there_are_meanings_to_hold() -> None:
    assert len(MEANINGS) >= 40


def test_its_rules_are_rules() -> None:
    found = re.findall(r"```rule\n(.*?)```", TEXT, re.DOTALL)
    assert found
    for text in found:
        assert format(parse_rule(text)) == text.rstrip()


def test_its_limits_are_the_limits() -> None:
    told = {name: int(number.replace(",", "")) for name, number in re.findall(r"^\| (MAX_\w+) \| ([\d,]+)", TEXT, re.M)}
    assert told == {name: value for name, value in vars(limits).items() if name.startswith("MAX_")}


def test_it_names_every_operator() -> None:
    for word in OPERATORS:
        assert word in TEXT


def test_the_public_face_is_what_the_page_imports() -> None:
    names = {"RuleError", "RuleIndex", "check", "explain", "format", "matches", "matching_frame", "parse"}
    assert set(rules.language.__all__) == names
