"""Imported lists: what is read of files, who is in, who comes in later, and what can be taken back."""

import io
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from campaigns.models import Campaign, Message
from decisioning.customers.identity.known import key_of
from decisioning.customers.intake import listing
from decisioning.customers.intake.ingest import store
from decisioning.customers.intake.listing import Report, Trouble, Unreadable
from decisioning.customers.models import Customer, Identity
from decisioning.flows import enlist
from decisioning.flows.react import react
from decisioning.store import connection, profiles, uploads
from rules import lists
from rules.models import How, ListEntry, Membership, Recompute, Segment

from ..customers.test_ingest import checked

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def read(text: str | bytes, kind: str = "") -> tuple[list[tuple[str, str]], Report]:
    report = Report()
    raw = text if isinstance(text, bytes) else text.encode()
    return list(listing.pairs(io.BytesIO(raw), kind, report)), report


def test_columns_are_found_by_their_names_and_values_are_compared_as_those_of_events() -> None:
    found, report = read("Name,E-Mail,User ID,Phone\nAnn, Ann@Shop.Example ,c-1,+49 (170) 123-4567\n")
    assert found == [("email", "ann@shop.example"), ("user_id", "c-1"), ("phone", "+491701234567")]
    assert (report.rows, report.bad, report.ignored) == (1, 0, ["Name"])


@pytest.mark.parametrize(
    "text",
    [
        "email\r\na@x.de\r\nb@x.de\r\n",
        "\ufeffemail\na@x.de\nb@x.de",
        "name;email\nAnn;a@x.de\nBob;b@x.de\n",
        "email\tname\na@x.de\tAnn\nb@x.de\tBob\n",
        '"email"\n"a@x.de"\n\n"b@x.de"\n\n',
        "\n\nemail\na@x.de\nb@x.de\n",
    ],
)
def test_files_of_any_program_are_read(text: str) -> None:
    assert read(text)[0] == [("email", "a@x.de"), ("email", "b@x.de")]


def test_lines_without_a_header_are_of_the_kind_that_was_chosen() -> None:
    found, report = read("a@x.de\nb@x.de\n", "email")
    assert ([value for _, value in found], report.rows) == (["a@x.de", "b@x.de"], 2)
    assert read("email\na@x.de\n", "email")[0] == [("email", "a@x.de")]


@pytest.mark.parametrize(
    ("text", "cure"), [("", "is empty"), ("\n\n", "is empty"), ("foo,bar\n1,2\n", "choose a kind")]
)
def test_a_file_that_says_nothing_is_refused_with_the_cure(text: str, cure: str) -> None:
    with pytest.raises(Unreadable, match=cure):
        read(text)
    with pytest.raises(Unreadable, match="UTF-16"):
        read("email\na@x.de\n".encode("utf-16"))


def test_what_cannot_be_used_is_told_with_its_line_and_the_rest_is_taken() -> None:
    text = 'email,phone\na@x.de,0170 1234567\nnonsense,\n,\n"two\nlines@x.de",\nc@x.de,\n,+491701234567\n'
    found, report = read(text + "x" * 300 + "@x.de,\n")
    assert found == [("email", "a@x.de"), ("email", "c@x.de"), ("phone", "+491701234567")]
    assert [trouble.line for trouble in report.troubles] == [2, 3, 5, 9]
    assert report.troubles[0] == Trouble(2, "“0170 1234567” needs its country: +49 170 1234567.")
    assert "longer than 200" in report.troubles[3].reason
    assert (report.rows, report.bad, report.identifiers) == (6, 4, 3)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("header", ["", "user_id"])
def test_lines_end_as_any_system_ends_them(end: str, header: str) -> None:
    text = end.join(filter(None, [header, "hh-11", "hh-12", ""]))
    found, report = read(text, "user_id")
    assert (found, report.bad) == ([("user_id", "hh-11"), ("user_id", "hh-12")], 0)


def test_random_bytes_are_bad_lines_and_no_failure() -> None:
    raw = random.Random(7).randbytes(200_000)
    found, report = read(raw, "user_id")
    assert report.bad > 100
    assert len(found) == report.identifiers


