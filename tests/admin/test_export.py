"""Files of members that no spreadsheet runs, and files of identifiers that change lists: asked, shown, logged."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from decisioning.customers.models import Customer, Identity
from decisioning.flows import enlist
from decisioning.store import uploads
from rules import roster
from rules.models import Membership, Segment

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_a_cell_that_would_be_run_begins_with_a_quote(start: str) -> None:
    assert roster.harmless(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize("value", [-5, -0.5, 0, "", "a=1", " =1", "'=1", True])
def test_numbers_and_plain_text_stay_as_they_are(value: Any) -> None:
    assert roster.harmless(value) == value


def made(header: list[str], *rows: tuple[Any, ...], mark: bool = False, safe: bool = True) -> bytes:
    return b"".join(roster.lines(header, rows, mark=mark, safe=safe))


def test_lines_are_those_of_rfc_4180() -> None:
    row = ("a,b", 'say "hi"', "two\nlines", None, True, 1.5, ["x", 2], NOW)
    assert made(["one", "=two"], row) == (
        b'one,\'=two\r\n"a,b","say ""hi""","two\nlines",,true,1.5,x; 2,2026-05-01T12:00:00+00:00\r\n'
    )
    assert made(["a"], ("=1",), safe=False) == b"a\r\n=1\r\n"
    assert made(["é"], mark=True) == b"\xef\xbb\xbf\xc3\xa9\r\n"


@pytest.fixture
def segment(db: None) -> Segment:
    return Segment.objects.create(key="buyers", name="Buyers", condition="orders_30d >= 1")


def fill(segment: Segment, number: int) -> None:
    people = Customer.objects.bulk_create(
        Customer(key=f"c-{index:06}", facts={"orders_30d": index, "plan": "=gold"}) for index in range(number)
    )
    Identity.objects.bulk_create(Identity(customer=one, kind="email", value=f"{one.key}@x.de") for one in people)
    Membership.objects.bulk_create(Membership(segment=segment, customer=one, entered_at=NOW) for one in people)


def url(name: str, *parts: Any) -> str:
    return reverse(f"admin:rules_segment_{name}", args=parts)


def downloaded(browser: Client, segment: Segment, **chosen: Any) -> tuple[Any, list[list[str]]]:
    answer = browser.post(url("export", segment.pk), chosen)
    assert answer.streaming, answer.content
    text = b"".join(answer.streaming_content).decode()
    return answer, list(csv.reader(io.StringIO(text, newline="")))


def test_an_export_has_the_chosen_columns_and_is_logged(browser: Client, segment: Segment) -> None:
    fill(segment, 2)
    newer = Identity.objects.create(customer=Customer.objects.get(key="c-000001"), kind="email", value="new@x.de")
    page = browser.get(url("export", segment.pk)).content.decode()
    assert "2 customers, one a line" in page
    words = {"basic": ["entered_at"], "identifiers": ["email", "phone"], "facts": ["orders_30d"], "mark": "on"}
    answer, rows = downloaded(browser, segment, **words)
    assert rows == [
        ["\ufeffkey", "entered_at", "email", "phone", "orders_30d"],
        ["c-000000", "2026-05-01T12:00:00+00:00", "c-000000@x.de", "", "0"],
        ["c-000001", "2026-05-01T12:00:00+00:00", newer.value, "", "1"],
    ]
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="buyers-')
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user.username) == (str(segment.pk), "mia")
    assert entry.change_message == "Exported 2 members with key, entered_at, email, phone, orders_30d."


def test_the_facts_that_the_condition_reads_are_chosen_already_and_unknown_ones_refused(
    browser: Client, segment: Segment
) -> None:
    page = browser.get(url("export", segment.pk)).content.decode()
    assert '<option value="orders_30d" selected>' in page
    assert "Nobody is in this segment now" in page
    refused = browser.post(url("export", segment.pk), {"facts": ["hour"]})
    assert (refused.status_code, LogEntry.objects.count()) == (200, 0)
    assert "Select a valid choice" in refused.content.decode()


def test_many_members_are_read_by_one_query_a_few_at_a_time(browser: Client, segment: Segment) -> None:
    fill(segment, 2 * roster.AT_ONCE + 1)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        parts = list(roster.lines(["key"], roster.rows(segment.pk, roster.BASIC[:1]), mark=False))
    assert len([query for query in queries if "rules_membership" in query["sql"]]) <= 1
    assert len(parts) == 3
    assert b"".join(parts).count(b"\r\n") == 2 * roster.AT_ONCE + 2


@pytest.mark.parametrize("granted", [["view_segment", "view_customer"], ["change_segment"], []])
def test_who_may_not_change_segments_and_see_customers_exports_nothing(segment: Segment, granted: list[str]) -> None:
    clerk = User.objects.create(username="clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=granted))
    client = Client()
    client.force_login(clerk)
    for method in (client.get, client.post):
        assert method(url("export", segment.pk)).status_code == 403
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["change_segment", "view_customer"]))
    assert client.get(url("export", segment.pk)).status_code == 200


