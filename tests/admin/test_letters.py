"""Dead letters' pages: hostile bodies are shown harmless, and replaying asks first, is noted and needs permission."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from decisioning.config import clock
from decisioning.customers.admin import letters as admin_letters
from decisioning.customers.admin import plan as admin_plan
from decisioning.customers.admin.letters import pretty
from decisioning.customers.intake import letters
from decisioning.customers.models import DeadLetter, Event, Pending

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
PAGES = (admin_letters, admin_plan)
LIST = "admin:customers_deadletter_changelist"
GOOD = b'{"type": "track", "event": "Clicked", "messageId": "m-1", "userId": "u-1"}'


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Each test has the whole allowance."""
    letters.allowance.forget()
    yield
    letters.allowance.forget()


def letter(code: str = "no_type", reason: str = "The event has no type.", body: bytes = GOOD) -> DeadLetter:
    letters.keep([(code, reason, body)], "api", clock.now())
    return DeadLetter.objects.latest("pk")


def page_of(row: DeadLetter, name: str = "change") -> str:
    return reverse(f"admin:customers_deadletter_{name}", args=[row.pk])


def test_an_empty_list_is_good_news(browser: Client) -> None:
    assert "Nothing was refused in the last 90 days" in browser.get(reverse(LIST)).content.decode()


def test_the_list_shows_what_is_still_dead(browser: Client) -> None:
    dead, done = letter(), letter("nobody", "Nobody did it.")
    DeadLetter.objects.filter(pk=done.pk).update(replayed_at=clock.now())
    page = browser.get(reverse(LIST)).content.decode()
    assert f"letter {dead.pk}" in page
    assert f"letter {done.pk}" not in page
    for state, found in (("replayed", [done.pk]), ("all", [done.pk, dead.pk])):
        answer = browser.get(reverse(LIST), {"state": state})
        assert [row.pk for row in answer.context["cl"].result_list] == found


def test_a_long_list_is_counted_up_to_a_limit(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_letters, "MOST_COUNTED", 3)
    for number in range(5):
        letter(body=b"%d" % number)
    assert browser.get(reverse(LIST)).context["cl"].result_count == 3


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a":{"b":[1]}}', '{\n  "a": {\n    "b": [\n      1\n    ]\n  }\n}'),
        (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
        (b"\xff\x00abc\x1b[0m", "\\xff\\x00abc\\x1b[0m"),
        ('"\u202egnp"'.encode(), '"\\u202egnp"'),
        (b"[" * 30_000, f"{'[' * 20_000}\n…"),
        (b"1" * 5_000, "1" * 5_000),
        (b'"\\ud800"', '"\\ud800"'),
        (b"", ""),
    ],
)
def test_a_hostile_body_is_made_visible_and_cut(browser: Client, body: bytes, shown: str) -> None:
    assert pretty(body) == shown
    page = browser.get(page_of(letter(body=body))).content.decode()
    assert "<script>alert" not in page


def test_replaying_one_asks_first_and_tells_what_became_of_it(browser: Client) -> None:
    row = letter()
    assert "same intake" in browser.get(page_of(row, "replay_one")).content.decode()
    assert not Event.objects.exists()
    page = browser.post(page_of(row, "replay_one"), follow=True).content.decode()
    assert "1 letter: Taken in." in page
    assert "Replayed on" in page
    assert page_of(row, "replay_one") not in page, "there is nothing more to replay"
    assert Event.objects.get().message_id == "m-1"
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.change_message) == ("mia", "Replayed: Taken in.")


def test_selected_ones_are_replayed_with_a_summary(browser: Client) -> None:
    rows = [letter(body=GOOD), letter("not_json", "No.", b"{")]
    action = {"action": "replay_selected", "_selected_action": [row.pk for row in rows]}
    page = browser.post(reverse(LIST), action, follow=True).content.decode()
    assert "1 letter: Taken in." in page
    assert "1 letter: Refused again" in page


def test_all_of_one_code_are_replayed_and_others_left_alone(browser: Client) -> None:
    rows = [letter(body=GOOD.replace(b"m-1", b"m-%d" % number)) for number in range(3)]
    other = letter("nobody", "Nobody.", GOOD.replace(b"m-1", b"m-9"))
    assert "3 with the code “no_type” are still dead" in browser.get(page_of(rows[0], "replay_alike")).content.decode()
    page = browser.post(page_of(rows[0], "replay_alike"), follow=True).content.decode()
    assert "3 letters: Taken in." in page
    assert list(DeadLetter.objects.filter(replayed_at__isnull=True)) == [other]


def test_an_event_set_aside_is_told_without_a_body_and_handed_back(browser: Client) -> None:
    Pending.objects.create(event_id=UUID(int=9), identity_id=1, attempts=5, problem="poison")
    letters.set_aside(UUID(int=9), "ValueError('poison')", clock.now())
    row = DeadLetter.objects.get()
    page = browser.get(page_of(row)).content.decode()
    assert str(UUID(int=9)) in page
    assert "What was sent" not in page
    browser.post(page_of(row, "replay_one"))
    assert Pending.objects.get().problem == ""


def test_one_that_was_not_kept_offers_no_replay(browser: Client) -> None:
    row = letter("event_too_large", "Too large.", b"")
    page = browser.get(page_of(row)).content.decode()
    assert "It was not kept" in page
    assert page_of(row, "replay_one") not in page


def test_replaying_needs_the_permission_to_change(visitor: Client) -> None:
    row = letter()
    assert visitor.get(reverse(LIST)).status_code == 403
    User.objects.get(username="vic").user_permissions.add(Permission.objects.get(codename="view_deadletter"))
    assert visitor.get(page_of(row)).status_code == 200
    for name in ("replay_one", "replay_alike"):
        assert visitor.post(page_of(row, name)).status_code == 403
    visitor.post(reverse(LIST), {"action": "replay_selected", "_selected_action": row.pk})
    assert not Event.objects.exists()


def test_nothing_else_can_be_posted(browser: Client, marketer: User) -> None:
    row = letter()
    for name in ("change", "delete"):
        assert browser.post(page_of(row, name), {"code": "x", "post": "yes"}).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(marketer)
    assert strict.post(page_of(row, "replay_one")).status_code == 403
    assert browser.post(reverse("admin:customers_deadletter_replay_one", args=[999_999])).status_code == 404
    row.refresh_from_db()
    assert row.replayed_at is None


def test_a_search_finds_words_of_a_reason_and_never_fails(browser: Client) -> None:
    letter("x", "The clock is wrong.", b"1")
    letter("y", "Nobody did it.", b"2")
    assert browser.get(reverse(LIST), {"q": "clock"}).context["cl"].result_count == 1
    for term in ("%00", "'", "api"):
        assert browser.get(f"{reverse(LIST)}?q={term}").status_code in (200, 302)


def test_the_newest_stand_first(browser: Client) -> None:
    old, new = letter(body=b"1"), letter(body=b"2")
    DeadLetter.objects.filter(pk=new.pk).update(at=clock.now() - timedelta(days=1))
    found: Any = browser.get(reverse(LIST)).context["cl"].result_list
    assert [row.pk for row in found] == [old.pk, new.pk]
