"""Flags through two doors: the WSGI lane and Django's view answer with the same status, headers and bytes."""

import io
import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from decisioning.api import ofrep
from decisioning.config import wsgi
from decisioning.store import keys

from ..flows.conftest import *  # noqa: F403  (the same small site)
from .ringed import *  # noqa: F403

BULK = "/ofrep/v1/evaluate/flags"
ASKED = b'{"context": {"targetingKey": "anonymous:a-1", "request_id": "r"}}'
# What differs from one decision to the next: its ids, its token, the moment in a tag, what stages took.
PASSING = re.compile(rb'"(decision_id|token)":"[^"]*"')
ORIGIN = "https://shop.example"


@pytest.fixture(autouse=True)
def same_holder(site, monkeypatch):
    for name in ("holder", "ledger"):
        monkeypatch.setattr(ofrep, name, getattr(site, name))


@pytest.fixture
def to_django(monkeypatch) -> list[str]:
    """The paths that the lane left to Django."""
    left: list[str] = []
    real = wsgi._django

    def passed(environ, start_response):
        left.append(environ["PATH_INFO"])
        return real(environ, start_response)

    monkeypatch.setattr(wsgi, "_django", passed)
    return left


def lane(path: str, body: bytes, method: str = "POST", **headers: str) -> tuple[int, dict[str, str], bytes]:
    seen: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path.encode().decode("latin-1"),
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        **{"HTTP_" + name.upper(): value for name, value in headers.items()},
    }
    answer = b"".join(wsgi.application(environ, lambda status, given, *rest: seen.append((status, dict(given)))))
    return int(seen[0][0][:3]), seen[0][1], answer


def view(path: str, body: bytes, method: str = "POST", **headers: str) -> tuple[int, dict[str, str], bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = Client().generic(method, quote(path), body, "application/json", headers=named)
    return answer.status_code, dict(answer.headers.items()), answer.content


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (BULK, ASKED, 200),
        (f"{BULK}/hero", ASKED, 200),
        (f"{BULK}/hé/ro", ASKED, 404),
        (f"{BULK}/a\nb", ASKED, 404),
        (BULK, b"{", 400),
        (f"{BULK}/hero", b'{"context": {}}', 400),
        (BULK, b" " * 300_000, 400),
    ],
)
def test_both_doors_give_the_same_answer(site, to_django, settings, path, body, status):
    settings.REPLY_CACHE_SECONDS = 0
    mine, theirs = (door(path, body, authorization=f"Bearer {site.key}") for door in (lane, view))
    assert (mine[0], theirs[0]) == (status, status)
    assert PASSING.sub(b"", mine[2]) == PASSING.sub(b"", theirs[2])
    for name in ("Content-Type", "Cache-Control", "Vary"):
        assert mine[1][name] == theirs[1][name]
    assert mine[1].get("ETag", "").partition("-")[0] == theirs[1].get("ETag", "").partition("-")[0]
    assert to_django == []


def test_both_doors_refuse_keys_alike(site):
    tracking = keys.create("tracking", ["track"])[1]
    site.publish()
    for key in ("", "dk_wrong", tracking):
        mine, theirs = (door(BULK, ASKED, x_api_key=key) for door in (lane, view))
        assert (mine[0], mine[2]) == (theirs[0], theirs[2])
        assert mine[0] in (401, 403)


def test_both_doors_know_what_a_client_holds_and_send_nothing_with_it(site, to_django):
    tag = lane(BULK, ASKED, x_api_key=site.key)[1]["ETag"]
    for door in (lane, view):
        status, headers, body = door(BULK, ASKED, x_api_key=site.key, if_none_match=tag)
        assert (status, body, headers["ETag"]) == (304, b"", tag)
        assert "Content-Type" not in headers
    assert to_django == []


def test_both_doors_let_pages_of_a_keys_origins_ask(new_key):
    new_key("decide", origins=[ORIGIN])
    asked = {"origin": ORIGIN, "access_control_request_method": "POST"}
    mine, theirs = (door(f"{BULK}/hero", b"", "OPTIONS", **asked) for door in (lane, view))
    assert mine[0] == theirs[0] == 204
    for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods"):
        assert mine[1][name] == theirs[1][name]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", BULK), ("POST", BULK + "/"), ("POST", BULK + "x"), ("POST", "/ofrep/v1/configuration")]
)
def test_other_addresses_and_methods_are_djangos(site, to_django, method, path):
    status, _, body = lane(path, b"{}", method)
    assert to_django == [path]
    assert status in (404, 405)
    assert "message" in json.loads(body).get("error", {}) or json.loads(body)["errorCode"] == "GENERAL"
