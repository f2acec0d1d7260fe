"""Segments: the list, each one's page, members, overlap and migration tell what the rows say, in few reads."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.models import Campaign
from decisioning.config import clock
from decisioning.customers.models import Customer
from decisioning.flows import refresh
from decisioning.models import Artefact
from rules.admin.computing import states
from rules.models import Membership, Recompute, Rule, Segment, SegmentSize
from rules.recomputes import CLUSTERING

from .crowd import a_customer
from .shop import NO_REACTIONS

pytestmark = pytest.mark.django_db

LIST = "/admin/rules/segment/"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The product's clock stands still, years ago, as a demo's does."""
    moment = datetime.fromisoformat("2017-08-01T12:30:00+00:00")
    monkeypatch.setattr(clock, "now", lambda: moment)
    return moment


def a_segment(key: str = "lapsed", **changes: Any) -> Segment:
    row = {"name": key.replace("-", " ").capitalize(), "condition": "orders_30d >= 2"}
    return Segment.objects.create(key=key, **{**row, **changes})


def a_stay(segment: Segment, customer: Customer, entered: datetime, left: datetime | None = None, **why: str) -> None:
    Membership.objects.create(segment=segment, customer=customer, entered_at=entered, left_at=left, **why)


def page_of(segment: Segment, *rest: str) -> str:
    return "/".join([f"{LIST}{segment.pk}", *(rest or ("change",)), ""])


def text_of(browser: Client, address: str, **asked: Any) -> str:
    answer = browser.get(address, asked)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


# The list


def test_the_list_tells_size_change_state_and_uses(browser: Client, now: datetime) -> None:
    segment = a_segment(size=1500, refreshed_at=now)
    SegmentSize.objects.create(segment=segment, hour=now - 7 * DAY - 2 * HOUR, size=1300)
    SegmentSize.objects.create(segment=segment, hour=now - 3 * DAY, size=1400)
    Rule.objects.create(key="back", name="Win them back", text='IF segments CONTAINS "lapsed" THEN STOP')
    a_segment("nested", condition='customer_segment = "Lapsed"', refreshed_at=now)
    (row,) = [one.told for one in browser.get(LIST).context["cl"].result_list if one.pk == segment.pk]
    assert (row.changed, row.line, row.state.code) == (200, [1400, 1500], "fine")
    assert [(use.kind, use.name) for use in row.uses] == [("Rule", "Win them back"), ("Segment", "Nested")]
    page = text_of(browser, LIST)
    assert "1,500" in page and "+200" in page and "from 1,400 to 1,500 members in 7 days" in page


def test_the_list_of_many_segments_takes_as_many_queries_as_that_of_one(browser: Client, now: datetime) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            browser.get(LIST)
        return len(queries)

    a_segment("first")
    one = asked()
    for n in range(30):
        segment = a_segment(f"s-{n}", condition='segments CONTAINS "first"')
        SegmentSize.objects.create(segment=segment, hour=now - DAY, size=n)
        Recompute.objects.create(segment=segment)
    assert asked() == one


def test_the_list_is_filtered_by_kind_and_by_state(browser: Client, now: datetime) -> None:
    segments = {key: a_segment(key, refreshed_at=now) for key in ("fine", "broken", "running", "dead")}
    a_segment("waiting")
    a_segment("off", active=False)
    a_segment("list", kind="list", condition="")
    Recompute.objects.create(segment=segments["broken"], state="failed", error="disk full", finished_at=now)
    Recompute.objects.create(segment=segments["running"], total=100, done=40)
    Recompute.objects.create(segment=segments["dead"], seen_at=Now() - timedelta(seconds=61))

    def keys(**asked: str) -> set[str]:
        return {row.key for row in browser.get(LIST, asked).context["cl"].result_list}

    assert keys(kind__exact="list") == {"list"}
    states = {code: keys(state=code) for code in ("fine", "failed", "computing", "died", "waiting", "off")}
    assert states == {
        "fine": {"fine", "list"},
        "failed": {"broken"},
        "computing": {"running"},
        "died": {"dead"},
        "waiting": {"waiting"},
        "off": {"off"},
    }
    assert "computing, 40 %" in text_of(browser, LIST)


