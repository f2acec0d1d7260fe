"""Dead letters: one row for a thing and its reason, however often it is refused, and never a full disk."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from decisioning.customers.intake import letters
from decisioning.customers.models import DeadLetter

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
BAD = ("no_type", "The event has no type.", b'{"messageId": "m-1"}')


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Each test has the whole allowance."""
    letters.allowance.forget()
    yield
    letters.allowance.forget()


def test_what_is_refused_is_kept_with_its_reason_as_it_was_sent() -> None:
    assert letters.keep([BAD], "api", AT) == 1
    row = DeadLetter.objects.get()
    assert (row.stage, row.source, row.code, row.reason, bytes(row.body)) == ("intake", "api", *BAD)
    assert (row.times, row.at, row.replayed_at, row.outcome) == (1, AT, None, "")


def test_the_same_again_is_the_same_row_and_another_reason_is_another(django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        assert letters.keep([BAD, BAD, ("nobody", "Nobody.", BAD[2])], "api", AT) == 2
    assert letters.keep([BAD], "kafka", AT + timedelta(days=1)) == 0
    row = DeadLetter.objects.get(code="no_type")
    assert (row.times, row.source, row.at) == (3, "kafka", AT + timedelta(days=1))


def test_one_that_was_replayed_and_is_refused_again_is_dead_again() -> None:
    letters.keep([BAD], "api", AT)
    DeadLetter.objects.update(replayed_at=AT, outcome="Taken in.")
    letters.keep([BAD], "api", AT)
    assert DeadLetter.objects.get().replayed_at is None


def test_what_is_too_large_is_noted_and_not_kept() -> None:
    letters.keep([("not_json", "It cannot be read.", b"x" * 40_000)], "api", AT)
    row = DeadLetter.objects.get()
    assert bytes(row.body) == b""
    assert "cannot be replayed" in row.reason


def test_a_flood_is_counted_in_one_row_and_the_allowance_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "BURST", 3)
    monkeypatch.setattr(letters, "A_MINUTE", 2)
    letters.allowance.forget()
    flood = [("not_json", "No.", b"%d" % number) for number in range(10)]
    assert letters.keep(flood[:2], "api", AT) == 2
    letters.keep(flood[2:], "api", AT + timedelta(seconds=1))
    letters.keep(flood[5:7], "api", AT + timedelta(seconds=2))
    assert DeadLetter.objects.filter(code="not_json").count() == 3
    lost = DeadLetter.objects.get(code="too_many")
    assert (lost.times, bytes(lost.body)) == (9, b"")
    assert "Look for a broken client" in lost.reason
    assert letters.keep(flood[5:], "api", AT + timedelta(minutes=1)) == 2
    assert letters.keep([("x", "No.", b"x" * 4_000)], "api", AT + timedelta(minutes=9)) == 0, (
        "it is larger than a burst"
    )


def test_reasons_that_quote_what_postgresql_cannot_keep_are_kept_readable() -> None:
    letters.keep([("bad", "It says \0 and \ud800.", b"\x00\xff")], "file\0", AT)
    row = DeadLetter.objects.get()
    assert (row.reason, row.source, bytes(row.body)) == ("It says \\u0000 and \\ud800.", "file\\u0000", b"\x00\xff")


def test_an_event_that_cannot_be_handled_is_noted_once() -> None:
    for _ in range(2):
        letters.set_aside(UUID(int=7), "ValueError('poison')", AT)
    row = DeadLetter.objects.get()
    assert (row.stage, row.event_id, row.reason, row.times) == ("handling", UUID(int=7), "ValueError('poison')", 2)


def test_old_letters_go() -> None:
    letters.keep([BAD], "api", AT - timedelta(days=91))
    letters.keep([("other", "Other.", b"x")], "api", AT - timedelta(days=89))
    assert letters.age_out(AT) == 1
    assert DeadLetter.objects.get().code == "other"


def test_nothing_refused_asks_the_database_nothing(django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        assert letters.keep([], "api", AT) == 0
