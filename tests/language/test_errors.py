"""What a marketer meets who makes a slip: the place, what was expected, and the cure."""

import pytest

from rules.language import RuleError, limits, parse
from rules.language.parser import parse_condition, parse_rule


def refusal(text: str) -> RuleError:
    with pytest.raises(RuleError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("", 1, 1, "The text is empty"),
        ("a =", 1, 3, "ends too early"),
        ("a = 1 AND", 1, 9, "ends too early"),
        ('a = "x', 1, 5, "not closed"),
        ('a = "x\ny"', 1, 5, "not closed"),
        ('a = "\\d"', 1, 5, "Write \\\\ for a backslash"),
        ("a = 'x'", 1, 5, "double quotes"),
        ("a = “x”", 1, 5, "straight double quotes"),
        ("a = 1 && b = 2", 1, 7, "Write AND."),
        ("a = 1 || b = 2", 1, 7, "Write OR."),
        ("a == 1 ADN b = 1", 1, 8, "Did you mean AND?"),
        ('a contians "x"', 1, 3, "Did you mean CONTAINS?"),
        ('a LIKE "x"', 1, 3, "Write CONTAINS"),
        ("a IS NULL", 1, 3, "IS MISSING"),
        ("a IN ()", 1, 7, "at least one value"),
        ("a = 1 AND ()", 1, 12, "cannot be empty"),
        ("a IN LAST 30 DAYS", 1, 6, "WITHIN LAST 30 DAYS"),
        ("price > 1,000", 1, 10, "thousands separators"),
        ("price > 1000€", 1, 13, "currency"),
        ("first name = 1", 1, 7, 'Names with spaces stand in double quotes'),
        ("a = 2024-02-30", 1, 5, "There is no date 2024-02-30"),
        ("a WITHIN LAST 3 MONTHS", 1, 17, "months differ in length"),
        ("a WITHIN LAST 1.5 DAYS", 1, 15, "whole number"),
        ("a WITHIN LAST 0 DAYS", 1, 15, "whole number"),
        ('a MATCHES "(?=x)"', 1, 11, "RE2"),
        ('a MATCHES "("', 1, 11, "cannot be read"),
        ("a = 1e999", 1, 5, "too large"),
        ('a = "\\ud800"', 1, 5, "surrogate"),
        ("CHANCE 120%", 1, 8, "between 0% and 100%"),
        ("SUM(purchase) > 3", 1, 1, "SUM(purchase.price)"),
        ("COUNT(a WHERE b WITHIN LAST 3 DAYS) > 1", 1, 17, "cannot count from today"),
        ("COUNT(a WHERE CHANCE 5%) > 1", 1, 15, "asks about one event"),
        ('COUNT(a WHERE IN SEGMENT "x") > 1', 1, 15, "asks about one event"),
        ("COUNT(a WHERE COUNT(b) > 1) > 1", 1, 15, "asks about one event"),
        ('IF a = 1 THAN SHOW "x"', 1, 10, "Write THEN"),
        ("IF a = 1 THEN SHOW eco", 1, 20, 'Write it in double quotes: "eco"'),
        ("IF a = 1", 1, 8, "Expected THEN"),
        ('IF a = 1\nTHEN SHOW "x"\nELSE', 3, 4, "Expected BOOST"),
        ('IF a = 1 THEN BOOST "x" BY 0', 1, 28, "above 0"),
        ('IF a = 1 THEN BURY "x" BY 1', 1, 27, "above 1"),
        ('IF a = 1 THEN BURY "x" BY 1e9', 1, 27, "MAX_FACTOR"),
        ('IF a = 1 THEN PIN "x" AT 0', 1, 26, "MAX_POSITION"),
        ('IF a = 1 THEN PIN "x" AT 1.5', 1, 26, "whole number"),
        ('IF a = 1 THEN SHOW ""', 1, 20, "name is empty"),
        ("\n\n  a = \n\n", 3, 5, "ends too early"),
        ("a = 1\r\nAND b ?", 2, 7, "? cannot stand here"),
    ],
)  # fmt: skip
def test_it_names_the_place_and_the_cure(text: str, line: int, column: int, said: str) -> None:
    error = refusal(text)
    assert (error.line, error.column) == (line, column)
    assert said in str(error)


def test_the_caret_stands_under_the_piece_that_is_wrong() -> None:
    text = 'IF age >= 18\n\tAND city LIKE "B"\nTHEN SHOW "x"'
    assert refusal(text).caret(text) == '\tAND city LIKE "B"\n\t         ^^^^'


def test_an_error_says_what_was_expected_in_the_words_of_the_language() -> None:
    assert refusal("IF a = 1 THEN BOOST TAGGED").expected == ('a text in "quotes"',)
    assert "CONTAINS" in refusal("a b").expected
    assert refusal("a IN").expected == ("(",)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("a = 1" + " " * limits.MAX_TEXT, "MAX_TEXT"),
        ("a = 1" + " AND a = 1" * limits.MAX_NODES, "MAX_NODES"),
        ("(" * 1001 + "a = 1" + ")" * 1001, "MAX_NODES"),
        ("NOT " * limits.MAX_DEPTH + "a = 1", "MAX_DEPTH"),
        (f"a IN ({', '.join('5' for _ in range(limits.MAX_LIST + 1))})", "MAX_LIST"),
        (f'a = "{"x" * (limits.MAX_STRING + 1)}"', "MAX_STRING"),
        (f'a MATCHES "{"x" * (limits.MAX_PATTERN + 1)}"', "MAX_PATTERN"),
        (f"a = {'1' * (limits.MAX_DIGITS + 1)}", "MAX_DIGITS"),
        ("a WITHIN LAST 100001 DAYS", "MAX_SPAN"),
    ],
    ids=lambda value: value[:12],
)
def test_each_limit_is_refused_by_name(text: str, limit: str) -> None:
    assert limit in str(refusal(text))


def test_limits_themselves_are_allowed() -> None:
    parse("NOT " * (limits.MAX_DEPTH - 1) + "a = 1")
    parse(f"a IN ({', '.join('5' for _ in range(limits.MAX_LIST))})")
    parse("a = 1" + " AND a = 1" * (limits.MAX_NODES - 2))


def test_a_condition_is_not_a_rule_and_a_rule_no_condition() -> None:
    with pytest.raises(RuleError, match="Leave out IF"):
        parse_condition('IF a = 1 THEN SHOW "x"')
    with pytest.raises(RuleError, match="whole rule"):
        parse_rule("a = 1")


@pytest.mark.parametrize("word", ["and", "in", "last", "count", "only", "show", "days", "true", "if", "version"])
def test_a_keyword_can_be_a_name_in_quotes(word: str) -> None:
    node = parse(f'"{word}" = 1 AND x = FACT "{word}"')
    assert word in str(node)
