"""What a policy would have earned, over REST: figures for keys that may manage, every refusal in the API's words."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from decisioning.api import evaluation, reading
from decisioning.models import Decision, Outcome
from decisioning.store import keys

from ..flows.conftest import *  # noqa: F403  (the small site)

PATH = "/v1/reports/evaluate"


@pytest.fixture
def manager(site, monkeypatch) -> str:
    """A key that may manage, known to the test's holder."""
    _, key = keys.create("console", ["manage"])
    site.publish()
    monkeypatch.setattr(reading, "holder", site.holder)
    return key


def ask(key: str, body: Any) -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, bytes) else json.dumps(body)
    answer = Client().post(PATH, data, content_type="application/json", headers={"x-api-key": key})
    return answer.status_code, json.loads(answer.content)


def log(now: Any, number: int = 200) -> None:
    """Every second was shown the banana, and of those every second converted."""
    rows = [
        Decision(
            id=UUID(int=n + 1),
            at=now - timedelta(minutes=n),
            placement="home",
            customer_key=f"c-{n}",
            items=[{"key": ("apple", "banana")[n % 2], "rank": 1, "score": None, "propensity": 0.5}],
        )
        for n in range(1, number + 1)
    ]
    Decision.objects.bulk_create(rows)
    Outcome.objects.bulk_create(
        Outcome(decision_id=row.id, content="banana", kind="conversion", at=row.at, message_id=str(row.id))
        for row in rows[::4]
    )


def test_figures_come_with_intervals_and_what_to_know(site, manager, now):
    log(now)
    status, told = ask(manager, {"placement": "home", "policy": "constant:banana", "objective": "conversion"})
    assert status == 200
    figures = {one["metric"]: one for one in told["figures"]}
    assert figures["snips"]["value"] == pytest.approx(0.5)
    assert figures["snips"]["low"] < 0.5 < figures["snips"]["high"]
    assert figures["logged"]["value"] == pytest.approx(0.25)
    assert told["notes"]


def test_a_long_span_is_sampled(site, manager, now, monkeypatch):
    monkeypatch.setattr(evaluation, "SAMPLE", 50)
    log(now)
    _, told = ask(manager, {"placement": "home", "policy": "constant:banana", "objective": "conversion"})
    decisions = next(one["value"] for one in told["figures"] if one["metric"] == "decisions")
    assert 20 <= decisions <= 90
    assert "an even sample of more" in told["title"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"placement": "home"}, "either 'policy' or 'draft'"),
        ({"placement": "home", "policy": "current", "draft": "x"}, "either 'policy' or 'draft'"),
        ({"placement": "home", "policy": "/etc/passwd.csv"}, "'constant:KEY'"),
        ({"placement": "home", "policy": "current", "color": 1}, "cannot be read"),
        ({"placement": "home", "draft": "none\0"}, "There is no rule 'none'"),
        ({"placement": "attic", "policy": "current"}, "Nothing was decided in the placement 'attic'"),
        (b"{", "cannot be read"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_the_cure(site, manager, body, said):
    status, told = ask(manager, body)
    assert (status, told["error"]["code"]) == (400, "invalid_request")
    assert said in told["error"]["message"]


def test_a_key_that_may_only_decide_may_not_ask(site, manager):
    _, narrow = keys.create("shop", ["decide"])
    site.publish()
    assert ask(narrow, {"placement": "home", "policy": "current"})[0] == 403
    assert ask(manager, b" " * 20_000)[0] == 413
