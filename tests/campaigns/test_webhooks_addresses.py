"""Addresses that a webhook may not have: judged by what they are, however they are written."""

import pytest

from campaigns.addresses import Limits, Refused, Unknown, allowed, check, place_of, resolve

PRODUCTION, ELSEWHERE = Limits(strict=True), Limits(strict=False)
PUBLIC = "93.184.216.34"
PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_on_the_public_internet_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="WEBHOOK_PRIVATE_HOSTS"):
        allowed("hooks.example", [address], PRODUCTION)


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_what_is_public_is_called(address: str) -> None:
    assert allowed("hooks.example", [address], PRODUCTION) == [address]


def test_one_private_address_among_public_ones_spoils_all() -> None:
    with pytest.raises(Refused, match=r"10\.0\.0\.1"):
        allowed("hooks.example", [PUBLIC, "10.0.0.1"], PRODUCTION)


def test_outside_of_production_this_machine_may_be_called_and_nothing_else_private() -> None:
    assert allowed("localhost", ["127.0.0.1", "::1"], ELSEWHERE) == ["127.0.0.1", "::1"]
    with pytest.raises(Refused):
        allowed("metadata", ["169.254.169.254"], ELSEWHERE)


@pytest.mark.parametrize("named", ["crm.internal", "CRM.internal", "10.1.2.3", "10.1.0.0/16"])
def test_a_private_host_or_network_may_be_named_by_the_operator(named: str) -> None:
    limits = Limits(strict=True, private=(named, "other.internal"))
    assert allowed("crm.internal", ["10.1.2.3"], limits) == ["10.1.2.3"]
    with pytest.raises(Refused):
        allowed("elsewhere.internal", ["10.2.0.1"], limits)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://hooks.example/", "https"),
        ("file:///etc/passwd", "https"),
        ("gopher://hooks.example:70/_x", "https"),
        ("javascript:alert(1)", "https"),
        ("//hooks.example/x", "https"),
        ("hooks.example/x", "https"),
        ("http://hooks.example/x", "tells about customers"),
        ("https:///x", "no host"),
        ("https://user:pass@hooks.example/", "user and password"),
        ("https://hooks.example:99999/", "no port 99999"),
        ("https://[::1/", "no URL"),
        ("https://xn--a/\x00", "no URL"),
    ],
)
def test_a_url_that_cannot_be_called_is_refused_with_the_cure(url: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        place_of(url, PRODUCTION)


def test_http_may_be_called_outside_of_production_and_where_the_operator_named_the_host() -> None:
    assert place_of("http://localhost:9000/x", ELSEWHERE).port == 9000
    assert place_of("http://n8n:5678/hook", Limits(True, ("n8n",))).host == "n8n"


@pytest.mark.parametrize("host", ["0x7f000001", "2130706433", "127.1", "0177.0.0.1", "[::ffff:7f00:1]", "localhost"])
def test_other_spellings_of_this_machine_are_seen_through(host: str) -> None:
    with pytest.raises(Refused):
        check(f"https://{host}/", PRODUCTION)


def test_a_name_that_is_nobodys_is_told_as_such() -> None:
    with pytest.raises(Unknown, match="check its spelling"):
        resolve("no-such-host.invalid", 443)
