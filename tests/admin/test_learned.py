"""Learned things as pages: how far the present has moved, shadows, trainings, and who may have what done."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import redis
from django.contrib.auth.models import Permission, User
from django.test import Client

from decisioning.console.watched import drawn
from decisioning.flows import shadow
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.scorer import Logistic, Prior
from decisioning.models import Artefact, LearningRun
from decisioning.store import artefacts, runs

from .grouped import queued

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
LIST = "/admin/decisioning/artefact/"
SCHEMA = FeatureSchema([Column("orders_365d", "fact", "orders_365d")])
STEADY = {"name": "orders_365d", "psi": 0.02, "ks": 0.01, "chance": 0.9, "verdict": "steady"}
REPORT: dict[str, Any] = {
    "at": NOW.isoformat(),
    "verdict": "moved",
    "off": False,
    "reasons": ["the spread of the scores has moved (PSI 0.31)"],
    "features": [STEADY],
    "moved": 0,
    "watched": 40,
    "score": {**STEADY, "name": "scores", "psi": 0.31, "verdict": "moved"},
    "segments": {**STEADY, "name": "segments", "verdict": "unknown"},
    "shares": {},
    "periods": [
        {"start": 1772409600000000, "rows": 900, "expected": 0.1, "value": 0.11, "low": 0.09, "high": 0.13},
        {"start": 1773014400000000, "rows": 900, "expected": 0.1, "value": 0.05, "low": 0.03, "high": 0.07},
    ],
    "rows then": 5000,
    "rows now": 1800,
    "history": [{"at": NOW.isoformat(), "verdict": "steady", "psi": 0.1, "off": False}] * 2,
}


def scorer(kind: type = Prior, **metrics: Any) -> Artefact:
    X, y = np.arange(200, dtype=np.float32)[:, None] % 20, (np.arange(200) % 3 == 0).astype(np.int8)
    made = kind(SCHEMA).fit(X, y, ("a",) * 200, np.arange(200))
    window = (NOW - timedelta(days=9), NOW)
    return artefacts.keep("scorer", made.to_artefact(), SCHEMA.hash, metrics, NOW, None, window)


def page_of(artefact: Artefact) -> str:
    return f"{LIST}{artefact.pk}/change/"


def action(artefact: Artefact, name: str) -> str:
    return f"{LIST}{artefact.pk}/{name}/"


def test_a_report_is_drawn_with_what_moved_and_what_came_week_by_week(browser: Client) -> None:
    one = scorer(watched=REPORT)
    text = browser.get(page_of(one)).content.decode()
    assert "Its present has moved from what it learned from" in text
    assert "The spread of the scores has moved (PSI 0.31)." in text
    assert "Orders in 365 days" in text and "28 other features moved less" in text
    assert "the week of 09 Mar: said 0.1000, came 0.0500 (0.0300 to 0.0700), 900 showings" in text
    assert "Sizes of segments" not in text, "of what cannot be told nothing is drawn"


def test_places_in_the_drawing() -> None:
    found = drawn(REPORT, {})
    assert found is not None
    assert [(bar.label, bar.state, bar.width) for bar in found.bars] == [
        ("Scores", "bad", 62.0),
        ("orders_365d", "good", 4.0),
    ]
    first, second = found.dots
    assert not first.off and second.off
    assert first.high < first.came < first.low and first.x < second.x and first.said == second.said
    assert [state for state, _ in found.history] == ["good", "good"]
    off = drawn({**REPORT, "off": True}, {})
    assert off is not None and off.verdict == "What it says is not what comes of it"
    assert drawn(None, {}) is None


def test_a_scorer_runs_as_a_shadow_and_stops_by_two_buttons(browser: Client) -> None:
    artefacts.activate(scorer(), tried=True)
    other = scorer(Logistic)
    text = browser.get(page_of(other)).content.decode()
    assert "Run as a shadow" in text and "Stop the shadow" not in text
    asked = browser.get(action(other, "begin_shadow"))
    assert b"Nobody is shown what it says" in asked.content and Artefact.objects.get(pk=other.pk).shadow_since is None
    browser.post(action(other, "begin_shadow"))
    text = browser.get(page_of(other)).content.decode()
    assert "nobody is shown what it says" in text and "Stop the shadow" in text and "Run as a shadow" not in text
    assert "Nothing was decided since that it has not learned from" in text
    browser.post(action(other, "end_shadow"))
    assert "It ran as a shadow, and does not any more." in browser.get(page_of(other)).content.decode()


def test_a_shadow_that_makes_no_sense_is_refused_in_words(browser: Client) -> None:
    other = scorer()
    answer = browser.post(action(other, "begin_shadow"), follow=True)
    assert b"No scorer is in use to be held against" in answer.content
    answer = browser.post(action(other, "end_shadow"), follow=True)
    assert b"runs as a shadow" in answer.content


def test_what_the_shadow_saw_is_told_and_promotes(browser: Client) -> None:
    used = scorer()
    artefacts.activate(used, tried=True)
    other = scorer(Logistic, refused="not enough data")
    shadow.begin(other.pk, NOW)
    said = {
        "promoted": True,
        "words": "promote: all 1 checks hold",
        "checks": [{"name": "AUC", "passed": True, "words": "fine"}],
    }
    report = {"decisions": 900, "beside": used.pk, "first choices": 800, "the same": 600, "gate": said}
    artefacts.note(other, {"shadow": report})
    text = browser.get(page_of(other)).content.decode()
    assert "75 % of 800" in text and "by what the shadow saw" in text
    assert b"the gate lets it through" in browser.get(action(other, "activate")).content
    browser.post(action(other, "activate"))
    now = Artefact.objects.get(pk=other.pk)
    assert now.active and now.shadow_since is None and now.note.startswith("it did better as a shadow")


def test_the_list_follows_a_training_and_tells_what_became_of_others(browser: Client) -> None:
    assert "Nothing was learned yet" in browser.get(LIST).content.decode()
    LearningRun.objects.create(verb="train", reason="drift: ages", state="failed", error="no memory")
    LearningRun.objects.create(verb="train", reason="a day", state="done", artefact=scorer(refused="keep the champion"))
    with runs.alone("train", "many outcomes") as run:
        run.tell(2, 5, "learning")
        text = browser.get(LIST).content.decode()
        state = browser.get(f"{LIST}training").json()
    assert "Drift: ages" in text and "Failed: no memory" in text and "not used: keep the champion" in text
    assert 'value="2"' in text and "many outcomes" in text
    assert (state["running"], state["step"], state["doing"]) == (True, 2, "learning")
    done = browser.get(f"{LIST}training").json()
    assert not done["running"] and done["mark"] != state["mark"]


def test_a_training_is_asked_for_once(browser: Client, broker: redis.Redis, committing: Any) -> None:
    with committing():
        assert b"Train a scorer now?" in browser.get(f"{LIST}train/").content
    assert queued(broker) == []
    with committing():
        browser.post(f"{LIST}train/")
    assert queued(broker) == [("train_for", "['asked for by mia']")]
    with runs.alone("train", "x"), committing():
        answer = browser.post(f"{LIST}train/", follow=True)
    assert b"being trained already" in answer.content and len(queued(broker)) == 1


def test_who_may_only_look_has_nothing_done(visitor: Client) -> None:
    user = User.objects.get(username="vic")
    one = scorer(watched=REPORT)
    assert visitor.get(f"{LIST}training").status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_artefact"))
    assert visitor.get(page_of(one)).status_code == 200
    for address in (action(one, "begin_shadow"), action(one, "end_shadow"), f"{LIST}train/"):
        assert visitor.post(address).status_code == 403
    assert Artefact.objects.get().shadow_since is None


def test_what_is_foretold_is_shown_with_its_gate_and_activated_for_the_next_telling(browser: Client) -> None:
    said = {"promoted": False, "words": "keep it: no gain", "checks": []}
    one = scorer(gate=said, refused="no gain", figures={"AUC": {"value": 0.71}})
    Artefact.objects.filter(pk=one.pk).update(kind="churn")
    text = browser.get(page_of(one)).content.decode()
    assert "Keep it" in text and "0.71" in text and "Run as a shadow" not in text
    assert b"when customers are told next" in browser.get(action(one, "activate")).content
    browser.post(action(one, "activate"))
    assert Artefact.objects.get().active
    LearningRun.objects.create(verb="foretell", reason="once a day", state="done", doing="12 customers were told")
    listed = browser.get(LIST).content.decode()
    assert "What is foretold" in listed and "0.71" in listed and "12 customers were told" in listed
