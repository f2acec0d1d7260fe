"""Windows run out by themselves: who is due is put right with no event, and nobody else is looked at."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from campaigns.models import Campaign, Message
from decisioning.customers.facts import dues, streams
from decisioning.customers.intake.ingest import store
from decisioning.customers.models import Customer, Due
from decisioning.flows import refresh
from decisioning.flows.expire import expire
from decisioning.flows.react import Reacted, react
from decisioning.store import profiles, publishing
from decisioning.store.connection import patient
from rules.models import Membership, Recompute, Segment

from .test_react import order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
DAY = timedelta(days=1)


@pytest.fixture
def recent(now: datetime) -> Segment:
    return Segment.objects.create(key="recent", name="Recent", condition="orders_30d >= 1", refreshed_at=now)


def bought(now: datetime, user: str = "u", **more: Any) -> None:
    store([order(f"m-{user}-{now:%m%d%H}", now, user, **more)], now)
    react(now)


def test_who_bought_31_days_ago_leaves_bought_in_the_last_30_days_with_no_event(now: datetime, recent: Segment) -> None:
    bought(now)
    end = now + 30 * DAY
    assert Due.objects.get().at == end
    assert expire(end - timedelta(microseconds=1)) == Reacted()
    done = expire(end)
    assert (done.customers, done.events, done.left) == (1, 0, 1)
    stay = Membership.objects.get()
    assert (stay.left_at, stay.left_how) == (end, "time")
    found = profiles.Profiles(patient()).find("user_id", "u", "x").profile
    assert (found.segments, found.facts["orders_30d"], found.facts["orders_90d"]) == ((), 0, 1)
    assert not Due.objects.exists()


def test_time_alone_lets_somebody_enter_and_triggers_a_campaign_once(now: datetime) -> None:
    lapsed = Segment.objects.create(key="lapsed", name="Lapsed", condition="recency_days > 60", refreshed_at=now)
    Campaign.objects.create(key="miss", name="We miss you", trigger="segment", segment=lapsed, subject="s", body="b")
    bought(now)
    due = Due.objects.get().at
    assert now + 60 * DAY <= due < now + 60 * DAY + timedelta(seconds=1)
    assert expire(due).entered == 1
    assert expire(due + DAY) == Reacted()
    assert Message.objects.count() == 1
    assert Membership.objects.get(segment=lapsed).entered_how == "time"


def test_a_later_event_puts_the_moment_off(now: datetime, recent: Segment) -> None:
    bought(now)
    bought(now + 10 * DAY)
    assert Due.objects.get().at == now + 40 * DAY, "one of two orders leaves the window before: that changes no answer"
    assert expire(now + 30 * DAY) == Reacted()
    assert expire(now + 40 * DAY).left == 1


def test_what_nothing_published_reads_is_waited_for_by_nobody(now: datetime) -> None:
    bought(now)
    assert not Due.objects.exists()


def test_nobody_due_costs_one_look_at_the_index(now: datetime, recent: Segment) -> None:
    bought(now)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert expire(now + DAY) == Reacted()
    assert len(seen) == 1
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + dues.TAKE, [now, 10])
        assert "due_at" in "\n".join(line for (line,) in cursor.fetchall())


def test_only_who_is_due_is_handled(now: datetime, recent: Segment, monkeypatch: pytest.MonkeyPatch) -> None:
    bought(now, "early")
    bought(now + DAY, "late")
    loaded: list[int] = []
    real = streams.load
    monkeypatch.setattr(streams, "load", lambda ids, histories: loaded.extend(ids) or real(ids, histories))
    expire(now + 30 * DAY)
    assert loaded == [Customer.objects.get(key="early").pk]


def test_a_failure_in_the_middle_leaves_them_due(
    now: datetime, recent: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought(now)

    def fail(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "put", fail)
        with pytest.raises(redis.ConnectionError), transaction.atomic():
            expire(now + 31 * DAY)
    assert Membership.objects.get().left_at is None
    assert expire(now + 31 * DAY).left == 1


def test_somebody_merged_away_is_due_no_more(now: datetime, recent: Segment) -> None:
    bought(now, "a")
    bought(now, "b")
    a, b = Customer.objects.get(key="a"), Customer.objects.get(key="b")
    Customer.objects.filter(pk=b.pk).update(merged_into=a)
    assert expire(now + 31 * DAY).customers == 1
    assert expire(now + 31 * DAY) == Reacted()
    assert not Due.objects.exists()


def test_who_cannot_be_handled_holds_up_nobody(
    now: datetime, recent: Segment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the others who are due nor, in a refresh of all, their bucket and the run."""
    for user in "abc":
        bought(now, user)
    poison = Customer.objects.get(key="b").pk
    sound = streams.together

    def together(mine: list[streams.Stream]) -> Any:
        if mine[0].value == "b":
            raise RecursionError("too deep")
        return sound(mine)

    monkeypatch.setattr(streams, "together", together)
    end = now + 30 * DAY
    assert expire(end).left == 2
    assert list(Due.objects.values_list("customer_id", "at")) == [(poison, end + timedelta(hours=1))]
    assert "RecursionError: too deep" in caplog.text
    assert expire(end) == Reacted()
    assert refresh.refresh_all(end).customers == 2
    run = Recompute.objects.get()
    assert (run.state, run.error) == (
        "failed",
        f"Customer {poison} keeps the segments of before: RecursionError: too deep\n",
    )
    monkeypatch.undo()
    assert refresh.refresh_all(end).left == 1
    assert Recompute.objects.latest("pk").state == "done"