# One segment


def test_the_page_tells_size_changes_moves_and_why(browser: Client, now: datetime) -> None:
    segment, anna, bert = a_segment(refreshed_at=now), a_customer("u-1", ("user_id", "u-1")), a_customer("u-2")
    Customer.objects.filter(pk=anna.pk).update(facts={"orders_30d": 5}, facts_at=now)
    SegmentSize.objects.create(segment=segment, hour=now - DAY - 2 * HOUR, size=4)
    three_minutes = now - timedelta(minutes=3)
    a_stay(segment, anna, three_minutes, entered_how="event", entered_by="Order Completed (m-123)")
    a_stay(segment, bert, now - 9 * DAY, now - timedelta(minutes=10), left_how="time")
    answer = browser.get(page_of(segment))
    told = answer.context
    assert (told["size"], told["changes"]) == (1, [("24 hours", "−3"), ("7 days", "not known")])
    assert (told["points"][-1].entered, told["points"][-1].left) == (1, 1)
    page = " ".join(answer.content.decode().split())
    assert "entered, <time" in page and "3 minutes ago" in page
    assert f'href="{reverse("admin:customers_event_changelist")}?message=m-123"' in page
    assert "Time passed" in page
    assert [(one["customer"], one["values"]) for one in told["sample"]] == [(anna, ["5"])]
    assert told["fact_labels"] == ["Orders in 30 days"]


@pytest.mark.parametrize("span", ["hours", "days", "months", "weeks"])
def test_every_span_of_the_chart_opens(browser: Client, now: datetime, span: str) -> None:
    segment = a_segment()
    for hours in (1, 2, 900):
        SegmentSize.objects.create(segment=segment, hour=now - hours * HOUR, size=hours, entered=1)
    told = browser.get(page_of(segment), {"chart": span}).context
    assert len(told["points"]) == {"hours": 48, "months": 12}.get(span, 30)
    assert len(told["chart"].columns) == len(told["points"])


def test_an_empty_segment_says_what_to_do(browser: Client, now: datetime) -> None:
    page = text_of(browser, page_of(a_segment()))
    for words in (
        "Its members were never found",
        "Nobody is in it yet",
        "Nobody has entered or left",
        "Nothing uses it",
    ):
        assert words in page


def test_a_running_computing_shows_how_far_it_is_and_what_is_in_use(browser: Client, now: datetime) -> None:
    segment = a_segment(refreshed_at=now - HOUR)
    started = Now() - timedelta(seconds=20)
    Recompute.objects.create(
        segment=segment, total=1000, done=250, reason="its condition was edited", started_at=started
    )
    answer = browser.get(page_of(segment))
    state = answer.context["state"]
    assert (state.code, state.share) == ("computing", 25)
    assert 50 < state.left.total_seconds() < 90
    page = " ".join(answer.content.decode().split())
    assert "its condition was edited" in page and "250 of 1,000 customers, 25 %" in page
    assert "the last good result of 1 Aug 2017, 11:30 UTC is in use" in page


def test_a_failed_computing_shows_the_error_and_the_last_good_result(browser: Client, now: datetime) -> None:
    segment = a_segment(refreshed_at=now - HOUR)
    Recompute.objects.create(segment=segment, state="failed", error="DataError: <b>no</b>", finished_at=Now())
    page = text_of(browser, page_of(segment))
    assert "failed after" in page and "DataError: &lt;b&gt;no&lt;/b&gt;" in page
    assert "The last good result of 1 Aug 2017, 11:30 UTC is in use" in page


def test_a_computing_of_all_that_is_silent_has_died_for_conditions_but_not_for_lists(
    browser: Client, now: datetime
) -> None:
    Recompute.objects.create(seen_at=Now() - timedelta(seconds=90), total=50, done=10)
    segment, listed = a_segment(refreshed_at=now), a_segment("vip", kind="list", condition="")
    page = text_of(browser, page_of(segment))
    assert "of all segments died: it has told nothing for 1 min 30 s, after 10 of 50 customers" in page
    assert browser.get(page_of(listed)).context["state"].code == "fine"
    Recompute.objects.create(segment=segment, state="done", finished_at=Now())
    assert browser.get(page_of(segment)).context["state"].code == "fine"


