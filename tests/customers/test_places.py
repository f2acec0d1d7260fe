"""Where customers are: what is believed of whom, what a broken file does, and how it reaches events and decisions."""

import json
from typing import Any

import pytest
from django.test import Client

from decisioning.api import doors, views
from decisioning.config import wsgi
from decisioning.customers.intake import places
from decisioning.customers.models import Event
from decisioning.models import Decision
from decisioning.store import catalogue
from rules import rulebook
from rules.models import Rule

from ..api.test_intake import basic, event, packed, send
from ..flows.conftest import *  # noqa: F403  (the small site)
from .mmdb import city, database

MUNICH, PARIS, TOKYO = "81.2.69.142", "2001:660::1", "1.33.0.9"
NETWORKS = {
    "81.2.69.0/24": city("DE", "Bavaria", "Munich"),
    "2001:660::/32": city("FR", "Île-de-France", "Paris"),
    "1.33.0.0/16": city("JP"),
}
IN_MUNICH = {"country": "DE", "region": "Bavaria", "city": "Munich"}


@pytest.fixture
def mmdb(settings, tmp_path):
    """A file of three networks, looked at anew by every test."""
    path = tmp_path / "city.mmdb"
    path.write_bytes(database(NETWORKS))
    settings.GEO_DATABASE = str(path)
    places.database.forget()
    yield path
    settings.GEO_DATABASE = ""
    places.database.forget()


@pytest.fixture
def proxied(settings):
    """A proxy of ours tells the country, the region and the city."""
    settings.GEO_COUNTRY_HEADER, settings.GEO_REGION_HEADER = "CF-IPCountry", "CF-Region"
    settings.GEO_CITY_HEADER = "CF-IPCity"


@pytest.fixture
def lane(monkeypatch):
    """The WSGI lane as it starts with the settings of this test."""
    read = {name: "HTTP_" + name.upper().replace("-", "_") for name in places.header_names()}
    monkeypatch.setattr(wsgi, "READ", {**wsgi.READ, **read, places.PEER: "REMOTE_ADDR"})


def said(text: str) -> Any:
    return json.loads(text) if text else {}


