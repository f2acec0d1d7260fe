"""Text → nodes → text → JSON → nodes: nothing is lost, and no text breaks the parser."""

import json
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.language import RuleError, format, parse
from rules.language.codec import from_json, to_json
from rules.language.nodes import Node
from tests.examples import examples
from tests.language.strategies import everything, rules

TRIES = int(os.environ.get("FUZZ", "3000"))  # FUZZ=100000 is the long run


@examples(300)
@given(everything | rules)
def test_what_is_printed_is_read_back_as_the_same_nodes(node: Node) -> None:
    text = format(node)
    assert parse(text) == node
    assert format(parse(text)) == text


@examples(200)
@given(everything | rules)
def test_json_gives_the_same_nodes_back(node: Node) -> None:
    assert from_json(json.loads(json.dumps(to_json(node), allow_nan=False))) == node


def parsed_or_placed(text: str) -> None:
    """Parses; an error must lie inside the text, and be ready to be shown."""
    try:
        node = parse(text)
    except RuleError as error:
        lines = text.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= max(1, len(lines[error.line - 1]))
        assert error.column < error.end_column <= max(2, len(lines[error.line - 1]) + 1)
        assert str(error).startswith(f"Line {error.line}, column {error.column}: ")
        assert "^" in error.caret(text)
    else:
        assert parse(format(node)) == node


WORDS = [
    *(
        "IF",
        "THEN",
        "ELSE",
        "AND",
        "OR",
        "NOT",
        "IN",
        "BETWEEN",
        "CONTAINS",
        "STARTS",
        "WITH",
        "ENDS",
        "MATCHES",
    ),
    *(
        "IS",
        "MISSING",
        "PRESENT",
        "EMPTY",
        "IGNORING",
        "CASE",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "%",
    ),
    *(
        '"a"',
        '""',
        '"é"',
        "5",
        "-1",
        "1.5",
        "1.2.3",
        "2024-01-01",
        "TRUE",
        "a",
        "b.c",
        "COUNT",
        "SUM(",
        "COUNT(",
    ),
    *(
        "DAYS",
        "SINCE",
        "LAST",
        "30",
        "WITHIN",
        "SEGMENT",
        "CHANCE",
        "FOR",
        "SHOW",
        "HIDE",
        "ONLY",
        "BOOST",
        "BY",
    ),
    *(
        "PIN",
        "AT",
        "STOP",
        "START",
        "CAMPAIGN",
        "TAGGED",
        "WHERE",
        "NOW",
        "AGO",
        "BEFORE",
        "AFTER",
        "ON",
        "FACT",
    ),
    *("VERSION", "#", "\n", ".", "DISPLAY", "BURY"),
]
SIGNS = "\"\\'#()<>=!,.%0123456789abcIFé🙂\n\r\t \x00\u2028\ufeff-+*/:;{}[]"
VALID = (
    'IF customer_segment = "Eco Shoppers" AND recent_purchase_in_category = "Eco" THEN DISPLAY "eco-banner"',
    'IF COUNT(purchase WHERE category = "Eco") IN LAST 30 DAYS >= 1 AND NOT device = "kiosk"\nTHEN SHOW "a", '
    'BOOST TAGGED "eco" BY 1.5, PIN WHERE price > 5 AT 2\nELSE HIDE TAGGED "b", STOP',
    'a BETWEEN 1 AND 2.5 OR (b NOT IN ("x", 5, TRUE) IGNORING CASE AND c WITHIN LAST 3 WEEKS) # why',
    'v >= 2.10.3-rc.1 AND seen BEFORE 2024-01-01T10:00:00+02:00 AND e MATCHES "^\\d+$" AND CHANCE 10%',
)  # fmt: skip


def test_random_signs_and_words_never_break_it() -> None:
    dice = random.Random(1)
    for _ in range(TRIES):
        if dice.random() < 0.5:
            parsed_or_placed("".join(dice.choice(SIGNS) for _ in range(dice.randrange(60))))
        else:
            parsed_or_placed(" ".join(dice.choice(WORDS) for _ in range(dice.randrange(25))))


def test_random_edits_of_valid_rules_never_break_it() -> None:
    dice = random.Random(2)
    for _ in range(TRIES // 10):
        text = dice.choice(VALID)
        for _ in range(dice.randrange(1, 4)):
            start = dice.randrange(len(text) + 1)
            end = min(len(text), start + dice.randrange(4))
            middle = dice.choice(["", dice.choice(SIGNS), dice.choice(WORDS), text[start:end] * 2])
            text = text[:start] + middle + text[end:]
        parsed_or_placed(text)


@examples(200)
@given(st.text(max_size=80))
def test_any_text_at_all_is_parsed_or_refused(text: str) -> None:
    parsed_or_placed(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "NOT " * 4000 + "a = 1",
        "a = 1 AND " * 1500 + "a = 1",
        '"' * 5000,
        "1" * 10_000,
        "a." * 5000,
        "#" * 9000,
    ],
)
def test_texts_made_to_hurt_are_refused_and_not_recursed_into(text: str) -> None:
    with pytest.raises(RuleError):
        parse(text)


COMMENTED = """# who
IF a = 1 # beside a
   AND "#b" = "# no comment"
   # before the or
   AND (c = 1 OR d = 2)
# what
THEN SHOW "x" # shown
# at the end
"""
LAID_OUT = """# who
# beside a
IF a = 1
   AND "#b" = "# no comment"
# before the or
   AND (c = 1 OR d = 2)
# what
# shown
THEN SHOW "x"
# at the end"""


def test_comments_are_kept_when_the_formatter_has_the_text() -> None:
    laid_out = format(parse(COMMENTED), COMMENTED)
    assert laid_out == LAID_OUT
    assert format(parse(laid_out), laid_out) == laid_out
    assert "#" not in format(parse("a = 1 # gone"))


@examples(150)
@given(everything | rules, st.randoms(use_true_random=False))
def test_no_comment_is_lost_and_the_layout_is_stable(node: Node, dice: random.Random) -> None:
    text = format(node)
    places = [place for place, sign in enumerate(text) if sign == " " and text[:place].count('"') % 2 == 0]
    for number, place in enumerate(sorted(dice.sample(places, min(2, len(places))), reverse=True)):
        text = f"{text[:place]} # note {number}\n{text[place:]}"
    try:
        parsed = parse(text)
    except RuleError:  # the place was inside a text with an escaped quote
        return
    laid_out = format(parsed, text)
    assert parse(laid_out) == parsed
    assert format(parse(laid_out), laid_out) == laid_out
    assert [laid_out.count(f"# note {number}") for number in (0, 1)] == [text.count(f"# note {n}") for n in (0, 1)]


def test_a_long_condition_takes_a_line_per_part() -> None:
    parts = [f'a_rather_long_name_{number} = "{number}"' for number in range(5)]
    assert format(parse(" AND ".join(parts))) == "\nAND ".join(parts)
    assert format(parse(f"IF {' OR '.join(parts)} THEN STOP")) == "IF " + "\n   OR ".join(parts) + "\nTHEN STOP"