def test_uses_and_nested_segments_are_linked_both_ways(browser: Client, now: datetime) -> None:
    base = a_segment("base")
    outer = a_segment("outer", condition='segments CONTAINS "BASE" IGNORING CASE AND orders_30d > 1')
    Campaign.objects.create(key="c", name="Come back", trigger="segment", segment=base, subject="s", body="b")
    told = browser.get(page_of(base)).context
    assert [(use.kind, use.name) for use in told["uses"]] == [("Campaign", "Come back")]
    assert [use.url for use in told["nested_in"]] == [page_of(outer)]
    assert browser.get(page_of(outer)).context["built_on"] == [base]


def test_the_worker_is_asked_to_find_the_members_again(
    browser: Client,
    committing: Callable[[], AbstractContextManager[Any]],
    broker: redis.Redis,
) -> None:
    segment = a_segment()
    with committing():
        answer = browser.post(page_of(segment, "again"))
    assert answer["Location"] == page_of(segment)
    assert broker.llen("now") + broker.llen("later") == 1
    assert browser.get(page_of(segment, "again")).status_code == 403


def test_a_name_or_story_written_by_a_person_is_marked_as_theirs(browser: Client, now: datetime) -> None:
    segment = a_segment("cluster-a1-1", kind="cluster", condition="")
    form = {
        "name": segment.name,
        "kind": "cluster",
        "condition": "",
        "description": "",
        "story": "",
        "active": "on",
        **NO_REACTIONS,
    }
    assert browser.post(page_of(segment), form | {"description": "x"}).status_code == 302
    segment.refresh_from_db()
    assert segment.edited_at is None
    assert browser.post(page_of(segment), form | {"story": "They come on Fridays."}).status_code == 302
    segment.refresh_from_db()
    assert (segment.edited_at, segment.story) == (now, "They come on Fridays.")


def test_a_cluster_tells_what_the_clustering_found(browser: Client, now: datetime) -> None:
    facts = [{"fact": "orders_365d", "label": "Orders in 365 days", "mean": 111.2, "mean_all": 60.0, "effect": -1.3}]
    one = {"key": "a1-1", "name": "Big", "share": 0.44, "means": {"orders_365d": 111.2}, "effects": {}}
    profile = {"facts": facts, "values": [], "top": ["orders_365d"]}
    new = {**one, "drafted_name": "Bigger", "story": "They buy much.", "profile": profile}
    artefact = Artefact.objects.create(
        kind="clustering", active=True, data=b"", signature="", metrics={"clusters": [new]}, trained_at=now
    )
    segment = a_segment("cluster-a1-1", kind="cluster", condition="")
    page = text_of(browser, page_of(segment))
    for words in ("They buy much.", "Orders in 365 days", "111.2", "−1.3", "today it would be called “Bigger”"):
        assert words in page
    # What earlier versions kept of a cluster is less.
    Artefact.objects.filter(pk=artefact.pk).update(metrics={"clusters": [one]})
    assert "Who they are" in text_of(browser, page_of(segment))


def test_a_condition_that_no_longer_parses_breaks_no_page(browser: Client, now: datetime) -> None:
    segment, anna = a_segment(condition="orders_30d >="), a_customer("u-1", ("user_id", "u-1"))
    a_stay(segment, anna, now)
    assert "u-1" in text_of(browser, page_of(segment))
    assert "It can no longer be read" in text_of(browser, page_of(segment, "why"), customer="u-1")


# Members


