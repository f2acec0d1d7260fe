"""A content's body with templates in it and what is known of the customer in; the body as it is shown, out."""

from collections.abc import Callable, Mapping
from typing import Any

from liquid.exceptions import LiquidError

from campaigns.templates import TemplateProblem, parse

DEEPEST = 20
Failed = Callable[[str], None]


def filled(body: Mapping[str, Any], variables: Mapping[str, Any], failed: Failed) -> dict[str, Any]:
    """Every text of the body that is a template, filled; one that cannot be is empty, and `failed` is told why.

    What is put into a text with markup is escaped: it may be what a customer wrote.
    """
    return {key: _filled(value, variables, failed, key, 1) for key, value in body.items()}


def _filled(value: Any, variables: Mapping[str, Any], failed: Failed, place: str, depth: int) -> Any:
    if isinstance(value, str):
        return _text(value, variables, failed, place) if "{{" in value or "{%" in value else value
    if depth >= DEEPEST:
        return value
    if isinstance(value, dict):
        return {key: _filled(part, variables, failed, f"{place}.{key}", depth + 1) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, variables, failed, f"{place}[{at}]", depth + 1) for at, part in enumerate(value)]
    return value


def _text(template: str, variables: Mapping[str, Any], failed: Failed, place: str) -> str:
    try:
        return str(parse(template, "<" in template).render(variables))
    except TemplateProblem as problem:
        failed(f"{place} is not a template: {problem}")
    except LiquidError as error:
        failed(f"{place} cannot be filled: {error.message}")
    except Exception as error:
        # A filter met a value it was not made for; that is this text's trouble, never the decision's.
        failed(f"{place} cannot be filled: {type(error).__name__}: {error}")
    return ""
