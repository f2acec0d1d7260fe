"""The pixel: an image whatever happens, an outcome once, and a header that says what became of it."""

import string
from base64 import b64decode, b64encode

import pytest
from django.db import OperationalError
from django.test import Client

from decisioning.flows import pixel
from decisioning.models import Outcome

URL = "/v1/outcomes/pixel.gif"


@pytest.fixture
def token(site):
    return site.decide()["placements"][0]["items"][0]["token"]


def fetch(method="get", headers=None, **query):
    return getattr(Client(enforce_csrf_checks=True), method)(URL, query, headers=headers or {})


def test_it_counts_an_impression_once_and_needs_neither_key_nor_cookie(token):
    first, again = fetch(token=token), fetch(token=token)
    assert [(one.status_code, one["X-Outcome"], one["Content-Type"]) for one in (first, again)] == [
        (200, "stored", "image/gif")
    ] * 2
    assert "no-store" in first["Cache-Control"]
    assert not first.cookies
    assert first.content[:6] == b"GIF89a"
    assert [(row.kind, row.value) for row in Outcome.objects.all()] == [("impression", 0)]


def test_no_other_text_that_means_the_same_is_a_token(token):
    raw = b64decode(token + "=" * (-len(token) % 4), altchars="-_")
    alphabet = string.ascii_letters + string.digits + "-_"
    padded = [token + "=" * number for number in (1, 2, 3, 4)]
    plain = [b64encode(raw).decode(), b64encode(raw).decode().rstrip("=")]
    last = [token[:-1] + one for one in alphabet]
    others = {*padded, *plain, *last} - {token}
    assert fetch(token=token, type="conversion")["X-Outcome"] == "stored"
    assert {fetch(token=one, type="conversion")["X-Outcome"] for one in others} == {"bad_token"}
    assert Outcome.objects.count() == 1


def test_another_type_counts_beside_it_but_brings_no_value(token):
    fetch(token=token)
    assert fetch(token=token, type="conversion", value="1000000")["X-Outcome"] == "stored"
    assert sorted(Outcome.objects.values_list("kind", "value")) == [("conversion", 0), ("impression", 0)]


@pytest.mark.parametrize("bad", ["", "x", "é", "\0", "a" * 5000, "AAAA" * 12])
def test_a_bad_token_still_gets_an_image_that_says_why_and_is_counted(site, bad):
    reply = fetch(token=bad)
    assert (reply.status_code, reply["X-Outcome"], reply["Content-Type"]) == (400, "bad_token", "image/gif")
    counted = {what: name for _, what, name in site.ledger.tallies._figures}
    assert counted["outcomes"] == "bad_token"
    assert counted["tokens"] == ("forged pixel" if len(bad) == 48 else "unreadable pixel")


def test_an_unknown_type_is_counted_too(site, token):
    assert fetch(token=token, type="glance")["X-Outcome"] == "unknown_type"
    assert [name for _, what, name in site.ledger.tallies._figures if what == "tokens"] == ["unknown_type pixel"]


@pytest.mark.parametrize(
    "headers",
    [{"sec-purpose": "prefetch;prerender"}, {"user-agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"}],
)
def test_robots_and_what_is_fetched_ahead_count_nothing(token, headers):
    assert fetch(headers=headers, token=token)["X-Outcome"] == "not_counted"
    assert fetch("head", token=token)["X-Outcome"] == "not_counted"
    assert not Outcome.objects.exists()


def test_a_mail_service_counts_for_its_reader(token):
    agent = {"user-agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"}
    assert fetch(headers=agent, token=token)["X-Outcome"] == "stored"


def test_an_unknown_type_and_a_post_are_refused_with_an_image(token):
    assert (fetch(token=token, type="purchase").status_code, fetch("post", token=token).status_code) == (400, 405)
    assert not Outcome.objects.exists()


def test_without_a_database_it_is_an_image_all_the_same(token, monkeypatch):
    def away(rows):
        raise OperationalError("away")

    monkeypatch.setattr(pixel, "keep_outcomes", away)
    reply = fetch(token=token)
    assert (reply.status_code, reply["X-Outcome"]) == (200, "unavailable")