def test_members_are_listed_searched_and_told_as_of_a_day(browser: Client, now: datetime) -> None:
    segment = a_segment()
    anna = a_customer("u-1", ("user_id", "u-1"), ("email", "anna@example.com"))
    bert, carl = a_customer("u-2", ("user_id", "u-2")), a_customer("u-3", ("user_id", "u-3"))
    a_stay(segment, anna, now - DAY, entered_how="refresh")
    a_stay(segment, bert, now - 9 * DAY, now - DAY, left_how="event", left_by="Page (m-9)")
    address = page_of(segment, "members")

    def keys(**asked: str) -> list[str]:
        return [row["customer"].key for row in browser.get(address, asked).context["rows"]]

    assert (keys(), keys(show="former")) == (["u-1"], ["u-2"])
    assert (keys(show="as-of", at="2017-07-28"), keys(show="as-of", at="2017-07-01")) == (["u-2"], [])
    assert (keys(q="anna@"), keys(q="u-2"), keys(q="u-2", show="former")) == (["u-1"], [], ["u-2"])
    assert keys(q="u-", show="as-of", at="2017-07-28") == ["u-2"]
    assert "Page (m-9)" in text_of(browser, address, show="former")
    assert carl.key not in text_of(browser, address)
    page = text_of(browser, address, show="as-of", at="when?")
    assert "That is no date" in page


@pytest.mark.parametrize("asked", [{"show": "x"}, {"after": "x"}, {"after": "1-x", "show": "former"}])
def test_a_page_of_members_that_is_none_is_not_found(browser: Client, asked: dict[str, str]) -> None:
    assert browser.get(page_of(a_segment(), "members"), asked).status_code == 404


def test_the_pages_of_members_go_on_to_the_end(browser: Client, now: datetime) -> None:
    segment = a_segment()
    rows = Customer.objects.bulk_create(Customer(key=f"k-{n:03}") for n in range(120))
    Membership.objects.bulk_create(Membership(segment=segment, customer=row, entered_at=now) for row in rows)
    address, seen = page_of(segment, "members"), []
    url = address
    while url:
        context = browser.get(url).context
        seen += [row["customer"].key for row in context["rows"]]
        url = context["next_url"] and f"{address}{context['next_url']}"
    assert seen == [row.key for row in rows]


def test_a_customers_page_tells_of_their_segments_and_why(browser: Client, now: datetime) -> None:
    anna, segment, former = a_customer("u 1&2", ("user_id", "u-1")), a_segment(), a_segment("former")
    a_stay(segment, anna, now, entered_how="event", entered_by="Order Completed (m-1)")
    a_stay(former, anna, now - DAY, now, left_how="time")
    page = text_of(browser, f"/admin/customers/customer/{anna.pk}/change/")
    assert "Order Completed (m-1)" in page and "Time passed" in page
    assert f'href="{page_of(segment, "why")}?customer=u%201%262"' in page
    assert browser.get(f"{page_of(segment, 'why')}?customer=u%201%262").context["customer"] == anna


# Overlap and migration


def test_the_overlap_tells_counts_shares_and_lift_of_every_pair(browser: Client, now: datetime) -> None:
    one, other = a_segment("one"), a_segment("other")
    people = [a_customer(f"u-{n}") for n in range(10)]
    for customer in people[:6]:
        a_stay(one, customer, now)
    for customer in people[4:8]:
        a_stay(other, customer, now)
    address = reverse("admin:rules_segment_overlap")
    cells = {
        by: browser.get(address, {"by": by}).context["body"][0]["cells"][1]["text"]
        for by in ("count", "jaccard", "lift")
    }
    assert cells == {"count": "2", "jaccard": "25 %", "lift": "0.8"}
    context = browser.get(address, {"one": one.pk, "other": other.pk}).context
    assert [(part["count"], len(part["people"])) for part in context["parts"]] == [("4", 4), ("2", 2), ("2", 2)]
    assert [share for _, _, share in context["shares"]] == ["33.3 %", "50.0 %"]
    assert browser.get(address, {"one": one.pk, "other": one.pk}).status_code == 404
    assert "An overlap needs two segments" in text_of(browser, address, segment=one.pk)


