"""API keys in the admin: made, shown once, rotated, switched off, and told apart by their state."""

import re
import shlex
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from decisioning.admin.key_forms import first_call, state_of, within
from decisioning.models import ApiKey
from decisioning.store import keys

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LIST, ADD = "/admin/decisioning/apikey/", "/admin/decisioning/apikey/add/"
FORM = {"name": "Web shop", "scopes": ["decide", "track"], "active": "on"}


def page(key: ApiKey, action: str = "change") -> str:
    return f"/admin/decisioning/apikey/{key.pk}/{action}/"


def rotating(key: ApiKey) -> str:
    return f"/admin/decisioning/apikey/{key.pk}/rotate/"


def errors(answer: Any) -> dict[str, list[str]]:
    return dict(answer.context["adminform"].form.errors)


@pytest.fixture
def key(db: None) -> ApiKey:
    return keys.create("Kiosk", ["decide"], origins=["https://shop.example"], event_rate=3)[0]


def test_an_empty_list_says_what_keys_are_for(browser: Client) -> None:
    text = browser.get(LIST).content.decode()
    assert "There are no API keys yet" in text
    assert ADD in text


def test_a_key_is_made_with_origins_limits_and_an_end(browser: Client) -> None:
    end = datetime.now(UTC) + 30 * DAY
    more = {
        "origins": "https://Shop.example/\r\n\r\nhttps://shop.example\r\nhttp://localhost:3000",
        "decide_rate": "50",
    }
    ends = {"expires_at_0": f"{end:%Y-%m-%d}", "expires_at_1": f"{end:%H:%M:%S}"}
    answer = browser.post(ADD, {**FORM, **more, **ends})
    row = ApiKey.objects.get()
    assert row.digest == keys.digest_of(answer.context["secret"])
    assert row.origins == ["https://shop.example", "http://localhost:3000"]
    assert (row.decide_rate, row.outcome_rate, row.event_rate) == (50, None, None)
    assert abs(row.expires_at - end) < timedelta(seconds=2)
    assert LogEntry.objects.get().user.username == "mia"


def test_the_secret_comes_with_a_button_and_a_line_to_try_it(
    browser: Client, shop: dict[str, Any], settings: Any
) -> None:
    settings.PUBLIC_URL = "https://decide.example"
    answer = browser.post(ADD, FORM)
    text, whole = answer.content.decode(), answer.context["secret"]
    assert 'data-copy="secret"' in text
    words = shlex.split(answer.context["call"])
    assert words[:2] == ["curl", "https://decide.example/v1/decide"]
    assert f"Authorization: Bearer {whole}" in words
    assert '"home"' in words[-1]
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(("scopes", "path"), [(["track"], "/v1/track"), (["read"], "/v1/segments")])
def test_the_line_to_try_a_key_fits_what_it_may(scopes: list[str], path: str) -> None:
    words = shlex.split(first_call("dk_1", scopes, "it's"))
    assert words[1].endswith(path)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("shop.example", "no origin"),
        ("https://shop.example/path", "no origin"),
        ("https://shop.example\r\nX-Evil: 1", "X-Evil: 1"),
        ("null", "no origin"),
        ("\n".join(f"https://s{n}.example" for n in range(51)), "At most 50"),
    ],
)
def test_what_is_no_origin_is_a_form_error_with_the_cure(browser: Client, typed: str, words: str) -> None:
    found = errors(browser.post(ADD, {**FORM, "origins": typed}))
    assert words in " ".join(found["origins"])
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("scope", ["read", "lists", "manage"])
def test_a_key_that_stands_in_pages_may_not_do_more_than_pages_need(browser: Client, scope: str) -> None:
    form = {**FORM, "scopes": ["decide", scope], "origins": "https://shop.example"}
    assert f"not {scope}" in errors(browser.post(ADD, form))["origins"][0]
    assert browser.post(ADD, {**form, "origins": ""}).context["secret"]