@pytest.mark.parametrize("head", ["user_id,note\n", ""])
def test_a_quote_without_its_end_costs_its_own_line_alone(head: str) -> None:
    rows = [f"big-{n},desk" for n in range(100_000)]
    rows[9] = 'big-9,"monitor'
    found, report = read(head + "\n".join(rows), "user_id")
    assert (len(found), report.rows, report.bad) == (99_999, 100_000, 1)
    assert [trouble.line for trouble in report.troubles] == [10 + bool(head)]
    assert "within 100 lines" in report.troubles[0].reason


def test_the_lines_behind_a_quote_without_its_end_are_taken_to_the_last() -> None:
    found, report = read('user_id,note\nhh-4,\n"hh-5,bad\nhh-6,"good"\n"hh-7,bad\nhh-8,', "")
    assert [value for _, value in found] == ["hh-4", "hh-6", "hh-8"]
    assert [trouble.line for trouble in report.troubles] == [3, 5]


def test_a_cell_that_is_not_read_may_have_several_lines() -> None:
    found, report = read('user_id,note\nc-1,"two\nlines"\nc-2,""\n\nnull,\n')
    assert (found, [trouble.line for trouble in report.troubles]) == ([("user_id", "c-1"), ("user_id", "c-2")], [6])


def test_identifiers_with_bars_stay_whole_where_no_header_has_bars() -> None:
    text = "auth0|5f7c8ec7\ngoogle-oauth2|11\n"
    whole = [("user_id", "auth0|5f7c8ec7"), ("user_id", "google-oauth2|11")]
    assert read(text, "user_id")[0] == whole
    assert read("user_id\n" + text)[0] == whole
    assert read("name|user_id\nAnn|c-1\n")[0] == [("user_id", "c-1")]


def test_a_line_that_is_far_too_long_counts_as_one() -> None:
    long = "x" * (3 * listing.CHUNK)
    found, report = read(f"user_id,note\nc-1,\n{long},\nnull,\nc-2,{long}\nc-3,")
    assert (found, report.rows) == ([("user_id", "c-1"), ("user_id", "c-3")], 5)
    assert [trouble.line for trouble in report.troubles] == [3, 4, 5]
    assert "longer than 10,000 characters" in report.troubles[0].reason
    with pytest.raises(Unreadable, match="Line 2 is longer"):
        read(f"\n{long}\n", "user_id")


def test_bytes_that_are_no_text_and_names_of_nobody_are_bad_lines() -> None:
    found, report = read(b"user_id\nu\xff1\nundefined\nnull\n\x00\nu-2\n")
    assert (found, report.bad) == ([("user_id", "u-2")], 4)
    assert "UTF-8" in report.troubles[0].reason


def test_only_the_first_bad_lines_are_told_one_by_one() -> None:
    _, report = read("email\n" + "x\n" * 500)
    assert (report.bad, len(report.troubles)) == (500, listing.MOST_TOLD)


@pytest.mark.parametrize(
    "pair", [("user_id", "c-1"), ("email", "a@x.de"), ("anonymous_id", "a"), ("user_id", "email:x")]
)
def test_a_customers_key_leads_back_to_the_identifier_it_was_made_of(pair: tuple[str, str]) -> None:
    assert listing.pair_of(key_of(*pair)) == pair


def test_the_quote_that_keeps_a_spreadsheet_from_reading_a_formula_is_taken_off() -> None:
    assert read("phone,user_id\n'+491701234567,'=1\n")[0] == [("phone", "+491701234567"), ("user_id", "=1")]


@pytest.fixture
def vip(db: None, clean_redis: Any) -> Segment:
    """An empty list that was computed before, so that whoever comes in enters."""
    return Segment.objects.create(key="vip", name="VIP", kind="list", refreshed_at=NOW - HOUR)


def person(name: str) -> Customer:
    """Somebody with a user id and an e-mail address, whose facts are known."""
    row = Customer.objects.create(key=name, facts={"orders": 1}, facts_at=NOW - HOUR, facts_version=1)
    Identity.objects.create(customer=row, home=row, kind="user_id", value=name)
    Identity.objects.create(customer=row, kind="email", value=f"{name}@x.de")
    return row


def upload(segment: Segment, mode: str, text: str, kind: str = "") -> str:
    return uploads.keep([text.encode()], uploads.About(segment.pk, mode, kind, "people.csv", 1))


def names(segment: Segment) -> list[str]:
    rows = Membership.objects.filter(segment=segment, left_at__isnull=True)
    return sorted(rows.values_list("customer__key", flat=True))


