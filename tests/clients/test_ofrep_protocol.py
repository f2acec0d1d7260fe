"""The OpenFeature Remote Evaluation Protocol over HTTP: shapes, tags, errors, origins; and the page's commands."""

from pathlib import Path
from typing import Any
from urllib.request import Request

import jsonschema
import pytest

from decisioning.flows.flags import REASONS, STATIC, UNKNOWN
from decisioning.models import Decision
from decisioning.store import keys

from .ofrep import (
    BULK,
    BULK_FAILURE,
    CODES,
    CONTENTS,
    FAILURE,
    FLAG,
    NOT_FOUND,
    RULE,
    ask,
    curls,
    furnish,
    publish,
    publish_rule,
    run_curl,
    send,
)
from .ofrep import PAGE as PAGE_TEXT
from .page import BLOCK
from .serving import Site, until

pytestmark = pytest.mark.django_db
ANN = {"targetingKey": "c-1"}


PAGE = {"Origin": "https://shop.example"}


@pytest.fixture(scope="module")
def owned(site: Site, django_db_blocker) -> dict[str, str]:
    """Keys of the server: one that may only track, one for a page's visitors, one that may ask once a second."""
    with django_db_blocker.unblock():
        furnish(site)
        made = {
            "tracking": keys.create("tracking", ["track"])[1],
            "page": keys.create("page", ["decide"], origins=[PAGE["Origin"]])[1],
            "slow": keys.create("slow", ["decide"], decide_rate=1)[1],
        }
        until("the keys are known", lambda: ask(site, "/hero", ANN, key=made["slow"])[0] != 401)
    return made


@pytest.fixture
def shop(site: Site, owned: dict[str, str]) -> Site:
    """The running server with the placements of the page."""
    return site


def obeys(schema: dict[str, Any], answer: Any) -> None:
    jsonschema.Draft202012Validator(schema).validate(answer)


@pytest.mark.parametrize("key", CONTENTS)
def test_each_placement_answers_as_a_flag(shop: Site, key: str) -> None:
    status, flag, headers = ask(shop, f"/{key}", ANN)
    assert (status, flag["key"], headers["Content-Type"]) == (200, key, "application/json")
    obeys(FLAG, flag)
    contents = CONTENTS[key]
    assert flag["variant"] == next(iter(contents), "none")
    if contents:
        body = contents[flag["variant"]]
        assert flag["value"] == body.get("value", {"name": body.get("title"), **body})


def test_all_flags_come_together_with_a_tag(shop: Site) -> None:
    status, answer, headers = ask(shop, "", ANN)
    assert status == 200
    obeys(BULK, answer)
    assert [flag["key"] for flag in answer["flags"]] == sorted(CONTENTS)
    assert headers["ETag"].startswith('"')
    assert "no-cache" in headers["Cache-Control"]


def test_a_tag_holds_until_something_else_would_be_shown(shop: Site) -> None:
    someone = {"targetingKey": "anonymous:held"}
    _, _, first = ask(shop, "", someone)
    status, body, again = ask(shop, "", someone, headers={"If-None-Match": first["ETag"]})
    assert (status, body, again["ETag"]) == (304, None, first["ETag"])
    try:
        publish_rule('IF age >= 18 THEN HIDE "checkout-new"')
        publish(shop)
        status, answer, other = ask(shop, "", someone, headers={"If-None-Match": first["ETag"]})
        values = {flag["key"]: flag.get("value") for flag in answer["flags"]}
        assert (status, values["new-checkout"]) == (200, True)
        assert other["ETag"] != first["ETag"]
    finally:
        publish_rule(RULE)
        publish(shop)
    written = Decision.objects.filter(customer_key="anonymous:held")
    until("the ledger is written", lambda: written.count() == 2 * len(CONTENTS))
    assert {row.asked["mode"] for row in written} == {"prefetch"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b"{}", "TARGETING_KEY_MISSING"),
        (b'{"context": {"country": "DE"}}', "TARGETING_KEY_MISSING"),
        (b'{"context": []}', "TARGETING_KEY_MISSING"),
        (b'{"context": "c-1"}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 7}}', "INVALID_CONTEXT"),
    ],
)
def test_what_cannot_be_understood_has_its_code(shop: Site, body: bytes, code: str) -> None:
    for path, schema in (("/hero", FAILURE), ("", BULK_FAILURE)):
        status, answer, _ = ask(shop, path, body)
        assert (status, answer["errorCode"]) == (400, code)
        obeys(schema, answer)


