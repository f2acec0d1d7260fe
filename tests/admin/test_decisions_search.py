"""The search of the ledger: by customer, rule, content, placement, reason, rung and time, page after page."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from decisioning.admin import asked
from decisioning.admin.asked import Mark, answer, narrowed
from decisioning.customers.models import Customer, Identity
from decisioning.models import Decision

from .shop import NOW, a_decision

pytestmark = pytest.mark.django_db

LIST = "/admin/decisioning/decision/"


def found(browser: Client, **said: str) -> list[int]:
    """The ids of what is listed, as small numbers."""
    return [one["row"].pk.int for one in browser.get(LIST, said).context["rows"]]


def another(shop: dict[str, Any], number: int, **changes: Any) -> Decision:
    plain = {"customer_id": None, "customer_key": f"hh-{number}", "items": [], "explanation": {}}
    row = a_decision(shop["customers_customer"], id=UUID(int=number), at=NOW - timedelta(days=number))
    return Decision.objects.create(**row | plain | changes)


@pytest.mark.parametrize(
    "term", ["hh-1", "eco", "eco-banner", str(UUID(int=7)), "hh-1@example.com", "HH-1@EXAMPLE.COM"]
)
def test_one_term_finds_by_customer_rule_content_and_id(browser: Client, shop: dict[str, Any], term: str) -> None:
    another(shop, 9)
    assert found(browser, q=term) == [7]


@pytest.mark.parametrize(
    "said",
    [
        {"customer": "hh-1"},
        {"customer": "hh-1@example.com"},
        {"rule": "eco"},
        {"content": "eco-banner"},
        {"placement": "home"},
        {"reason": "TARGETING_MATCH"},
        {"rung": "full"},
        {"source": "api"},
        {"since": "2026-03-01T11:00", "until": "2026-03-01T13:00"},
        {"rule": "eco", "rung": "full", "customer": "hh-1"},
    ],
)
def test_each_filter_keeps_what_fits(browser: Client, shop: dict[str, Any], said: dict[str, str]) -> None:
    other = {"placement": "elsewhere", "reason": "RANKED", "rung": "rules", "source": "campaign"}
    another(shop, 9, **other)
    assert found(browser, **said) == [7]


@pytest.mark.parametrize("said", [{"rung": "rules+model"}, {"rule": "none"}, {"customer": "nobody"}, {"q": "half"}])
def test_what_fits_nothing_says_so(browser: Client, shop: dict[str, Any], said: dict[str, str]) -> None:
    assert found(browser, **said) == []
    assert "No decision fits" in browser.get(LIST, said).content.decode()


def test_an_empty_ledger_says_what_to_do(browser: Client) -> None:
    page = browser.get(LIST).content.decode()
    assert "No decision was made so far" in page
    assert "POST /v1/decide" in page


def test_a_customer_is_found_with_what_became_part_of_them(browser: Client, shop: dict[str, Any]) -> None:
    merged = Customer.objects.create(key="hh-5", merged_into=shop["customers_customer"])
    another(shop, 9, customer_id=merged.pk, customer_key="hh-5")
    assert found(browser, customer="hh-1") == [7, 9]


def test_somebody_anonymous_is_found_by_the_id_they_came_with(browser: Client, shop: dict[str, Any]) -> None:
    another(shop, 9, customer_key="anonymous:abc")
    assert found(browser, customer="abc") == [9]


def test_what_was_decided_before_anybody_knew_a_customer_is_found_with_theirs(
    browser: Client, shop: dict[str, Any]
) -> None:
    another(shop, 9, customer_key="anonymous:abc", customer_id=None)
    another(shop, 10, customer_key="hh-1", customer_id=None)
    another(shop, 11, customer_key="anonymous:of-others", customer_id=None)
    Identity.objects.create(customer=shop["customers_customer"], kind="anonymous_id", value="abc")
    assert found(browser, customer="hh-1") == found(browser, customer="abc") == [7, 9, 10]


def test_pages_follow_each_other_without_gap_or_repeat(browser: Client, shop: dict[str, Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(asked, "PAGE", 4)
    for number in range(20, 33):
        # Several at one moment, and long pauses between.
        another(shop, number, at=NOW - timedelta(days=(number // 3) * 11))
    every, query = [], {}
    for _ in range(9):
        page = browser.get(LIST, query)
        every += [one["row"].pk.int for one in page.context["rows"]]
        if not page.context["found"].older:
            break
        query = {"before": page.context["found"].older}
    rows = Decision.objects.order_by("-at", "-pk")
    assert every == [row.pk.int for row in rows]


@pytest.mark.parametrize("before", ["x", "2026-01-01~7", "2026-01-01T00:00:00+00:00~x", "~"])
def test_a_page_that_is_none_begins_anew(browser: Client, shop: dict[str, Any], before: str) -> None:
    assert found(browser, before=before) == [7]


@pytest.mark.parametrize(
    "said", [{"since": "yesterday"}, {"q": "\x00"}, {"since": "2026-02-01T00:00", "until": "2026-01-01T00:00"}]
)
def test_what_cannot_be_asked_is_marked(browser: Client, shop: dict[str, Any], said: dict[str, str]) -> None:
    page = browser.get(LIST, said)
    assert page.status_code == 200
    assert "Mend what is marked above" in page.content.decode()


def test_a_search_that_takes_too_long_says_how_far_it_came(
    browser: Client, shop: dict[str, Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr(asked, "SECONDS", 0.0)
    page = browser.get(LIST, {"rung": "full"})
    assert page.context["found"].stuck
    assert "was stopped" in page.content.decode()
    monkeypatch.setattr(asked, "SECONDS", 3.0)
    assert found(browser, before=page.context["found"].older, rung="full") == [7]


def plan_of(queries: CaptureQueriesContext) -> str:
    """The plan of the query that read decisions, where PostgreSQL may not walk the whole table."""
    wanted = next(one["sql"] for one in queries if '"items" FROM' in one["sql"] or '"items"' in one["sql"])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {wanted}")
        return "\n".join(line for (line,) in cursor.fetchall())


@pytest.mark.parametrize("said", [{"customer": "hh-1"}, {"customer": "unknown"}, {"rule": "eco"}, {"rung": "full"}])
def test_an_index_answers_each_search(shop: dict[str, Any], said: dict[str, str]) -> None:
    with CaptureQueriesContext(connection) as queries:
        answer(said, None)
    assert "Seq Scan" not in plan_of(queries)


def test_a_list_costs_the_same_number_of_queries_for_any_number_of_rows(browser: Client, shop: dict[str, Any]) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            browser.get(LIST)
        return len(queries)

    before = cost()
    for number in range(20, 50):
        another(shop, number, at=NOW, items=[{"key": f"c-{number}"}], placement=f"p-{number}")
    assert cost() == before


def test_a_mark_comes_back_as_it_went() -> None:
    mark = Mark(NOW, UUID(int=3))
    assert Mark.read(str(mark)) == mark
    assert Mark.read(f"2026-01-01T00:00:00~{UUID(int=3)}") is None


def test_identifiers_of_others_are_not_taken_for_the_customer(shop: dict[str, Any]) -> None:
    other = Customer.objects.create(key="hh-8")
    Identity.objects.create(customer=other, kind="email", value="other@example.com")
    rows, quick = narrowed({"customer": "other@example.com"})
    assert (list(rows), quick) == ([], True)