def test_the_overlap_of_two_hundred_segments_is_one_table_in_few_queries(browser: Client, now: datetime) -> None:
    Segment.objects.bulk_create(Segment(key=f"s-{n}", name=f"Segment {n}", size=1) for n in range(200))
    a_stay(Segment.objects.get(key="s-7"), a_customer("u-1"), now)
    with CaptureQueriesContext(connection) as asked:
        page = browser.get(reverse("admin:rules_segment_overlap"))
    assert len(asked) < 12
    assert (len(page.context["body"]), page.context["readable"]) == (200, False)


def test_a_migration_tells_who_went_where_and_shows_them(browser: Client, now: datetime) -> None:
    one, other = (a_segment(f"cluster-{key}", kind="cluster", condition="") for key in ("one", "other"))
    stayed, moved, came = (a_customer(f"u-{n}") for n in range(3))
    a_stay(one, stayed, now - 40 * DAY)
    a_stay(one, moved, now - 40 * DAY, now - DAY)
    a_stay(other, moved, now - DAY)
    a_stay(other, came, now - DAY)
    address = reverse("admin:rules_segment_migration")
    context = browser.get(address).context
    assert context["ago"] == 30 and not context["named"]
    counts = {row["name"]: [(cell["count"], cell["share"]) for cell in row["cells"]] for row in context["matrix"]}
    assert counts[one.name] == [(1, "50.0 %"), (1, "50.0 %"), (0, "0.0 %")]
    assert counts["none of these"] == [(0, "0.0 %"), (1, "100.0 %"), (0, "0.0 %")]
    assert [ribbon.count for ribbon in context["picture"].ribbons] == [1, 1, 1]
    clicked = browser.get(address, {"start": one.pk, "end": other.pk}).context
    assert [row["customer"] for row in clicked["people"]] == [moved]
    assert [row["customer"] for row in browser.get(address, {"start": "none", "end": other.pk}).context["people"]] == [
        came
    ]
    assert browser.get(address, {"start": "none", "end": "none"}).status_code == 404
    assert browser.get(address, {"segment": other.pk, "from": "2017-07-31"}).context["matrix"][0]["whole"] == 2


def test_without_a_clustering_the_migration_says_what_to_do(browser: Client, now: datetime) -> None:
    a_segment()
    assert "No clustering has made segments yet" in text_of(browser, reverse("admin:rules_segment_migration"))


# Who may look


def test_members_need_the_permission_to_see_customers(now: datetime) -> None:
    segment, anna = a_segment(), a_customer("u-1", ("user_id", "u-1"))
    a_stay(segment, anna, now)
    person = User.objects.create(username="sam", is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_segment"))
    browser = Client()
    browser.force_login(person)
    for view in ("members", "why"):
        assert browser.get(page_of(segment, view)).status_code == 403
    assert "u-1" not in text_of(browser, page_of(segment))
    for name in ("overlap", "migration", "live", "live_data"):
        assert browser.get(reverse(f"admin:rules_segment_{name}")).status_code == 200
    assert browser.post(page_of(segment, "again")).status_code == 403


def test_people_without_permission_see_no_page_about_segments(visitor: Client) -> None:
    segment = a_segment()
    pages = [reverse(f"admin:rules_segment_{name}") for name in ("overlap", "migration", "live", "live_data")]
    for address in [*pages, page_of(segment, "members"), page_of(segment, "why")]:
        assert visitor.get(address).status_code == 403


def test_strangers_are_asked_to_log_in_first(client: Client, db: None) -> None:
    for name in ("overlap", "migration", "live", "live_data"):
        assert client.get(reverse(f"admin:rules_segment_{name}")).status_code == 302


@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_clustering_is_told_of_clusters_and_of_no_other_segment(browser: Client, now: datetime, state: str) -> None:
    refreshed = a_segment(refreshed_at=now)
    Recompute.objects.create(reason="daily", state="done", finished_at=Now())
    Recompute.objects.create(reason=CLUSTERING, state=state, error="No facts" if state == "failed" else "")
    cluster = a_segment("thrifty", kind="cluster", condition="")
    told = states([refreshed, cluster])
    assert told[refreshed.pk].code == "fine"
    assert told[cluster.pk].code == ("computing" if state == "running" else "failed")
    assert not refresh.running(), "a refresh of all need not wait for it"
