"""A flag client's body in; for whom it asks, and its context in Segment's names, out.

Source: OpenFeature Remote Evaluation Protocol (OFREP) 0.3, https://github.com/open-feature/protocol.
"""

from typing import Any, Final, NamedTuple

import msgspec

from ..customers.intake import strict
from ..engine.context import PATHS
from .contract import MAX_BODY

ANONYMOUS: Final = "anonymous:"
RESERVED: Final = frozenset({"targetingKey", "anonymous", "request_id"})
LONGEST_ID, LONGEST_REQUEST, DEEPEST_NAME = 200, 100, 8


class Failed(Exception):
    """A question that has no answer: HTTP status, OpenFeature's error code, and a sentence that says the cure."""

    def __init__(self, status: int, code: str, details: str) -> None:
        super().__init__(details)
        self.status, self.code, self.details = status, code, details

    def body(self, key: str | None = None) -> bytes:
        """The error as OFREP has it; with the flag's key where one flag was asked for."""
        named = {} if key is None else {"key": key}
        return msgspec.json.encode({**named, "errorCode": self.code, "errorDetails": self.details})


class Question(NamedTuple):
    """For whom (one member of a decide body), with which facts of the moment, and what seeds the dice."""

    who: dict[str, str]
    context: dict[str, Any]
    request_id: str = ""


def read(body: bytes) -> Question:
    """The question of a body `{"context": {"targetingKey": …}}`. Raises Failed with the code that OFREP has for it."""
    if len(body) > MAX_BODY:
        raise Failed(400, "PARSE_ERROR", f"The body is larger than {MAX_BODY // 1024} KiB; send a smaller context.")
    try:
        asked, _ = strict.read(body)
    except strict.Unfit as error:
        raise Failed(400, "PARSE_ERROR", f"The body cannot be read: {error.message}") from None
    if not isinstance(asked, dict):
        raise Failed(400, "PARSE_ERROR", 'The body is an object: {"context": {"targetingKey": "…"}}.')
    context = asked.get("context") or {}
    if not isinstance(context, dict):
        raise Failed(400, "INVALID_CONTEXT", 'context is an object: {"targetingKey": "…"} and what else is known.')
    seed = context.get("request_id", "")
    if not isinstance(seed, str) or len(seed) > LONGEST_REQUEST:
        raise Failed(400, "INVALID_CONTEXT", f"context.request_id is a text of at most {LONGEST_REQUEST} characters.")
    return Question(_whom(context), moment(context), seed)


def _whom(context: dict[str, Any]) -> dict[str, str]:
    key = context.get("targetingKey")
    if key is not None and not isinstance(key, str):
        raise Failed(400, "INVALID_CONTEXT", "context.targetingKey is a text: a customer id, or anonymous:<id>.")
    if not isinstance(context.get("anonymous", False), bool | None):
        cure = "context.anonymous is true or false: whether the targetingKey is an anonymous id."
        raise Failed(400, "INVALID_CONTEXT", cure)
    plain = (key or "").removeprefix(ANONYMOUS)
    if not plain.strip():
        cure = "Say for whom: context.targetingKey is a customer id, or anonymous:<id> for somebody not logged in."
        raise Failed(400, "TARGETING_KEY_MISSING", cure)
    if len(plain) > LONGEST_ID:
        raise Failed(400, "INVALID_CONTEXT", f"context.targetingKey has more than {LONGEST_ID} characters.")
    return {"anonymous_id" if plain != key or context.get("anonymous") is True else "customer_id": plain}


def moment(context: dict[str, Any]) -> dict[str, Any]:
    """A flag client's context in Segment's names.

    Names may be nested (`{"page": {"path": …}}`), dotted (`page.path`) or those of our facts of the moment (`path`);
    where two spellings disagree, the nested one holds before the dotted one, and that before the fact's.
    """
    made: dict[str, Any] = {}
    for name in sorted(context.keys() - RESERVED, key=lambda one: (_is_nested(context[one]), "." in one, one)):
        value = context[name]
        path = tuple(name.split(".")) if "." in name else (name,)
        if not _is_nested(value):
            path = PATHS.get(name, path)
        _put(made, path if len(path) <= DEEPEST_NAME else (name,), value)
    return made


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict)


def _put(into: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for step in path[:-1]:
        if not isinstance(into.get(step), dict):
            into[step] = {}
        into = into[step]
    held = into.get(path[-1])
    if isinstance(held, dict) and isinstance(value, dict):
        for name, part in value.items():
            _put(held, (name,), part)
    else:
        into[path[-1]] = value
