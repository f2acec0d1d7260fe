"""Decisions over REST: explained and replayed, by keys that may read, with every refusal in the API's words."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError
from django.test import Client

from decisioning.api import decisions, reading
from decisioning.models import Snapshot
from decisioning.store import keys

from ..flows.conftest import *  # noqa: F403  (the small site)
from ..flows.explaining import decided, write

NOBODYS = UUID("019a0000-0000-7000-8000-000000000000")


@pytest.fixture(autouse=True)
def known_keys(site, monkeypatch):
    """Views that ask the holder themselves ask the test's."""
    monkeypatch.setattr(reading, "holder", site.holder)


def ask(site, path: str, body: Any = None, method: str = "get", key: str | None = None) -> tuple[int, Any]:
    """Status and decoded body."""
    words: dict[str, Any] = {"headers": {"x-api-key": site.key if key is None else key}}
    if body is not None:
        words |= {"data": body if isinstance(body, bytes) else json.dumps(body), "content_type": "application/json"}
    answer = getattr(Client(), method)(path, **words)
    return answer.status_code, json.loads(answer.content)


def replay(site, pk: UUID, body: Any = b"", **more: Any) -> tuple[int, Any]:
    return ask(site, f"/v1/decisions/{pk}/replay", body, "post", **more)


@pytest.fixture
def decision(site):
    """One that a rule changed."""
    write(site, "adults", 'IF age > 18 THEN HIDE "apple"')
    return decided(site, request_id="r-1")


def test_a_decision_is_explained_in_whole(site, decision):
    status, told = ask(site, f"/v1/decisions/{decision.pk}")
    assert status == 200
    assert {one["id"]: one["step"] for one in told["candidates"]} == {"banana": "pick", "apple": "rules"}
    assert told["rules"][0]["tests"] == {
        "text": "age > 18",
        "result": True,
        "fact": "age",
        "value": 30,
    }
    assert [one["left"] for one in told["path"]] == [2, 2, 2, 1, 1]
    assert (told["because"], told["decided_again"]) == ("chosen for you", {"same": True, "note": ""})


@pytest.mark.parametrize("body", [b"", {}, {"snapshot": "same"}])
def test_a_replay_on_the_same_snapshot_is_identical(site, decision, body):
    status, told = replay(site, decision.pk, body)
    assert status == 200
    assert (told["on"], told["identical"], told["changes"]) == ("same", True, {})
    assert told["now"]["items"] == told["then"]["items"] == decision.items


def test_a_replay_on_the_current_one_tells_the_difference_and_its_cause(site, decision):
    write(site, "adults", 'IF age > 40 THEN HIDE "apple"')
    status, told = replay(site, decision.pk, {"snapshot": "current"})
    assert (status, told["identical"]) == (200, False)
    assert told["changes"]["dropped"] == [{"key": "apple", "then": "hidden by rule adults", "now": None}]
    assert [(one["kind"], one["key"], one["mattered"]) for one in told["causes"]] == [("rule", "adults", True)]


def test_a_snapshot_that_is_gone_is_a_409_with_the_cure(site, decision):
    Snapshot.objects.filter(pk=decision.snapshot).delete()
    status, told = replay(site, decision.pk)
    assert (status, told["error"]["code"]) == (409, "snapshot_gone")
    assert "current" in told["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"snapshot": "other"}, 400, "invalid_request"),
        ({"on": "same"}, 400, "invalid_request"),
        (b"{", 400, "invalid_request"),
        (b"[" * 9_000, 400, "invalid_request"),
        (b" " * 20_000, 413, "too_large"),
    ],
)
def test_a_body_that_is_none_is_refused(site, decision, body, status, code):
    found, told = replay(site, decision.pk, body)
    assert (found, told["error"]["code"]) == (status, code)


def test_an_unknown_decision_is_a_404_for_both(site):
    assert ask(site, f"/v1/decisions/{NOBODYS}")[1]["error"]["code"] == "unknown_decision"
    assert replay(site, NOBODYS)[0] == 404


@pytest.mark.parametrize("method", ["put", "delete"])
def test_other_methods_are_told_what_to_use(site, decision, method):
    assert ask(site, f"/v1/decisions/{decision.pk}", b"{}", method)[0] == 405
    assert ask(site, f"/v1/decisions/{decision.pk}/replay", b"{}", method)[1]["error"]["message"] == "Use POST."


def test_only_keys_that_may_read_are_answered(site, decision):
    _, other = keys.create("shop", ["decide", "track"])
    site.publish()
    for path in (f"/v1/decisions/{decision.pk}", f"/v1/decisions/{decision.pk}/replay"):
        method = "post" if path.endswith("replay") else "get"
        assert ask(site, path, None, method, key=other)[0] == 403
        assert ask(site, path, None, method, key="")[0] == 401


def test_with_the_database_away_it_says_to_come_back(site, monkeypatch):
    def away(*_: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(decisions, "explained", away)
    monkeypatch.setattr(decisions, "replayed", away)
    assert ask(site, f"/v1/decisions/{NOBODYS}")[0] == 503
    assert replay(site, NOBODYS)[0] == 503
