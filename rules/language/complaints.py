"""Comes in: what the parser stumbled over. Goes out: a `RuleError` in plain words, its place inside the text."""

import difflib

from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from rules.language.errors import RuleError
from rules.language.grammar import words_for


def complaint(problem: UnexpectedToken | UnexpectedCharacters, text: str) -> RuleError:
    """The error for a marketer: what was found, what was expected, and the cure for the usual slips."""
    if isinstance(problem, UnexpectedCharacters):
        return _strange_character(problem, text)
    if problem.token.type == "$END":
        return _ended_early(problem, text)
    token = problem.token
    return _error(problem, f'"{token}" cannot stand here.', token.line, token.column, len(token))


def _strange_character(problem: UnexpectedCharacters, text: str) -> RuleError:
    return _error(problem, f'"{text[problem.pos_in_stream]}" cannot stand here.', problem.line, problem.column, 1)


def _ended_early(problem: UnexpectedToken, text: str) -> RuleError:
    shown = text.rstrip()
    line, column = shown.count("\n") + 1, max(1, len(shown) - shown.rfind("\n") - 1)
    return _error(problem, "The text ends too early." if shown else "The text is empty.", line, column, 1)


def _error(problem: UnexpectedToken | UnexpectedCharacters, message: str, line: int, column: int, width: int) -> RuleError:
    expected = words_for(set(getattr(problem, "accepts", None) or getattr(problem, "allowed", None) or ()))
    return RuleError(message, line, column, column + max(1, width), expected)


def did_you_mean(word: str, known: list[str]) -> str | None:
    """The hint naming the known word closest to `word`."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f'Did you mean "{close[0]}"?' if close else None
