"""Everybody scored from the frame, and who is scored anew: what is stored in PostgreSQL and read from Redis."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import redis

from campaigns.models import Content
from decisioning import tasks
from decisioning.customers.models import Customer
from decisioning.flows import learn, score
from decisioning.models import Artefact, Score, ScoredContents
from decisioning.store import artefacts, connection, frames, layers, profiles, publishing, scores

from .shops import open_shop, show

TERMS = learn.Terms(placement="mail")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(now):
    """Customers whose orders range from 0 to 19."""
    return open_shop(now, lambda n: {"orders_365d": n % 20, "spend_365d": 7.0 * (n % 20), "recency_days": n % 9})


@pytest.fixture(scope="module")
def remembered() -> dict[str, Any]:
    """What was learned once is the same each time."""
    return {}


@pytest.fixture
def trained(shop, now, clean_redis, remembered):
    """A scorer that knows the shop; nobody is scored yet."""
    if not remembered:
        show(shop, now)
        found = learn.train_scorer(now, TERMS)
        remembered.update(data=artefacts.read(found), schema_hash=found.schema_hash, metrics=found.metrics)
        return found
    found = artefacts.keep(Artefact.Kind.SCORER, now=now, **remembered)
    artefacts.activate(found, tried=True)
    return found


def stored() -> dict[str, dict[str, float]]:
    """What PostgreSQL holds, by customer."""
    return {row.customer.key: row.by_content for row in Score.objects.select_related("customer", "contents")}


def published(key: str) -> dict[str, float]:
    """What a request reads of a customer."""
    found = profiles.Profiles(connection.patient()).find("customer_id", key, "x").profile
    assert found is not None
    return dict(found.scores)


def everybody(now) -> int:
    frames.refresh(now)
    return sum(score.score_bucket(bucket) for bucket in range(layers.BUCKETS))


def test_the_frame_gives_everybody_the_same_scores_as_one_batch_after_the_other(trained, now):
    while score.score_pending(150):
        pass
    one_by_one = stored()
    Score.objects.all().delete()
    assert everybody(now) == len(one_by_one) == 400
    assert stored() == one_by_one
    publishing.publish_all()
    assert published("c-19") == one_by_one["c-19"]


def test_after_the_frame_nobody_is_pending_but_who_changed_since(trained, now):
    frames.refresh(now)
    Customer.objects.filter(key="c-7").update(facts_at=now + timedelta(seconds=1))
    for bucket in range(layers.BUCKETS):
        score.score_bucket(bucket)
    assert score.score_pending() == 1
    assert score.score_pending() == 0


def test_contents_that_come_later_make_everybody_be_scored_again(trained):
    while score.score_pending():
        pass
    Content.objects.create(key="late", name="Late", attributes={})
    assert score.score_pending() == 400
    assert set(stored()["c-1"]) >= {"late"}
    assert ScoredContents.objects.count() == 2


def test_a_wave_is_called_for_once_and_again_when_nothing_came_of_it(trained, monkeypatch):
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(score, "MANY", 100)
    monkeypatch.setattr(tasks.score_bucket, "delay", lambda wave, bucket: asked.append((wave, bucket)))
    tasks.keep_scores()
    tasks.keep_scores()
    assert [bucket for _, bucket in asked] == list(range(layers.BUCKETS))
    assert not Score.objects.exists()
    # Its tasks were lost: the mark runs out by itself.
    (mark,) = connection.patient().keys("scoring:*")
    assert 0 < connection.patient().ttl(mark) <= tasks.WAVE_SECONDS
    connection.patient().delete(mark)
    tasks.keep_scores()
    assert len(asked) == 2 * layers.BUCKETS
    for wave, bucket in asked:
        tasks.score_bucket(wave, bucket)
    assert (score.wave(), score.score_pending()) == (None, 0)


def test_redis_away_takes_the_batch_back(trained, monkeypatch):
    def fail(found):
        raise redis.ConnectionError("away")

    with monkeypatch.context() as broken:
        broken.setattr(scores, "publish", fail)
        with pytest.raises(redis.ConnectionError):
            score.score_pending()
    assert not Score.objects.exists()
    assert score.score_pending() == 400


def test_somebody_deleted_meanwhile_is_left_out(trained, now):
    frames.refresh(now)
    Customer.objects.get(key="c-3").delete()
    assert sum(score.score_bucket(bucket) for bucket in range(layers.BUCKETS)) == 400
    assert Score.objects.count() == 399


def test_redis_that_forgot_is_filled_again_from_postgresql(trained, clean_redis):
    while score.score_pending():
        pass
    clean_redis.flushdb()
    scores.forget()
    publishing.publish_all()
    assert published("c-19") == stored()["c-19"]


def test_a_list_that_redis_does_not_know_gives_no_scores_and_no_error(trained, clean_redis):
    while score.score_pending():
        pass
    publishing.publish_all()
    for key in clean_redis.keys("scored:*"):
        clean_redis.delete(key)
    scores.forget()
    assert published("c-19") == {}


def test_numbers_survive_the_binary_copy(shop, now):
    people = list(Customer.objects.order_by("pk")[:3])
    artefact = Artefact.objects.create(kind="scorer", data=b"", trained_at=now)
    listed = scores.contents_of(["x", "y"])
    chances = np.array([[0.0, 1.0], [0.123456, 0.5], [1e-6, 0.999999]])
    moments = [now, now + timedelta(microseconds=1), now - timedelta(days=9000)]
    scores.write(scores.Found(artefact.pk, listed, np.array([one.pk for one in people]), moments, chances))
    rows = list(Score.objects.order_by("customer_id").values_list("customer_id", "values", "at", "artefact_id"))
    wanted = zip(people, chances.tolist(), moments, strict=True)
    assert rows == [(one.pk, values, at, artefact.pk) for one, values, at in wanted]
