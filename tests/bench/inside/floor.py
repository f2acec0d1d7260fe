"""A WSGI application that reads a body and answers the same bytes to all: what the server alone costs."""

from collections.abc import Callable, Iterable
from typing import Any

# As long as the answer of a decision with three contents.
ANSWER = b'{"padding":"' + b"x" * 1800 + b'"}'
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(ANSWER)))]


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """PEP 3333."""
    environ["wsgi.input"].read()
    start_response("200 OK", HEADERS)
    return [ANSWER]
