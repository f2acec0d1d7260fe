"""The WSGI door: hot paths are answered before Django's request stack, everything else by Django.

Both lanes lead to the same functions in `decisioning.api.doors`; the Django views add OpenAPI and nothing else.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "decisioning.config.settings")
_django = get_wsgi_application()

from decisioning.api.doors import MAX_READ, answer, is_hot  # noqa: E402  (needs Django's apps loaded)

STATUS = {
    200: "200 OK",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    413: "413 Content Too Large",
    503: "503 Service Unavailable",
}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """PEP 3333."""
    path = environ.get("PATH_INFO", "")
    if environ.get("REQUEST_METHOD") != "POST" or not is_hot(path):
        return _django(environ, start_response)
    headers = {
        "authorization": environ.get("HTTP_AUTHORIZATION", ""),
        "x-api-key": environ.get("HTTP_X_API_KEY", ""),
    }
    # One byte more than allowed tells a body that is too large from one that just fits.
    body = environ["wsgi.input"].read(MAX_READ + 1)
    reply = answer(path, headers, body)
    start_response(STATUS[reply.status], [*reply.headers, ("Content-Length", str(len(reply.body)))])
    return [reply.body]
