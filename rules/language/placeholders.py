"""A condition with `$names` and their values in; the condition, with each value as a literal of its type, out.

    department = $department AND price <= $most

A value is written as a literal of the language before the text is parsed, so nothing it holds can become syntax.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final

from rules.language.nodes import Condition
from rules.language.parser import parse_condition
from rules.language.printer import value_text
from rules.language.values import ISO_DATE

NAME: Final = r"[a-z_][a-z0-9_]{0,49}"
# A text in quotes stays as it is; what stands outside of one may be a name.
PART: Final = re.compile(rf'"(?:[^"\\]|\\.)*"|\$({NAME})')
TYPES: Final = ("text", "number", "boolean", "date", "text_list", "number_list")
MOST_IN_A_LIST: Final = 200
SAMPLES: Final[Mapping[str, Any]] = {
    "text": "x",
    "number": 1,
    "boolean": True,
    "date": "2026-01-01",
    "text_list": ["x"],
    "number_list": [1],
}


class WrongValue(ValueError):
    """A value that is missing, unknown or of another type; the message names the cure."""


def names_in(text: str) -> list[str]:
    """The `$names` of a text, each once, in their order."""
    return list(dict.fromkeys(match.group(1) for match in PART.finditer(text) if match.group(1)))


def tried(text: str, types: Mapping[str, str]) -> Condition:
    """The condition with a value of each type in it, to see whether it can be read. Raises RuleError and WrongValue."""
    return filled(text, types, {name: SAMPLES[kind] for name, kind in types.items()})


def filled(text: str, types: Mapping[str, str], values: Mapping[str, Any]) -> Condition:
    """The condition with these values (as JSON has them). Raises WrongValue, and RuleError for a text that is none."""
    for name in values:
        if name not in types:
            near = get_close_matches(name, types, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(sorted(types)) or 'no values'}."
            raise WrongValue(f"The filter has no value {name!r}; {hint}")
    literals = {name: _literal(name, kind, values.get(name)) for name, kind in types.items()}
    return _parsed(PART.sub(lambda match: _written(match, literals), text))


def _written(match: re.Match[str], literals: Mapping[str, str]) -> str:
    name = match.group(1)
    if not name:
        return match.group()
    if name not in literals:
        raise WrongValue(f"${name} has no type; add a line such as: {name} text")
    return literals[name]


@lru_cache(maxsize=2048)
def _parsed(text: str) -> Condition:
    return parse_condition(text)


def _literal(name: str, kind: str, value: Any) -> str:
    if value is None:
        raise WrongValue(f"The filter needs the value {name!r}, of type {kind}.")
    if kind in ("text_list", "number_list"):
        if not isinstance(value, list) or not 0 < len(value) <= MOST_IN_A_LIST:
            raise WrongValue(f"{name!r} is a list of 1 to {MOST_IN_A_LIST} values.")
        return f"({', '.join(_literal(name, kind.removesuffix('_list'), one) for one in value)})"
    if not _fits(kind, value):
        raise WrongValue(f"{name!r} is of type {kind}, such as {SAMPLES[kind]!r}.")
    return value if kind == "date" else value_text(value)


def _fits(kind: str, value: Any) -> bool:
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "boolean":
        return isinstance(value, bool)
    return isinstance(value, str) and (kind != "date" or _is_date(value))


def _is_date(text: str) -> bool:
    if not ISO_DATE.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