def entries(segment: Segment) -> list[str]:
    rows = ListEntry.objects.filter(segment=segment).exclude(kind__startswith=lists.FORMER)
    return sorted(rows.values_list("value", flat=True))


def test_a_preview_foresees_exactly_what_then_happens(vip: Segment, settings: Any, tmp_path: Path) -> None:
    settings.STATE_DIR = tmp_path
    for name in ("ann", "bob", "eve"):
        person(name)
    enlist.enlist(upload(vip, "add", "user_id\nann\nbob\nghost\n"), NOW)
    token = upload(vip, "replace", "email\nbob@x.de\neve@x.de\neve@x.de\nnobody@x.de\nbad\n")
    seen = enlist.preview(token)
    assert (seen.report.rows, seen.report.bad, seen.duplicates, seen.unknown) == (5, 1, 1, 1)
    assert (seen.foreseen.customers, seen.foreseen.added, seen.foreseen.removed) == (2, 3, 3)
    assert (seen.foreseen.entering, seen.foreseen.leaving) == (1, 1)
    assert (names(vip), entries(vip)) == (["ann", "bob"], ["ann", "bob", "ghost"])
    done = enlist.enlist(token, NOW + HOUR)
    assert (done.changed, done.entered, done.left) == ((3, 3), 1, 1)
    assert (names(vip), entries(vip)) == (["bob", "eve"], ["bob@x.de", "eve@x.de", "nobody@x.de"])
    assert enlist.last_import(vip.pk) == "import of people.csv (replace)"


def changed(segment: Segment, mode: str, *found: tuple[str, str], at: datetime = NOW) -> enlist.Enlisted:
    return enlist.change(segment.pk, mode, found, "people.csv", at)


@pytest.mark.parametrize(
    ("mode", "value", "after"), [("add", "eve", ["ann", "eve"]), ("remove", "ann", []), ("replace", "eve", ["eve"])]
)
def test_each_mode_foresees_does_and_takes_back_the_same(vip: Segment, mode: str, value: str, after: list[str]) -> None:
    for name in ("ann", "eve"):
        person(name)
    changed(vip, "add", ("user_id", "ann"))
    lists.stage([("user_id", value)])
    seen = lists.foresee(vip.pk, mode)
    done = changed(vip, mode, ("user_id", value), at=NOW + HOUR)
    assert (names(vip), entries(vip)) == (after, after)
    assert (seen.added, seen.removed, seen.entering, seen.leaving) == (*done.changed, done.entered, done.left)
    enlist.take_back(vip.pk, NOW + 2 * HOUR)
    assert (names(vip), entries(vip)) == (["ann"], ["ann"])
    with pytest.raises(enlist.NotPossible, match="only the last one"):
        enlist.take_back(vip.pk, NOW + 2 * HOUR)


def test_an_import_that_changes_nothing_cannot_be_taken_back_nor_can_one_before_it(vip: Segment) -> None:
    person("ann")
    changed(vip, "add", ("user_id", "ann"))
    changed(vip, "add", ("user_id", "ann"), at=NOW)
    assert enlist.last_import(vip.pk) == ""
    with pytest.raises(enlist.NotPossible):
        enlist.take_back(vip.pk, NOW)
    assert names(vip) == ["ann"]


def test_two_imports_at_one_moment_are_told_apart(vip: Segment) -> None:
    for name in ("ann", "bob"):
        person(name)
        changed(vip, "add", ("user_id", name))
    enlist.take_back(vip.pk, NOW)
    assert names(vip) == ["ann"]


def test_a_change_that_fails_changes_nothing_and_is_not_offered_to_be_taken_back(vip: Segment) -> None:
    def broken() -> Any:
        yield ("user_id", "ann")
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        enlist.change(vip.pk, "add", broken(), "people.csv", NOW)
    assert (entries(vip), enlist.last_import(vip.pk)) == ([], "")


def test_stays_say_which_file_and_profiles_and_nested_segments_follow_at_once(vip: Segment) -> None:
    ann = person("ann")
    nested = Segment.objects.create(
        key="nested", name="Nested", condition='segments CONTAINS "vip" AND orders >= 1', refreshed_at=NOW - HOUR
    )
    changed(vip, "add", ("email", "ann@x.de"))
    stay = Membership.objects.get(segment=vip)
    assert (stay.entered_how, stay.entered_by, stay.entered_at) == (How.IMPORT, "people.csv", NOW)
    assert names(nested) == ["ann"]
    found = profiles.Profiles(connection.patient()).find("email", "ann@x.de", "x").profile
    assert found is not None
    assert (found.id, found.segments) == (ann.pk, ("nested", "vip"))
    changed(vip, "remove", ("email", "ann@x.de"))
    assert (names(vip), names(nested)) == ([], [])
    row = Recompute.objects.filter(segment=vip).latest("id")
    assert (row.state, row.done, row.total, row.left) == ("done", 1, 1, 1)