def later(path, content: bytes) -> None:
    """Another file in the place of the first, as update programs put it there."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)
    places.database._until = 0


def test_an_address_of_either_version_is_found_in_the_file(mmdb):
    assert said(places.of_address(MUNICH)) == IN_MUNICH
    assert said(places.of_address(PARIS)) == {"country": "FR", "region": "Île-de-France", "city": "Paris"}
    assert said(places.of_address(TOKYO)) == {"country": "JP"}


@pytest.mark.parametrize("address", ["", "8.8.8.8", "10.0.0.1", "127.0.0.1", "::1", "0.0.0.0", "unknown", "9" * 500])
def test_an_address_that_is_private_unknown_or_none_has_no_place(mmdb, address):
    assert places.of_address(address) == ""
    assert places.state()["problem"] == ""


def test_nothing_is_looked_for_until_it_is_set(settings):
    assert not places.wanted()
    assert places.header_names() == []
    assert places.of_request({"cf-ipcountry": "DE", places.PEER: MUNICH}) == ""


@pytest.mark.parametrize(
    ("forwarded", "proxies", "expected"),
    [
        ("", 0, "peer"),
        ("6.6.6.6, 1.1.1.1", 0, "peer"),
        ("6.6.6.6, 1.1.1.1", 1, "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1, 10.0.0.2", 2, "1.1.1.1"),
        ("1.1.1.1", 5, "1.1.1.1"),
        ("", 2, "peer"),
        ("1.1.1.1:4711", 1, "1.1.1.1"),
        ('"[2001:660::1]:4711"', 1, "2001:660::1"),
        ("2001:660::1", 1, "2001:660::1"),
    ],
)
def test_forwarded_addresses_are_believed_as_far_as_proxies_are_trusted(forwarded, proxies, expected):
    assert places.client_address(forwarded, "peer", proxies) == expected


def test_the_headers_of_a_proxy_are_read_in_any_form_they_come_in(proxied):
    headers = {"cf-ipcountry": "de", "cf-region": "Nordrhein-Westfalen", "cf-ipcity": "K%C3%B6ln"}
    assert said(places.of_request(headers)) == {"country": "DE", "region": "Nordrhein-Westfalen", "city": "Köln"}
    headers["cf-ipcity"] = "Köln".encode().decode("latin-1")
    assert said(places.of_request(headers))["city"] == "Köln"


@pytest.mark.parametrize("country", ["", "XX", "T1", "Germany", "D1", "ÄÖ"])
def test_a_header_that_names_no_country_says_nothing(proxied, country):
    assert places.of_request({"cf-ipcountry": country, "cf-ipcity": "Nowhere"}) == ""


@pytest.mark.parametrize("name", ["a\nb", "a%00b", "a%0D%0AX: y"])
def test_a_city_with_control_characters_is_passed_over(proxied, name):
    assert said(places.of_request({"cf-ipcountry": "DE", "cf-ipcity": name})) == {"country": "DE"}


def test_the_file_completes_a_header_of_the_same_country_and_no_other(proxied, mmdb):
    assert said(places.of_request({"cf-ipcountry": "DE", places.PEER: MUNICH})) == IN_MUNICH
    assert said(places.of_request({"cf-ipcountry": "AT", places.PEER: MUNICH})) == {"country": "AT"}
    assert said(places.of_request({places.PEER: MUNICH})) == IN_MUNICH


def test_a_new_file_is_opened_and_a_broken_one_is_told_once_and_harms_nothing(mmdb, caplog):
    assert said(places.of_address(TOKYO)) == {"country": "JP"}
    later(mmdb, database({"1.33.0.0/16": city("KR")}))
    assert said(places.of_address(TOKYO)) == {"country": "KR"}
    later(mmdb, b"no database at all")
    assert [places.of_address(TOKYO) for _ in range(3)] == [""] * 3
    assert "point GEO_DATABASE at a MaxMind DB file" in places.state()["problem"]
    assert len([record for record in caplog.records if "GEO_DATABASE" in record.message]) == 1
    later(mmdb, database(NETWORKS))
    assert (said(places.of_address(TOKYO)), places.state()["problem"]) == ({"country": "JP"}, "")


def test_a_missing_file_is_told_and_found_as_soon_as_it_is_there(settings, tmp_path):
    settings.GEO_DATABASE = str(tmp_path / "late.mmdb")
    places.database.forget()
    assert places.of_address(MUNICH) == ""
    assert "late.mmdb cannot be opened" in places.state()["problem"]
    later(tmp_path / "late.mmdb", database(NETWORKS))
    assert said(places.of_address(MUNICH)) == IN_MUNICH


def test_a_damaged_record_gives_no_place_and_is_told_once(mmdb, caplog):
    whole = database(NETWORKS)
    at = whole.index(b"Munich")
    later(mmdb, whole[: at - 60] + b"\xff" * 120 + whole[at + 60 :])
    assert [places.of_address(address) for address in (MUNICH, "81.2.69.143")] == ["", ""]
    assert "download it again" in places.state()["problem"]
    assert len(caplog.records) == 1


def test_a_file_of_other_records_says_nothing(mmdb):
    later(mmdb, database({"81.2.69.0/24": {"country": "text", "subdivisions": [], "city": ["a"]}}))
    assert places.of_address(MUNICH) == ""


def test_a_file_without_ipv6_is_no_fault_for_an_ipv6_address(mmdb):
    later(mmdb, database({"81.2.69.0/24": city("DE")}, version=4))
    assert (said(places.of_address(MUNICH)), places.of_address(PARIS)) == ({"country": "DE"}, "")
    assert places.state()["problem"] == ""


def location() -> Any:
    return Event.objects.order_by("-id")[0].context.get("location")


def post(site, body: bytes, path: str = "/v1/batch", **headers: str) -> None:
    assert send(path, body, authorization=basic(site.key), **headers).status == 200


def test_a_browsers_event_gets_the_place_of_its_request(site, mmdb, settings, lane):
    settings.TRUSTED_PROXIES = 1
    post(site, packed(event(1, context={"locale": "de"})), origin="https://shop.example", x_forwarded_for=MUNICH)
    assert Event.objects.get().context == {"location": IN_MUNICH, "locale": "de"}
    assert MUNICH not in json.dumps(Event.objects.get().context)


def test_short_paths_are_browsers_too_and_an_event_without_context_gets_one(site, mmdb, settings, lane):
    settings.TRUSTED_PROXIES = 1
    post(site, json.dumps(event(1)).encode(), "/v1/t", x_forwarded_for=PARIS)
    assert location()["city"] == "Paris"


def test_a_servers_address_is_not_its_customers(site, mmdb, settings, lane):
    settings.TRUSTED_PROXIES = 1
    post(site, packed(event(1)), x_forwarded_for=MUNICH)
    assert location() is None
    post(site, packed(event(2, context={"ip": PARIS})), x_forwarded_for=MUNICH)
    assert location()["city"] == "Paris"


def test_an_event_says_itself_where_it_was_sent_from(site, mmdb, settings, lane):
    settings.TRUSTED_PROXIES = 1
    post(site, packed(event(1, channel="mobile")), x_forwarded_for=MUNICH)
    assert location() == IN_MUNICH
    post(site, packed(event(2, channel="server")), origin="https://shop.example", x_forwarded_for=MUNICH)
    assert location() is None


def test_what_the_sender_says_is_kept_and_an_address_made_anonymous_is_respected(site, mmdb, settings, lane):
    settings.TRUSTED_PROXIES = 1
    sent = {"origin": "https://shop.example", "x_forwarded_for": MUNICH}
    post(site, packed(event(1, context={"location": {"country": "Spain"}})), **sent)
    assert location() == {"country": "Spain"}
    post(site, packed(event(2, context={"ip": "0.0.0.0"})), **sent)
    assert location() is None
    post(site, packed(event(3, context={"location": None, "a": 1})), **sent)
    assert Event.objects.order_by("-id")[0].context == {"location": IN_MUNICH, "a": 1}


def test_a_header_that_nobody_configured_is_not_read(site, mmdb, lane):
    post(site, packed(event(1)), origin="https://shop.example", cf_ipcountry="US")
    assert location() is None


def test_both_doors_place_alike_and_no_header_can_pose_as_the_address(site, mmdb, settings):
    headers = {"authorization": basic(site.key), "origin": "https://shop.example"}
    Client(REMOTE_ADDR=MUNICH).post("/v1/track", event(1), content_type="application/json", headers=headers)
    assert location() == IN_MUNICH
    forged = {**headers, "peer": PARIS, "remote-addr": PARIS}
    Client(REMOTE_ADDR=TOKYO).post("/v1/track", event(2), content_type="application/json", headers=forged)
    assert location() == {"country": "JP"}


def asked(site, context: dict[str, Any], **headers: str) -> Any:
    body = json.dumps({"customer_id": "c-1", "placements": ["hero"], "context": context}).encode()
    reply = doors.answer("/v1/decide", {"authorization": f"Bearer {site.key}", **headers}, body)
    assert reply.status == 200
    site.ledger.flush()
    return Decision.objects.latest("id").context


def test_a_decision_knows_the_place_as_an_event_does(site, mmdb):
    browser = {"origin": "https://shop.example", places.PEER: MUNICH}
    assert asked(site, {}, **browser) == {"location": IN_MUNICH}
    assert asked(site, {"a": 1}, **{places.PEER: MUNICH}) == {"a": 1}
    assert asked(site, {"ip": PARIS})["location"]["country"] == "FR"
    assert asked(site, {"location": {"country": "ES"}}, **browser) == {"location": {"country": "ES"}}


def test_a_rule_reads_the_country_region_and_city_of_the_request(site, mmdb):
    for index, condition in enumerate(('country = "DE"', 'region = "Bavaria"', 'city = "Munich"')):
        rule = Rule.objects.create(key=f"r{index}", name="r", text=f'IF {condition} THEN HIDE "apple"')
        rulebook.publish(rule, None, catalogue.current())
    site.publish()
    asked(site, {}, origin="https://shop.example", **{places.PEER: MUNICH})
    assert [trace["matched"] for trace in Decision.objects.latest("id").explanation["rules"]] == [True] * 3


def test_readiness_tells_of_the_file(site, mmdb, monkeypatch):
    monkeypatch.setattr(views, "holder", site.holder)
    told = Client().get("/readyz").json()["places"]
    assert told == {"header": "", "database": "Test-City", "database_built": 1_500_000_000, "problem": ""}
