"""Pages of other origins: who may ask, who may read, and origins that only look like the right one."""

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from decisioning.store import keys

from ..flows.conftest import *  # noqa: F403  (the same small site)
from .ringed import *  # noqa: F403
from .test_intake import Answer, send

SHOP, OTHER = "https://shop.example", "https://other.example"
ASK = json.dumps({"customer_id": "c-1", "placements": ["hero"]}).encode()
EVENT = json.dumps({"type": "track", "messageId": "m", "userId": "u", "event": "Clicked"}).encode()
ALLOW, TIMING = "Access-Control-Allow-Origin", "Timing-Allow-Origin"
LIKE_IT = [
    "https://shop.example.evil.example",
    "https://evil-shop.example",
    "https://shop.example:8443",
    "http://shop.example",
    "https://SHOP.example",
    "https://shop.example/",
    "https://shop.example.",
    "https://sub.shop.example",
    "https://shop.example@evil.example",
    "https://shop.example https://evil.example",
    "null",
    "*",
    "https://evil.example?https://shop.example",
]


def ask(key: str, path: str = "/v1/decide", body: bytes = ASK, **headers: str) -> Answer:
    return send(path, body, authorization=f"Bearer {key}", **headers)


def preflight(path: str, origin: str) -> Answer:
    return send(path, method="OPTIONS", origin=origin, access_control_request_method="POST")


def test_a_page_of_an_allowed_origin_reads_the_answer_and_its_timing(new_key):
    answer = ask(new_key(origins=[SHOP]), origin=SHOP)
    assert answer.status == 200
    assert (answer.headers[ALLOW], answer.headers[TIMING], answer.headers["Vary"]) == (SHOP, SHOP, "Origin")
    assert "Server-Timing" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", LIKE_IT)
@pytest.mark.parametrize(("path", "body"), [("/v1/decide", ASK), ("/v1/outcomes", b"{}"), ("/v1/track", EVENT)])
def test_a_page_of_another_origin_is_refused_and_may_not_read_why(new_key, path, body, origin):
    answer = ask(new_key(origins=[SHOP]), path, body, origin=origin)
    assert (answer.status, answer.body["error"]["code"]) == (403, "wrong_origin")
    assert ALLOW not in answer.headers
    assert TIMING not in answer.headers
    assert answer.headers["Vary"] == "Origin"


def test_without_an_origin_a_key_for_pages_works_as_servers_and_curl_use_it(new_key):
    answer = ask(new_key(origins=[SHOP]))
    assert answer.status == 200
    assert ALLOW not in answer.headers


def test_a_key_for_servers_opens_no_answer_to_pages(new_key):
    answer = ask(new_key(), origin=SHOP)
    assert answer.status == 200
    assert ALLOW not in answer.headers


@pytest.mark.parametrize("origin", [SHOP, OTHER, "null"])
def test_a_key_for_all_pages_names_nobody(new_key, origin):
    answer = ask(new_key(origins=["*"]), origin=origin)
    assert (answer.status, answer.headers[ALLOW]) == (200, "*")


def test_an_error_is_readable_where_the_answer_would_be(new_key):
    answer = ask(new_key(origins=[SHOP]), body=b"{", origin=SHOP)
    assert (answer.status, answer.headers[ALLOW]) == (400, SHOP)


def test_a_wrong_key_opens_nothing(ring):
    answer = ask("dk_00000000_wrong", origin=SHOP)
    assert answer.status == 401
    assert ALLOW not in answer.headers


@pytest.mark.parametrize("path", ["/v1/decide", "/v1/outcomes"])
def test_a_preflight_is_granted_to_the_origins_of_keys_in_force(new_key, path):
    new_key(origins=[SHOP])
    granted, refused = preflight(path, SHOP), preflight(path, OTHER)
    assert (granted.status, refused.status) == (204, 204)
    assert granted.headers[ALLOW] == SHOP
    assert granted.headers["Access-Control-Allow-Methods"] == "POST"
    assert {"Authorization", "Content-Type"} <= set(granted.headers["Access-Control-Allow-Headers"].split(", "))
    assert refused.headers == {"Vary": "Origin"}


@pytest.mark.parametrize("origin", LIKE_IT)
def test_a_preflight_is_fooled_by_no_origin_that_looks_like_it(new_key, origin):
    new_key(origins=[SHOP])
    assert ALLOW not in preflight("/v1/decide", origin).headers


def test_a_preflight_is_granted_by_no_key_of_another_scope_ended_or_switched_off(new_key, ring):
    new_key("track", origins=[SHOP])
    new_key("decide", origins=[OTHER], expires_at="2020-01-01T00:00:00Z")
    new_key("decide", origins=["https://third.example"], active=False)
    for origin in (SHOP, OTHER, "https://third.example"):
        assert ALLOW not in preflight("/v1/decide", origin).headers
    assert preflight("/v1/outcomes", SHOP).headers[ALLOW] == SHOP


def test_tracking_stays_open_to_all_pages_for_keys_without_origins(new_key):
    key = new_key("track")
    assert ask(key, "/v1/track", EVENT, origin=OTHER).headers[ALLOW] == "*"
    assert ask(new_key("track", origins=[SHOP]), "/v1/track", EVENT, origin=SHOP).status == 200


def test_a_key_in_the_body_or_the_address_is_bound_to_its_origins_too(new_key):
    key = new_key("track", origins=[SHOP])
    body = json.dumps({**json.loads(EVENT), "writeKey": key}).encode()
    for origin, status in ((SHOP, 200), (OTHER, 403)):
        assert send("/v1/t", body, origin=origin).status == status
        assert send(f"/beacon/v1/batch?writeKey={key}", b'{"batch": []}', origin=origin).status in (status, 400)
        assert send(f"/v1/projects/{key}/settings", method="GET", origin=origin).status == status
        assert send(f"/sourceConfig/?writeKey={key}", method="GET", origin=origin).status == status


def test_the_view_and_the_lane_open_alike(new_key):
    key = new_key(origins=[SHOP])
    for path, method in (("/v1/decide", "post"), ("/v1/decide", "options"), ("/v1/outcomes", "options")):
        lane = send(path, ASK, method.upper(), authorization=f"Bearer {key}", origin=SHOP)
        headers = {"authorization": f"Bearer {key}", "origin": SHOP}
        view = getattr(Client(), method)(path, ASK, content_type="application/json", headers=headers)
        assert (lane.status, lane.headers[ALLOW]) == (view.status_code, view.headers[ALLOW])


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example/", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("*", "*"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(typed, kept):
    assert keys.origin_of(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "null",
        "shop.example",
        "https://",
        "https://*.shop.example",
        "https://shop.example/path",
        "https://shop.example?x",
        "https://shop.example#x",
        "https://user@shop.example",
        "https://shop.example:99999",
        "https://shop.example:port",
        "ftp://shop.example",
        "javascript:alert(1)",
        "https://shop.example, https://other.example",
        "https://shop.example https://other.example",
        "https://shop.example\r\nSet-Cookie: a=b",
        "https://shop.example\nX-Header: 1",
        "https://shop\t.example",
        "https://shop.example\x00",
        "https://shop.example\u2028",
        "https://-shop.example",
        "https://shop..example",
        "https://[::1",
        "https://" + "a" * 64 + ".example",
    ],
)
def test_what_is_no_origin_or_would_break_a_header_is_refused_when_it_is_saved(db: Any, typed: str):
    with pytest.raises(ValidationError, match="as the browser sends it"):
        keys.create("page", ["decide"], origins=[typed])
    assert not keys.ApiKey.objects.exists()
