"""A challenger is held against the scorer in use on live decisions, seen by nobody, until the gate opens for it."""

from datetime import timedelta
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from decisioning import tasks
from decisioning.config import clock
from decisioning.flows import promote, shadow
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.scorer import Logistic, Prior
from decisioning.models import Artefact, Decision, Outcome
from decisioning.store import artefacts

from .shops import open_shop, show

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
SCHEMA = FeatureSchema([Column("orders_365d", "fact", "orders_365d")])
ORDERS = np.tile(np.arange(20), 200)
Y = (np.arange(4000) % 20 * 7 % 20 < ORDERS).astype(np.int8)


@pytest.fixture
def log(now) -> None:
    """Forty days of decisions, in which those who order much convert often."""
    show(open_shop(now, lambda n: {"orders_365d": n % 20}), now)


def kept(kind, now) -> Artefact:
    """A scorer of a kind, taught what orders tell, 41 days ago."""
    X = ORDERS[:, None].astype(np.float32)
    fitted = kind(SCHEMA).fit(X, Y, ("a", "b") * 2000, np.arange(4000))
    metrics = {"objective": "conversion", "rows": 4000, "conversions": int(Y.sum())}
    return artefacts.keep(
        "scorer", fitted.to_artefact(), SCHEMA.hash, metrics, now, None, (now - 90 * DAY, now - 45 * DAY)
    )


@pytest.fixture
def champion(log, now) -> Artefact:
    """In use: the best constant."""
    found = kept(Prior, now)
    artefacts.activate(found, tried=True)
    return found


@pytest.fixture
def challenger(champion, now) -> Artefact:
    """One that knows better."""
    return kept(Logistic, now)


def test_a_better_one_is_found_told_and_promoted_without_a_note(
    champion, challenger, now, settings, mailoutbox, monkeypatch
):
    settings.MANAGERS = [("", "owner@shop.example")]
    monkeypatch.setattr(clock, "now", lambda: now)
    shadow.begin(challenger.pk, now - 42 * DAY)
    decided = Decision.objects.count(), Outcome.objects.count()
    for _ in range(2):
        tasks.look_at_shadows()
    assert (Decision.objects.count(), Outcome.objects.count()) == decided
    report = Artefact.objects.get(pk=challenger.pk).metrics["shadow"]
    assert report["decisions"] == 800 and report["beside"] == champion.pk and report["unfit scores"] == 0
    assert report["gate"]["promoted"], report["gate"]["words"]
    assert {"AUC against the champion", "calibration", "latency"} <= {one["name"] for one in report["gate"]["checks"]}
    assert len(mailoutbox) == 1 and "would do better than" in mailoutbox[0].subject
    assert Artefact.objects.get(active=True).pk == champion.pk, "a person decides"
    told = StringIO()
    call_command("learn", "promote", str(challenger.pk), stdout=told)
    used = Artefact.objects.get(active=True)
    assert (used.pk, used.shadow_since, used.former_id) == (challenger.pk, None, champion.pk)
    assert used.note.startswith("it did better as a shadow: promote: all")


def test_one_that_is_no_better_is_refused_with_the_reason(champion, now):
    other = kept(Prior, now)
    shadow.begin(other.pk, now - 42 * DAY)
    [report] = shadow.look(now)
    assert report["the same"] == report["first choices"] == 800
    assert not report["gate"]["promoted"] and "over the champion" in report["gate"]["words"]
    with pytest.raises(CommandError, match="The gate refuses it: keep the champion"):
        call_command("learn", "promote", str(other.pk))
    assert Artefact.objects.get(active=True).pk == champion.pk


def test_only_what_was_decided_since_counts_and_only_what_has_closed(challenger, now):
    shadow.begin(challenger.pk, now - 10 * DAY)
    [early] = shadow.look(now - 9.9 * DAY)
    assert early["gate"]["words"].endswith("nothing that was decided since has closed yet")
    with pytest.raises(ValueError, match="has closed yet"):
        shadow.promote(challenger.pk)
    [later] = shadow.look(now)
    assert later["decisions"] == 180
    assert later["contest"]["tested_rows"] == 360


def test_what_it_learned_from_is_no_proof(challenger, now):
    Artefact.objects.filter(pk=challenger.pk).update(until=now - 5 * DAY)
    shadow.begin(challenger.pk, now - 42 * DAY)
    assert shadow.look(now)[0]["decisions"] == 80


def test_scores_that_are_no_numbers_are_counted_and_never_pass(challenger, now, monkeypatch):
    shadow.begin(challenger.pk, now - 42 * DAY)
    monkeypatch.setattr(Logistic, "score", lambda self, X, schema_hash, contents=(): np.full(len(X), np.nan))
    [report] = shadow.look(now)
    assert report["gate"]["words"] == "keep the champion: 1,600 of its scores are no numbers"
    assert shadow.look(now)[0]["unfit scores"] == 1600, "what was kept is JSON that PostgreSQL takes"


def test_who_becomes_the_one_in_use_meanwhile_is_whom_it_must_beat(champion, challenger, now):
    shadow.begin(challenger.pk, now - 42 * DAY)
    shadow.look(now)
    other = kept(Prior, now)
    promote.promote(other.pk, "a try")
    with pytest.raises(ValueError, match="Another scorer is in use"):
        shadow.promote(challenger.pk)
    assert shadow.look(now)[0]["beside"] == other.pk


def test_one_that_was_altered_does_not_run_and_the_others_do(challenger, now, caplog):
    other = kept(Logistic, now)
    for each in (challenger, other):
        shadow.begin(each.pk, now - 42 * DAY)
    Artefact.objects.filter(pk=challenger.pk).update(data=b"{}")
    assert [report["scorer"] for report in shadow.look(now)] == [other.pk]
    assert "cannot run as a shadow" in caplog.text


def test_what_makes_no_sense_is_refused_with_the_cure(champion, challenger, now):
    for number, said in ((0, "There is no scorer 0"), (champion.pk, "is in use")):
        with pytest.raises(ValueError, match=said):
            shadow.begin(number, now)
    for ask in (shadow.end, shadow.promote):
        with pytest.raises(ValueError, match="runs as a shadow"):
            ask(challenger.pk)
    for _ in range(shadow.MOST):
        shadow.begin(kept(Prior, now).pk, now)
    with pytest.raises(ValueError, match=r"3 shadows run already .* stop one"):
        shadow.begin(challenger.pk, now)
    Artefact.objects.filter(active=True).update(active=False)
    with pytest.raises(ValueError, match="No scorer is in use"):
        shadow.begin(challenger.pk, now)


def test_the_command_begins_tells_and_stops(challenger, now):
    def said(*words: str) -> str:
        told = StringIO()
        call_command("learn", "shadow", *words, "--as-of", now.isoformat(), stdout=told)
        return told.getvalue()

    assert "No shadow runs" in said()
    assert "runs as a shadow" in said(str(challenger.pk))
    Artefact.objects.update(shadow_since=now - 42 * DAY)
    assert "first choices are the same" in said() and "on 800 decisions" in said()
    assert "any more" in said(str(challenger.pk), "--stop")
    assert "No shadow runs" in said()
    assert Artefact.objects.get(pk=challenger.pk).metrics["shadow"]["decisions"] == 800, "what it saw stays"
