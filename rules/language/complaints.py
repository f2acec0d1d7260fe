"""Comes in: what the parser stumbled over. Goes out: a `RuleError` in plain words, its place in the text."""

import difflib

from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from rules.language.errors import RuleError
from rules.language.grammar import words_for
from rules.language.tokens import width_of

Problem = UnexpectedToken | UnexpectedCharacters

STRAIGHT = 'Use straight double quotes: "…".'
SIGNS = {
    "“": STRAIGHT,
    "”": STRAIGHT,
    "„": STRAIGHT,
    "«": STRAIGHT,
    "'": 'Texts stand in double quotes: "…".',
    "&": "Write AND.",
    "|": "Write OR.",
    "!": "Write NOT, or != for “is not”.",
    "[": "Lists stand in parentheses: IN (1, 2).",
    "{": "Groups stand in parentheses.",
    "$": "Leave out the currency.",
    "€": "Leave out the currency.",
    "~": "For patterns write MATCHES.",
    "-": "The language does not calculate; a name with a hyphen stands in double quotes.",
    "+": "The language does not calculate.",
    "*": "The language does not calculate.",
    ";": "Actions are separated by commas.",
}
WORDS = {
    "NULL": "Write IS MISSING or IS PRESENT.",
    "LIKE": "Write CONTAINS, STARTS WITH, ENDS WITH or MATCHES.",
    "EQUALS": "Write =.",
    "IS": "Write =, IS MISSING or IS PRESENT.",
    "XOR": "Write (a AND NOT b) OR (b AND NOT a).",
    "HAS": "Write CONTAINS.",
    "THAN": "Write THEN before the actions.",
    "ELSEIF": "Write a second rule.",
    "ELIF": "Write a second rule.",
    "LAST": "For a date write WITHIN LAST 30 DAYS.",
    "STARTS": "Write STARTS WITH.",
    "ENDS": "Write ENDS WITH.",
    "MONTH": "Count in DAYS or WEEKS; months differ in length.",
    "MONTHS": "Count in DAYS or WEEKS; months differ in length.",
    "YEAR": "Count in DAYS.",
    "YEARS": "Count in DAYS.",
    "SECONDS": "The smallest unit is MINUTES.",
}


def complaint(problem: Problem, text: str) -> RuleError:
    """The error for a marketer: what was found, what was expected, and the cure for the usual slips."""
    if isinstance(problem, UnexpectedCharacters):
        return _strange_character(problem, text)
    token = problem.token
    if token.type == "$END":
        return _ended_early(problem, text)
    if token.type == "PATTERN":
        return _unreadable(token.line, token.column, width_of(token))
    expected = _expected(problem)
    hint = _hint(str(token), token.type, expected)
    shown = str(token) if len(token) <= 40 else f"{token[:40]}…"
    message = f"{shown} cannot stand here."
    return RuleError(message, token.line, token.column, token.column + width_of(token), expected, hint)


def _strange_character(problem: UnexpectedCharacters, text: str) -> RuleError:
    start = problem.pos_in_stream or 0
    sign, rest = text[start], text[start:]
    line, column = problem.line, problem.column
    if sign == '"':
        return _unclosed(rest.split("\n", 1)[0], line, column)
    shown = sign if sign.isprintable() else f"The character U+{ord(sign):04X}"
    return RuleError(f"{shown} cannot stand here.", line, column, column + 1, _expected(problem), SIGNS.get(sign))


def _unclosed(rest: str, line: int, column: int) -> RuleError:
    """A text without its closing quote, or with something in it that has to be written otherwise."""
    if '"' in rest[1:]:
        return _unreadable(line, column, 1)
    message = "This text is not closed."
    return RuleError(message, line, column, column + max(1, len(rest.rstrip())), hint='Put a " behind its last word.')


def _unreadable(line: int, column: int, width: int) -> RuleError:
    message = "This text has a backslash or a control character that cannot be read."
    return RuleError(message, line, column, column + width, hint='Write \\\\ for a backslash and \\" for a quote.')


def _ended_early(problem: UnexpectedToken, text: str) -> RuleError:
    """The place is that of the last character, so that an editor has something to underline."""
    shown = text.rstrip()
    if not shown:
        return RuleError("The text is empty.", expected=("a condition", "IF … THEN …"))
    line, column = shown.count("\n") + 1, max(1, len(shown) - shown.rfind("\n") - 1)
    return RuleError("The text ends too early, behind this.", line, column, column + 1, _expected(problem))


def _expected(problem: Problem) -> tuple[str, ...]:
    return words_for(set(problem.interactive_parser.accepts()))


def _hint(word: str, kind: str, expected: tuple[str, ...]) -> str | None:
    upper = " ".join(word.upper().split())
    if upper in WORDS:
        return WORDS[upper]
    if kind == "IN_LAST":
        return WORDS["LAST"]
    if kind == "COMMA" and ("THEN" in expected or "the end" in expected):
        return "Write numbers without thousands separators, and AND or OR between tests."
    if kind == "RPAR" and "(" in expected:
        return "A group cannot be empty."
    if kind == "RPAR" and "a number" in expected:
        return "A list needs at least one value."
    if kind == "NAME" and 'a text in "quotes"' in expected and "a number" not in expected:
        return f'Write it in double quotes: "{word}".'
    if kind != "NAME":
        return None
    spaced = 'Names with spaces stand in double quotes: "like this".' if "BETWEEN" in expected else None
    return did_you_mean(upper, [known for known in expected if known.isupper()]) or spaced


def did_you_mean(word: str, known: list[str]) -> str | None:
    """The hint naming the known word closest to `word`."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else None