def test_an_end_that_is_over_is_refused_but_one_that_was_there_is_kept(browser: Client, key: ApiKey) -> None:
    past = {"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}
    assert "over already" in errors(browser.post(ADD, {**FORM, **past}))["expires_at"][0]
    ApiKey.objects.update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert browser.post(page(key), {**FORM, **past}).status_code == 302


def test_a_form_that_is_sent_back_unchanged_changes_nothing(browser: Client, key: ApiKey) -> None:
    form = {
        "name": "Kiosk",
        "scopes": ["decide"],
        "origins": "https://shop.example\r\n",
        "event_rate": "3",
        "active": "on",
    }
    assert browser.post(page(key), form).status_code == 302
    assert ApiKey.objects.values().get() == ApiKey.objects.filter(pk=key.pk).values().get()
    assert "No fields changed" in str(LogEntry.objects.get())


def test_rotating_asks_first_and_then_shows_the_new_secret_once(browser: Client, key: ApiKey) -> None:
    asked = browser.get(rotating(key)).content.decode()
    assert "in a week" in asked
    assert ApiKey.objects.count() == 1
    answer = browser.post(rotating(key), {"overlap": "3600"})
    new = ApiKey.objects.get(predecessor=key)
    key.refresh_from_db()
    assert keys.digest_of(answer.context["secret"]) == new.digest
    assert (new.name, new.scopes, new.origins, new.event_rate) == ("Kiosk", ["decide"], ["https://shop.example"], 3)
    assert timedelta(minutes=59) < key.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    for address in (LIST, page(key), page(new)):
        assert answer.context["secret"] not in browser.get(address).content.decode()
    told = browser.get(page(key)).content.decode()
    assert page(new) in told
    assert "rotated, ends in 1 hour" in told
    assert "(&#x27;" not in told
    assert page(key) in browser.get(page(new)).content.decode()


def test_who_rotated_what_is_in_the_log_of_both(browser: Client, key: ApiKey) -> None:
    browser.post(rotating(key), {"overlap": "0"})
    new = ApiKey.objects.get(predecessor=key)
    told = {entry.object_id: (entry.user.username, entry.get_change_message()) for entry in LogEntry.objects.all()}
    assert told[str(key.pk)] == ("mia", f"Rotated: followed by {new.prefix}, ends at once.")
    assert told[str(new.pk)] == ("mia", f"Made to follow {key.prefix}.")


def test_a_key_that_was_rotated_is_not_rotated_again(browser: Client, key: ApiKey) -> None:
    browser.post(rotating(key), {"overlap": "3600"})
    answer = browser.post(rotating(key), {"overlap": "3600"}, follow=True)
    assert "Rotate the key that followed it" in answer.content.decode()
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize("overlap", ["", "1", "-3600", "for ever"])
def test_another_overlap_than_those_offered_asks_again(browser: Client, key: ApiKey, overlap: str) -> None:
    assert browser.post(rotating(key), {"overlap": overlap}).status_code == 200
    assert ApiKey.objects.count() == 1


def test_switching_off_asks_first_and_is_logged(browser: Client, key: ApiKey) -> None:
    address = f"/admin/decisioning/apikey/{key.pk}/switch_off/"
    assert "within a second" in browser.get(address).content.decode()
    assert ApiKey.objects.get().active
    assert browser.post(address).status_code == 302
    assert not ApiKey.objects.get().active
    assert LogEntry.objects.get().get_change_message() == "Switched off."


@pytest.mark.parametrize("action", ["rotate", "switch_off"])
def test_who_may_not_change_keys_may_not_do_it_by_an_action_either(visitor: Client, key: ApiKey, action: str) -> None:
    for answer in (visitor.get(page(key, action)), visitor.post(page(key, action), {"overlap": "0"})):
        assert answer.status_code == 403
    assert ApiKey.objects.get().active
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("action", ["rotate", "switch_off"])
def test_an_action_on_a_key_that_does_not_exist_is_not_found(browser: Client, action: str) -> None:
    assert browser.post(f"/admin/decisioning/apikey/999999/{action}/", {"overlap": "0"}).status_code == 404


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, ("active", "active")),
        ({"active": False, "expires_at": NOW - DAY}, ("ended", "switched off")),
        ({"expires_at": NOW}, ("ended", "expired")),
        ({"expires_at": NOW + 3 * DAY}, ("ending", "expires in 3 days")),
        ({"expires_at": NOW + timedelta(hours=5)}, ("ending", "expires in 5 hours")),
        ({"expires_at": NOW + 90 * DAY}, ("active", "active, expires in 90 days")),
        ({"last_used_on": date(2026, 4, 20)}, ("active", "active")),
        ({"last_used_on": date(2026, 4, 1)}, ("unused", "unused for 30 days")),
        ({"created_at": NOW - 45 * DAY}, ("unused", "unused for 45 days")),
    ],
)
def test_a_keys_state_in_words(fields: dict[str, Any], told: tuple[str, str]) -> None:
    assert state_of(ApiKey(**{"name": "k", "created_at": NOW - DAY, **fields}), NOW) == told


def test_the_list_tells_a_rotated_key_from_the_one_that_followed(browser: Client, key: ApiKey) -> None:
    keys.rotate(key.pk, 7 * DAY, datetime.now(UTC))
    text = re.sub(r"\s+", " ", browser.get(LIST).content.decode())
    assert "rotated, ends in 7 days" in text
    key.refresh_from_db()
    assert state_of(key, key.expires_at)[1] == "rotated, ended"


def test_the_list_shows_when_each_key_was_last_used_in_a_fixed_number_of_queries(
    browser: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        row, _ = keys.create(f"key {number}", ["decide"])
        keys.rotate(row.pk, DAY, datetime.now(UTC))
    ApiKey.objects.update(last_used_on=date(2026, 4, 20))
    with django_assert_max_num_queries(12):
        text = browser.get(LIST).content.decode()
    assert "20 Apr 2026" in text


@pytest.mark.parametrize(
    ("span", "words"),
    [(timedelta(seconds=20), "in 1 min"), (timedelta(minutes=80), "in 1 hour"), (timedelta(hours=36.5), "in 2 days")],
)
def test_spans_in_their_largest_unit(span: timedelta, words: str) -> None:
    assert within(span) == words
