"""A scorer in use is held against the present: what moved is kept with it, told once, and a reason to train anew."""

from datetime import timedelta

import numpy as np
import pytest

from decisioning import tasks
from decisioning.config import clock
from decisioning.flows import renew, watch
from decisioning.learning.schema import Column, FeatureSchema
from decisioning.learning.scorer import Logistic
from decisioning.models import Artefact, Decision, Outcome
from decisioning.store import artefacts
from rules.models import Segment, SegmentSize

from .shops import open_shop, show

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
DAY = timedelta(days=1)


@pytest.fixture
def used(now) -> Artefact:
    """A scorer in use that knows what the orders of the first 26 of 40 days told; told what comes in truth."""
    show(open_shop(now, lambda n: {"orders_365d": n % 20}), now)
    return scorer_of(now, now - 16 * DAY)


def scorer_of(now, until) -> Artefact:
    schema = FeatureSchema([Column("orders_365d", "fact", "orders_365d")])
    orders = np.tile(np.arange(20), 200)
    y = (np.arange(4000) % 20 * 7 % 20 < orders).astype(np.int8)
    fitted = Logistic(schema).fit(orders[:, None].astype(np.float32), y, ("a",) * 4000, np.arange(4000))
    metrics = {"objective": "conversion", "conversions": 500}
    window = (now - 50 * DAY, until)
    found = artefacts.keep("scorer", fitted.to_artefact(), schema.hash, metrics, until, None, window)
    artefacts.activate(found, tried=True)
    return found


def many_orders(since) -> None:
    """From a moment on only customers come who order much."""
    rows = list(Decision.objects.filter(at__gte=since))
    for row in rows:
        row.facts = {"orders_365d": 40 + row.facts["orders_365d"]}
    Decision.objects.bulk_update(rows, ["facts"])


def test_a_present_like_the_past_is_steady(used, now):
    found = watch.watch(now)
    assert (found["verdict"], found["off"], found["reasons"]) == ("steady", False, [])
    kept = Artefact.objects.get(pk=used.pk).metrics
    assert kept["watched"] == found and kept["conversions"] == 500
    assert found["rows then"] == 1000 and found["rows now"] > 500
    assert [one["name"] for one in found["features"]] == ["orders_365d"]
    assert renew.drifted() == ""


def test_other_customers_are_noticed_told_once_and_trained_for(used, now, settings, mailoutbox, monkeypatch):
    settings.MANAGERS = [("", "owner@shop.example")]
    monkeypatch.setattr(clock, "now", lambda: now)
    many_orders(used.until)
    for _ in range(2):
        tasks.watch_scorer()
    report = Artefact.objects.get(pk=used.pk).metrics["watched"]
    assert report["verdict"] == "moved" and report["features"][0]["psi"] > 1
    assert [one["verdict"] for one in report["history"]] == ["moved", "moved"]
    [mail] = mailoutbox
    assert "Orders in 365 days” has moved (PSI" in mail.body and "trained anew" in mail.body
    assert "has moved (PSI" in renew.drifted()


def test_what_it_says_stops_being_what_comes(used, now, mailoutbox, settings):
    settings.MANAGERS = [("", "owner@shop.example")]
    Outcome.objects.filter(kind="conversion", at__gte=used.until).delete()
    found = watch.watch(now)
    assert found["off"] and found["verdict"] == "moved"
    assert mailoutbox[0].subject.endswith("what it says is not what comes")


def test_segments_that_a_marketer_made_since_are_no_drift(used, now):
    hour = used.trained_at.replace(minute=0, second=0, microsecond=0)
    for key, then, size in (("old", 400, 400), ("young", 400, 400), ("made since", None, 5000)):
        segment = Segment.objects.create(key=key, name=key, condition="orders_365d > 1", size=size)
        if then is not None:
            SegmentSize.objects.create(segment=segment, hour=hour - DAY, size=9)
            SegmentSize.objects.create(segment=segment, hour=hour, size=then)
            SegmentSize.objects.create(segment=segment, hour=hour + DAY, size=9 * len(key))
    found = watch.watch(now)
    assert found["shares"] == {"old": [0.5, 0.5], "young": [0.5, 0.5]} and found["segments"]["verdict"] == "steady"
    Segment.objects.filter(key="old").update(size=40)
    assert watch.watch(now)["segments"]["verdict"] == "moved"


def test_of_a_large_ledger_a_sample_is_read(used, now):
    span = (used.since, used.until)
    every = watch.sampled(*span)
    some = watch.sampled(*span, most=120)
    assert every.height == 1040 and 120 < some.height < 360
    assert some.equals(watch.sampled(*span, most=120))


def test_without_a_scorer_or_without_anything_shown_since_there_is_nothing_to_watch(now):
    assert watch.watch(now) is None
    open_shop(now, lambda n: {})
    scorer_of(now, now - DAY)
    assert watch.watch(now) is None


def test_a_scorer_that_was_altered_is_not_watched_and_that_is_told(used, now, caplog):
    Artefact.objects.filter(pk=used.pk).update(data=b"{}")
    assert watch.watch(now) is None
    assert "is not watched" in caplog.text


def test_what_others_write_beside_stays(used, now):
    stale = Artefact.objects.get(pk=used.pk)
    artefacts.note(used, {"gate": {"promoted": True}})
    artefacts.note(stale, {"watched": {}})
    assert Artefact.objects.get(pk=used.pk).metrics.keys() >= {"gate", "watched", "conversions"}