@pytest.fixture
def vip(db: None, settings: Any, tmp_path: Any, clean_redis: Any) -> Segment:
    settings.STATE_DIR = tmp_path
    segment = Segment.objects.create(key="vip", name="VIP", kind="list", refreshed_at=NOW)
    for name in ("ann", "bob"):
        row = Customer.objects.create(key=name, facts={"orders": 1}, facts_at=NOW)
        Identity.objects.create(customer=row, kind="user_id", value=name)
    return segment


def upload(browser: Client, segment: Segment, text: str, **words: str) -> Any:
    file = SimpleUploadedFile("people.csv", text.encode(), content_type="text/csv")
    return browser.post(url("list", segment.pk), {"file": file, "mode": "add", "kind": "", **words})


def test_a_file_is_shown_first_and_imported_when_confirmed(
    browser: Client, vip: Segment, committing: Any, broker: Any
) -> None:
    assert "The list is empty so far" in browser.get(url("list", vip.pk)).content.decode()
    answer = upload(browser, vip, "user_id,shoe\nann,42\nghost,43\nann,44\nundefined,45\n")
    assert answer.status_code == 302
    page = " ".join(browser.get(answer.url).content.decode().split())
    assert "Not read: shoe" in page
    assert "2, and 1 repetition" in page
    assert "<td>5</td><td>“undefined” names nobody.</td>" in page
    assert (vip.entries.count(), vip.memberships.count()) == (0, 0)
    with committing():
        assert browser.post(answer.url).url == reverse("admin:rules_segment_change", args=[vip.pk])
    assert broker.llen("later") == 1
    token = answer.url.rstrip("/").rsplit("/", 1)[1]
    assert token.encode() in broker.lindex("later", 0) or b"import_list" in broker.lindex("later", 0)
    enlist.enlist(token, NOW)
    assert [stay.customer.key for stay in vip.memberships.all()] == ["ann"]
    assert LogEntry.objects.get().change_message == "Asked to import people.csv (add)."
    assert "imported already" in browser.get(answer.url, follow=True).content.decode()


def test_the_last_import_can_be_taken_back_once(browser: Client, vip: Segment, committing: Any, broker: Any) -> None:
    enlist.change(vip.pk, "add", [("user_id", "ann")], "people.csv", NOW)
    assert "Import of people.csv (add)" in browser.get(url("list", vip.pk)).content.decode()
    assert "Who entered by it leaves" in browser.get(url("list_back", vip.pk)).content.decode()
    with committing():
        browser.post(url("list_back", vip.pk))
    assert broker.llen("later") == 1
    enlist.take_back(vip.pk, NOW)
    assert vip.memberships.filter(left_at__isnull=True).count() == 0
    told = browser.get(url("list_back", vip.pk), follow=True).content.decode()
    assert "There is no import to take back" in told


@pytest.mark.parametrize(("text", "cure"), [("foo\nbar\n", "choose a kind"), ("\n", "The file is empty")])
def test_a_file_that_says_nothing_is_refused_on_the_spot(browser: Client, vip: Segment, text: str, cure: str) -> None:
    answer = upload(browser, vip, text)
    assert answer.status_code == 200
    assert cure in answer.content.decode()
    assert list((uploads._folder()).iterdir()) == []


def test_a_file_that_would_change_nothing_offers_no_import_and_can_be_dropped(browser: Client, vip: Segment) -> None:
    enlist.change(vip.pk, "add", [("user_id", "ann")], "people.csv", NOW)
    look = upload(browser, vip, "user_id\nann\n").url
    page = browser.get(look).content.decode()
    assert "Nothing would change: back" in page
    assert browser.post(look, {"cancel": "1"}).url == url("list", vip.pk)
    assert list(uploads._folder().iterdir()) == []


def test_a_file_of_another_list_and_a_segment_that_is_no_list_are_refused(
    browser: Client, vip: Segment, segment: Segment
) -> None:
    other = Segment.objects.create(key="other", name="Other", kind="list")
    look = upload(browser, vip, "user_id\nann\n").url
    token = look.rstrip("/").rsplit("/", 1)[1]
    assert "another list" in browser.post(url("list_look", other.pk, token), follow=True).content.decode()
    assert browser.get(url("list", segment.pk)).status_code == 404


def test_who_may_not_change_segments_changes_no_list(visitor: Client, vip: Segment) -> None:
    for address in (url("list", vip.pk), url("list_back", vip.pk), url("list_look", vip.pk, "0" * 32)):
        assert visitor.post(address).status_code == 403


def test_the_pages_are_part_of_the_segments_admin() -> None:
    names = {pattern.name for pattern in admin.site._registry[Segment].get_urls()}
    assert {"rules_segment_export", "rules_segment_list", "rules_segment_list_look"} <= names