def test_entering_a_list_triggers_its_campaigns_but_the_first_import_does_not(vip: Segment) -> None:
    words = {"trigger": "segment", "subject": "s", "body": "b"}
    for name in ("ann", "bob"):
        person(name)
    fresh = Segment.objects.create(key="fresh", name="Fresh", kind="list")
    Campaign.objects.create(key="vip", name="V", segment=vip, **words)
    Campaign.objects.create(key="fresh", name="F", segment=fresh, **words)
    for segment in (vip, fresh):
        changed(segment, "add", ("user_id", "ann"))
    assert list(Message.objects.values_list("campaign__key", flat=True)) == ["vip"]
    changed(fresh, "add", ("user_id", "bob"))
    assert Message.objects.filter(campaign__key="fresh", customer__key="bob").count() == 1


def test_whoever_turns_up_with_an_identifier_on_the_list_enters_then(vip: Segment) -> None:
    changed(vip, "add", ("email", "late@x.de"), ("user_id", "later"))
    store([checked("m-1", NOW, "late", properties='{"email": "late@x.de"}', type="identify", name="identify")], NOW)
    pairs = (("user_id", "late"), ("email", "late@x.de"))
    store([checked("m-2", NOW, "late", identifiers=pairs), checked("m-3", NOW, "later")], NOW)
    react(NOW)
    assert names(vip) == ["late", "later"]
    assert set(Membership.objects.values_list("entered_how", flat=True)) == {How.EVENT}


def test_a_list_that_is_switched_off_keeps_its_entries_and_is_followed_when_it_is_on(vip: Segment) -> None:
    person("ann")
    Segment.objects.filter(pk=vip.pk).update(active=False)
    changed(vip, "add", ("user_id", "ann"))
    assert (names(vip), entries(vip)) == ([], ["ann"])
    Segment.objects.filter(pk=vip.pk).update(active=True)
    assert (enlist.follow([vip.pk], NOW), names(vip)) == (1, ["ann"])


def test_another_lists_members_stay_where_they_are(vip: Segment) -> None:
    person("ann")
    other = Segment.objects.create(key="other", name="Other", kind="list", refreshed_at=NOW)
    changed(other, "add", ("user_id", "ann"))
    changed(vip, "add", ("user_id", "ann"))
    changed(vip, "replace")
    assert (names(vip), names(other)) == ([], ["ann"])


def test_a_segment_by_condition_takes_no_list(db: None) -> None:
    segment = Segment.objects.create(key="c", name="C", condition="orders >= 1")
    with pytest.raises(enlist.NotPossible, match="no imported list"):
        changed(segment, "add", ("user_id", "ann"))


def test_an_upload_is_gone_after_its_import_and_after_a_day(
    vip: Segment, settings: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    settings.STATE_DIR = tmp_path
    token = upload(vip, "add", "user_id\nann\n")
    enlist.enlist(token, NOW)
    with pytest.raises(uploads.Gone, match="imported already"):
        enlist.enlist(token, NOW)
    old = upload(vip, "add", "user_id\nann\n")
    monkeypatch.setattr(uploads, "KEPT_SECONDS", -1)
    upload(vip, "add", "user_id\nbob\n")
    with pytest.raises(uploads.Gone):
        uploads.about(old)
    for wrong in ("", "../../etc/passwd", "0" * 32):
        with pytest.raises(uploads.Gone):
            uploads.opened(wrong)


def test_lists_of_finds_every_list_of_an_identifier(vip: Segment) -> None:
    other = Segment.objects.create(key="other", name="Other", kind="list")
    for segment in (vip, other):
        changed(segment, "add", ("user_id", "ann"))
    changed(other, "remove", ("user_id", "ann"))
    assert lists.lists_of([("user_id", "ann"), ("email", "ann")]) == {("user_id", "ann"): [vip.pk]}
    assert lists.lists_of([]) == {}