@pytest.mark.parametrize("key", ["her0", "a/b", "%20", "a%00b", "hero/"])
def test_a_flag_that_is_not_there_is_not_found(shop: Site, key: str) -> None:
    status, answer, _ = ask(shop, f"/{key}", ANN)
    assert status == 404
    obeys(NOT_FOUND, answer)


def test_a_key_is_needed_that_may_decide(shop: Site, owned: dict[str, str]) -> None:
    for key, status in (("", 401), ("dk_wrong", 401), (owned["tracking"], 403)):
        for path in ("/hero", ""):
            got, answer, headers = ask(shop, path, ANN, key=key)
            assert (got, answer["errorCode"]) == (status, "GENERAL")
            assert ("WWW-Authenticate" in headers) == (status == 401)


def test_other_methods_are_told_the_right_one(shop: Site) -> None:
    for path in ("", "/hero"):
        address = f"{shop.url}/ofrep/v1/evaluate/flags{path}"
        status, answer, headers = send(Request(address, method="GET"))
        assert (status, headers["Allow"], answer["errorCode"]) == (405, "POST, OPTIONS", "GENERAL")


def test_addresses_beside_these_are_told_to_be_none(shop: Site) -> None:
    for path in ("/ofrep/v1/configuration", "/ofrep/v1/evaluate/flags/"):
        status, answer, _ = send(Request(shop.url + path, b"{}"))
        assert (status, answer["error"]["code"]) == (404, "unknown_address")


def test_pages_of_a_keys_origins_may_ask_and_read_the_tag(shop: Site, owned: dict[str, str]) -> None:
    page, key = PAGE, owned["page"]
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,if-none-match"}
    address = f"{shop.url}/ofrep/v1/evaluate/flags"
    status, _, headers = send(Request(address, headers={**page, **wanted}, method="OPTIONS"))
    assert (status, headers["Access-Control-Allow-Origin"]) == (204, page["Origin"])
    allowed = headers["Access-Control-Allow-Headers"].lower()
    assert [name for name in ("authorization", "content-type", "if-none-match") if name not in allowed] == []
    _, _, first = ask(shop, "", ANN, key=key, headers=page)
    _, _, again = ask(shop, "", ANN, key=key, headers={**page, "If-None-Match": first["ETag"]})
    for got in (first, again):
        assert got["Access-Control-Allow-Origin"] == page["Origin"]
        assert "ETag" in got["Access-Control-Expose-Headers"]
    status, answer, _ = ask(shop, "", ANN, key=key, headers={"Origin": "https://elsewhere.example"})
    assert (status, answer["errorCode"]) == (403, "GENERAL")


def test_a_key_that_asks_too_often_is_told_when_to_come_back(shop: Site, owned: dict[str, str]) -> None:
    answers = (ask(shop, "/hero", ANN, key=owned["slow"]) for _ in range(1000))
    answer, headers = next((answer, headers) for status, answer, headers in answers if status == 429)
    assert (answer["key"], answer["errorCode"]) == ("hero", "GENERAL")
    assert int(headers["Retry-After"]) >= 1


def test_the_pages_commands_are_answered_as_it_says(shop: Site) -> None:
    assert len(curls()) == 2
    for command, documented in curls():
        status, answer, _ = run_curl(command, shop)
        assert status == 200
        assert [tidy(flag) for flag in answer.get("flags", [answer])] == documented.get("flags", [documented])
        assert answer["metadata"].keys() == documented["metadata"].keys()


def tidy(flag: dict[str, Any]) -> dict[str, Any]:
    """A flag without what is another one every time."""
    steady = {name: "…" for name in ("decision_id", "token") if name in flag["metadata"]}
    return {**flag, "metadata": {**flag["metadata"], "snapshot": 41, **steady}}


def test_the_page_tells_every_reason_and_code_and_all_of_its_examples_are_run() -> None:
    assert [reason for reason in {*REASONS.values(), STATIC, UNKNOWN} if f"`{reason}`" not in PAGE_TEXT] == []
    assert [code for code in (*CODES, "FLAG_NOT_FOUND") if f"`{code}`" not in PAGE_TEXT] == []
    tests = "".join(path.read_text() for path in Path(__file__).parents[1].glob("*/test_ofrep_*.py"))
    named = {f"{language} {name}" for language, name, _ in BLOCK.findall(PAGE_TEXT)} - {"sh curl", "json answer"}
    assert len(named) == 3
    assert [name for name in named if f'example("{name}"' not in tests] == []
