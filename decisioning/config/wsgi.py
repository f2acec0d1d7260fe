"""The WSGI door: hot paths are answered before Django's request stack, everything else by Django.

Both lanes lead to the same functions in `decisioning.api.doors`; the Django views add OpenAPI and nothing else.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "decisioning.config.settings")
_django = get_wsgi_application()

from decisioning.api import ofrep  # noqa: E402  (needs Django's apps loaded)
from decisioning.api.doors import MAX_READ, answer, is_hot  # noqa: E402
from decisioning.config.garbage import search_seldom  # noqa: E402
from decisioning.customers.intake import places  # noqa: E402
from decisioning.customers.intake.bots import is_bot  # noqa: E402

STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
READ = {
    "authorization": "HTTP_AUTHORIZATION",
    "x-api-key": "HTTP_X_API_KEY",
    "content-type": "CONTENT_TYPE",
    "content-encoding": "HTTP_CONTENT_ENCODING",
    "user-agent": "HTTP_USER_AGENT",
    "origin": "HTTP_ORIGIN",
    "if-none-match": "HTTP_IF_NONE_MATCH",
    "anonymousid": "HTTP_ANONYMOUSID",
}
if places.wanted():
    READ |= {name: "HTTP_" + name.upper().replace("-", "_") for name in places.header_names()}
    READ[places.PEER] = "REMOTE_ADDR"
EMPTY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
DRAIN_SECONDS, DRAIN_BYTES = 1.0, 256 * 1024
# The first look at a browser's name compiles the patterns, for a sixth of a second: no request should wait for that.
is_bot("Mozilla/5.0")
search_seldom()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """PEP 3333."""
    path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD", "")
    if not (hot := is_hot(method, path)) and not ofrep.is_flags(method, path):
        return _django(environ, start_response)
    headers = {name: environ.get(variable, "") for name, variable in READ.items()}
    if "HTTP_CE_SPECVERSION" in environ:
        headers |= cloudevent_headers(environ)
    # One byte more than allowed tells a body that is too large from one that just fits.
    body = environ["wsgi.input"].read(MAX_READ + 1) if method == "POST" else b""
    if hot:
        reply = answer(path, headers, body, environ.get("QUERY_STRING", ""), method)
    else:
        reply = ofrep.answer_path(method, path, headers, body)
    length = [] if reply.status in EMPTY else [("Content-Length", str(len(reply.body)))]
    start_response(STATUS[reply.status], [*reply.headers, *length])
    return [reply.body] if len(body) <= MAX_READ else told_early(reply.body, environ["wsgi.input"])


def told_early(answer: bytes, stream: Any) -> Iterator[bytes]:
    """The answer first, then the rest of the body is taken and thrown away, for a while.

    Many clients read the answer only when all is sent; cut off at once, they would see a broken connection instead.
    """
    yield answer
    until = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < until and stream.read(DRAIN_BYTES):
        pass


def cloudevent_headers(environ: dict[str, Any]) -> dict[str, str]:
    """The `ce-…` headers, which hold a CloudEvent's attributes in binary mode."""
    return {
        variable[5:].replace("_", "-").lower(): value
        for variable, value in environ.items()
        if variable.startswith("HTTP_CE_")
    }
