"""Two doors, one answer: the WSGI lane and Django's view; health, schema and explanations over HTTP."""

import io
import json
import subprocess
import sys

import pytest
from django.test import Client

from decisioning.api import reading, views
from decisioning.config import wsgi
from decisioning.store import keys

from ..flows.conftest import *  # noqa: F403  (the same small site)

BODY = json.dumps({"customer_id": "c-1", "placements": ["hero"], "request_id": "r"}).encode()


@pytest.fixture(autouse=True)
def same_holder(site, monkeypatch):
    """Views that ask the holder themselves ask the test's."""
    for module in (reading, views):
        monkeypatch.setattr(module, "holder", site.holder)
    monkeypatch.setattr(views, "ledger", site.ledger)


def through_wsgi(path: str, body: bytes, key: str, method: str = "POST") -> tuple[str, dict[str, str], bytes]:
    seen: list = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "HTTP_AUTHORIZATION": f"Bearer {key}",
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }
    answer = b"".join(wsgi.application(environ, lambda status, headers, *rest: seen.append((status, dict(headers)))))
    return seen[0][0], seen[0][1], answer


def through_django(path: str, body: bytes, key: str):
    return Client().post(path, body, content_type="application/json", headers={"authorization": f"Bearer {key}"})


def without_time(raw: bytes) -> dict:
    return {name: value for name, value in json.loads(raw).items() if name not in ("took_ms", "cache")}


def test_both_doors_give_the_same_answer(site):
    status, headers, lane = through_wsgi("/v1/decide", BODY, site.key)
    view = through_django("/v1/decide", BODY, site.key)
    assert (status, view.status_code) == ("200 OK", 200)
    assert without_time(lane) == without_time(view.content)
    assert headers["Cache-Control"] == view.headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(("path", "body"), [("/v1/decide", b"{"), ("/v1/outcomes", b"{}"), ("/v1/track", b"[]")])
def test_both_doors_refuse_alike(site, path, body):
    status, _, lane = through_wsgi(path, body, site.key)
    view = through_django(path, body, site.key)
    assert (status[:3], lane) == (str(view.status_code), view.content)


def test_a_body_that_is_too_large_is_refused_by_both(site):
    large = b" " * 600_000
    assert through_wsgi("/v1/decide", large, site.key)[0].startswith("413")
    assert through_django("/v1/decide", large, site.key).status_code == 413


def test_other_methods_are_told_to_post(site):
    answer = Client().get("/v1/decide")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_decision_is_explained_with_each_tests_value(site):
    site.rule("adults", 'IF age > 18 THEN HIDE "apple"')
    site.publish()
    decision = site.decide()["placements"][0]["decision_id"]
    site.ledger.flush()
    answer = Client().get(f"/v1/decisions/{decision}", headers={"x-api-key": site.key})
    explained = answer.json()
    assert answer.status_code == 200
    assert explained["facts"] == {"age": 30}
    assert explained["rules"][0]["text"] == 'IF age > 18 THEN HIDE "apple"'
    assert "30" in json.dumps(explained["rules"][0]["tests"])
    assert explained["dropped"]["apple"] == "hidden by rule adults"


def test_an_unknown_decision_is_a_404_and_a_missing_key_a_401(site):
    address = "/v1/decisions/019a0000-0000-7000-8000-000000000000"
    assert Client().get(address, headers={"x-api-key": site.key}).status_code == 404
    assert Client().get(address).status_code == 401


@pytest.mark.parametrize("path", ["/v1/decide/", "/v1/nothing", "/v1/"])
def test_an_address_that_does_not_exist_is_a_404_in_json(path):
    answer = Client().post(path, b"{}", content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_address")


def test_health_needs_nothing_and_readiness_names_the_snapshot(site):
    assert Client().get("/healthz").json() == {"ok": True}
    ready = Client().get("/readyz").json()
    assert (ready["ready"], ready["snapshot"], ready["ledger_dropped"]) == (True, site.holder.current.number, 0)


def test_the_schema_is_valid_and_complete():
    words = ["manage.py", "spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    paths = json.loads(done.stdout)["paths"]
    assert {"/v1/decide", "/v1/outcomes", "/v1/batch", "/v1/decisions/{decision_id}"} <= set(paths)
    body = paths["/v1/decide"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "placements" in body["properties"]


@pytest.mark.parametrize("path", ["/v1/decide", "/v1/decide/batch"])
def test_a_key_that_may_not_read_is_told_nothing_of_what_is_known_of_a_customer(site, path):
    site.rule("adults", 'IF age > 18 THEN HIDE "apple"')
    _, page = keys.create("page", ["decide", "track"], origins=["https://shop.example"])
    site.publish()
    who = {"customer_ids": ["c-1"]} if path.endswith("batch") else {"customer_id": "c-1"}
    asked = json.dumps({**who, "placements": ["hero"], "request_id": "r"}).encode()
    explained = json.dumps({**who, "placements": ["hero"], "request_id": "r", "explain": True}).encode()
    whole, bare = (
        Client().post(path, explained, "application/json", headers={"x-api-key": key}) for key in (site.key, page)
    )
    plain = Client().post(path, asked, "application/json", headers={"x-api-key": page})
    assert (whole.status_code, bare.status_code, plain.status_code) == (200, 200, 200)
    told, untold, simple = (
        one.json().get("decisions", [one.json()])[0]["placements"][0] for one in (whole, bare, plain)
    )
    assert '"value": 30' in json.dumps(told["rules"])
    assert "apple" in told["dropped"]
    assert "30" not in json.dumps(untold["rules"])
    assert untold.get("dropped", {}) == {}
    assert [item["id"] for item in untold["items"]] == ["banana"], "it is decided all the same"
    assert untold["rules"] == simple["rules"]
    assert [error["code"] for error in bare.json()["errors"]] == ["wrong_scope"]
    assert "may not 'read'" in bare.json()["errors"][0]["message"]
    assert plain.json()["errors"] == whole.json()["errors"] == []
