"""Why a customer is in a segment or not: test by test, and what would have to change, for every kind of segment."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from django.test import Client

from decisioning.customers.models import Customer
from decisioning.learning.clustering import Clustering
from decisioning.store import artefacts, clusters
from rules.admin.needed import Need, needed
from rules.admin.why import distances
from rules.language import matches, parse
from rules.models import ListEntry, Membership, Segment

from .crowd import a_customer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FACTS = {
    "orders_30d": 1,
    "city": "Rome",
    "recency_days": 40.5,
    "segments": ["vip"],
    "customer_id": "u-1",
    "tags": ["a"],
}
LABELS = {"orders_30d": "Orders in 30 days"}


def words(text: str, wanted: bool = True, facts: dict[str, Any] = FACTS) -> list[str]:
    """Every test that must change, with what it is now, flat."""
    return flat(needed(parse(text), facts, NOW, wanted, LABELS))


def flat(need: Need | None) -> list[str]:
    if need is None:
        return []
    here = [f"{need.words} ({need.now})" if need.now else need.words] if need.words else []
    return here + [line for part in need.all + need.any for line in flat(part)]


@pytest.mark.parametrize(
    ("text", "wanted", "told"),
    [
        ("orders_30d >= 3", True, "Orders in 30 days must be at least 3 (now 1, 2 below that)"),
        ("orders_30d < 3", False, "Orders in 30 days must be at least 3 (now 1, 2 below that)"),
        ("NOT orders_30d = 1", True, "Orders in 30 days must be anything but 1 (now 1)"),
        ("orders_30d != 1", True, "Orders in 30 days must be anything but 1 (now 1)"),
        ("orders_30d BETWEEN 2 AND 4", True, "Orders in 30 days must be between 2 and 4 (now 1)"),
        ('city IN ("Paris", "Oslo")', True, 'city must be one of "Paris", "Oslo" (now Rome)'),
        ('city NOT IN ("Rome")', True, 'city must be none of "Rome" (now Rome)'),
        ("city IS MISSING", True, "city must be unknown (now Rome)"),
        ("town IS PRESENT", True, "town must be known (not known)"),
        ("spend_30d > 5", True, "spend_30d must be known and be above 5 (not known)"),
        ('town != "Rome"', True, 'town must be known and be anything but "Rome" (not known)'),
        ("recency_days > 30", False, "recency_days must be at most 30 (now 40.5, 10.5 above that)"),
        ('segments CONTAINS "lapsed"', True, 'The customer must be in "lapsed"'),
        ('IN SEGMENT "vip"', False, 'The customer must not be in "vip"'),
        ('tags CONTAINS "b"', True, 'tags must contain "b" (now a)'),
        (
            "COUNT(order) IN LAST 30 DAYS >= 1",
            True,
            "COUNT(order) IN LAST 30 DAYS must be known and be at least 1 (not known)",
        ),
    ],
)
def test_a_test_that_must_change_is_told_in_words(text: str, wanted: bool, told: str) -> None:
    assert words(text, wanted) == [told]


def test_what_already_is_as_wanted_needs_nothing() -> None:
    assert needed(parse("orders_30d = 1"), FACTS, NOW, True, {}) is None
    assert needed(parse("orders_30d = 1 AND town = 2"), FACTS, NOW, False, {}) is None


def test_an_and_needs_all_that_fail_and_an_or_one_of_them() -> None:
    both = needed(parse('orders_30d > 1 AND city = "Oslo" AND recency_days > 1'), FACTS, NOW, True, {})
    either = needed(parse('orders_30d > 1 OR city = "Oslo"'), FACTS, NOW, True, {})
    assert both and either
    assert (len(both.all), len(both.any)) == (2, 0)
    assert (len(either.all), len(either.any)) == (0, 2)
    # To leave, it is the other way round.
    out = needed(parse('orders_30d = 1 AND city = "Rome"'), FACTS, NOW, False, {})
    neither = needed(parse('NOT (orders_30d = 1 OR city = "Rome")'), FACTS, NOW, True, {})
    assert out and neither
    assert (len(out.any), len(neither.all)) == (2, 2)


def test_doing_what_is_told_changes_the_answer() -> None:
    condition = parse('orders_30d >= 2 AND (city = "Oslo" OR NOT recency_days > 30)')
    assert not matches(condition, FACTS, NOW)
    assert matches(condition, {**FACTS, "orders_30d": 2, "recency_days": 30}, NOW)
    assert words('orders_30d >= 2 AND (city = "Oslo" OR NOT recency_days > 30)') == [
        "Orders in 30 days must be at least 2 (now 1, 1 below that)",
        'city must be "Oslo" (now Rome)',
        "recency_days must be at most 30 (now 40.5, 10.5 above that)",
    ]


def test_a_draw_is_told_to_be_fixed() -> None:
    chance = parse("CHANCE 50%")
    need = needed(chance, FACTS, NOW, not matches(chance, FACTS, NOW), {})
    assert need and "draw would have to be" in need.words and "never changes" in need.note


def test_what_time_alone_changes_is_noted() -> None:
    grows = needed(parse("recency_days > 90"), FACTS, NOW, True, {})
    forgets = needed(parse("COUNT(order) IN LAST 7 DAYS > 1"), {"COUNT(order) IN LAST 7 DAYS": 0}, NOW, True, {})
    assert grows and forgets
    assert grows.note == "Grows by itself as time passes."
    assert forgets.note == "Forgets by itself what is older than 7 days."


# The page


def ask(browser: Client, segment: Segment, key: str) -> Any:
    answer = browser.get(f"/admin/rules/segment/{segment.pk}/why/", {"customer": key})
    assert answer.status_code == 200
    return answer


@pytest.fixture
def anna(db: None) -> Customer:
    facts = {"orders_30d": 1, "recency_days": 40.5}
    return a_customer("u-1", ("user_id", "u-1"), ("email", "anna@example.com"), facts=facts, facts_at=NOW)


def test_a_condition_is_shown_test_by_test_with_values(browser: Client, anna: Customer) -> None:
    vip = Segment.objects.create(key="vip", name="VIP", kind="list")
    Membership.objects.create(segment=vip, customer=anna, entered_at=NOW)
    text = 'orders_30d >= 2 AND NOT segments CONTAINS "vip" AND device = "kiosk"'
    segment = Segment.objects.create(key="s", name="S", condition=text, refreshed_at=NOW)
    told = ask(browser, segment, "u-1").context
    assert (told["inside"], told["holds"], told["differs"]) == (False, False, False)
    assert [part["result"] for part in told["tree"]["parts"]] == [False, False, False]
    first = told["tree"]["parts"][0]
    assert (first["label"], first["shown"]) == ("Orders in 30 days", "1")
    assert told["of_the_moment"] == ["device"]
    assert len(told["need"].all) == 3


def test_a_membership_that_the_facts_contradict_is_pointed_out(browser: Client, anna: Customer) -> None:
    segment = Segment.objects.create(key="s", name="S", condition="orders_30d >= 2", refreshed_at=NOW)
    Membership.objects.create(segment=segment, customer=anna, entered_at=NOW, entered_how="refresh")
    answer = ask(browser, segment, "u-1")
    assert answer.context["differs"]
    assert "facts have changed since the customer was placed" in answer.content.decode()
    assert [one["entered"].words for one in answer.context["stays"]] == ["The facts of all were computed anew"]


def test_a_list_names_the_entry(browser: Client, anna: Customer) -> None:
    segment = Segment.objects.create(key="vip", name="VIP", kind="list", refreshed_at=NOW)
    page = ask(browser, segment, "u-1").content.decode()
    assert "None of the customer's identifiers is on it" in page and "anna@example.com" in page
    entry = ListEntry.objects.create(segment=segment, kind="email", value="anna@example.com", at=NOW)
    ListEntry.objects.create(segment=segment, kind="phone", value="anna@example.com", at=NOW)
    answer = ask(browser, segment, "u-1")
    assert (answer.context["entries"], answer.context["differs"]) == ([entry], True)
    assert "is not applied yet" in answer.content.decode()


def test_a_cluster_shows_how_near_each_one_is_and_which_fact_decides(browser: Client, anna: Customer) -> None:
    kinds = [(0, 300.0, 5.0), (30, 2.0, 900.0), (8, 40.0, 90.0)]
    rows = [
        {"customer_id": n, "orders_365d": orders + n % 3, "recency_days": recency + n % 5, "spend_365d": spend + n % 7}
        for n in range(600)
        for orders, recency, spend in [kinds[n % 3]]
    ]
    found = Clustering().fit(pl.DataFrame(rows)).clusters_
    clusters.register(found)
    kept = artefacts.keep("clustering", found.to_artefact(), "", {}, NOW)
    artefacts.activate(kept)
    facts = {"orders_365d": 30, "recency_days": 2.0, "spend_365d": 900.0}
    Customer.objects.filter(pk=anna.pk).update(facts=facts)
    mine = Segment.objects.get(key=clusters.segment_key(found.clusters[found.assign(facts)]))
    Membership.objects.create(segment=mine, customer=anna, entered_at=NOW)
    table = distances(found, facts)
    assert min(table["whole"]) == table["whole"][found.assign(facts)]
    told = ask(browser, mine, "u-1").context
    assert told["columns"][0]["mine"] and not told["differs"] and not told["gone"]
    assert len(told["columns"]) == len(found.clusters) and len(told["rows"]) == len(found.facts)
    for column, parts in zip(told["columns"], zip(*(row["parts"] for row in told["rows"]), strict=True), strict=True):
        assert column["distance"] ** 2 == pytest.approx(sum(parts))
    other = Segment.objects.filter(kind="cluster").exclude(pk=mine.pk).first()
    assert other and not ask(browser, other, "u-1").context["columns"][0]["mine"]


def test_without_a_clustering_the_page_says_so(browser: Client, anna: Customer) -> None:
    segment = Segment.objects.create(key="cluster-x", name="X", kind="cluster")
    assert "No clustering is active" in ask(browser, segment, "u-1").content.decode()


def test_a_customer_is_found_and_a_merged_one_leads_to_whom_they_are_part_of(browser: Client, anna: Customer) -> None:
    segment = Segment.objects.create(key="s", name="S", condition="orders_30d >= 2")
    address = f"/admin/rules/segment/{segment.pk}/why/"
    assert browser.get(address).status_code == 200
    assert browser.get(address, {"q": "anna@"})["Location"] == f"{address}?customer=u-1"
    assert "Nobody is known by" in browser.get(address, {"q": "%"}).content.decode()
    a_customer("old", merged_into=anna)
    assert browser.get(address, {"customer": "old"})["Location"] == f"{address}?customer=u-1"
    assert browser.get(address, {"customer": "nobody"}).status_code == 404
