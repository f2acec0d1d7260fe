"""The examples of docs/segments-api.md are sent, and answered as the page says."""

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from decisioning.api import lists, people, reading, segments
from decisioning.customers.models import Customer, Identity
from decisioning.flows import enlist
from rules.models import How, Segment

from ..flows.conftest import *  # noqa: F403  (the small site)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PAGE = (Path(__file__).parents[2] / "docs" / "segments-api.md").read_text()
EXAMPLES = re.findall(r"```sh curl\n(.*?)```\s+```(json|text) answer\n(.*?)```", PAGE, re.S)


def curl(command: str, key: str) -> Any:
    """What curl would send, sent to Django; the flags that the page uses."""
    words = shlex.split(Template(command.replace("\\\n", " ")).substitute(KEY=key))
    assert words.pop(0) == "curl"
    address = words.pop(words.index(next(word for word in words if word.startswith("https://"))))
    asked: dict[str, Any] = {"headers": {}}
    method = "get"
    for flag, value in zip(words[::2], words[1::2], strict=True):
        if flag == "-X":
            method = value.lower()
        elif flag == "-d":
            asked |= {"data": value, "content_type": "application/json"}
        else:
            assert flag == "-H"
            name, _, text = value.partition(": ")
            asked["headers"][name] = text
    parts = urlsplit(address)
    return getattr(Client(), method)(f"{parts.path}?{parts.query}", **asked)


@pytest.fixture
def shop(site, monkeypatch) -> Any:
    """One list with one member, and somebody who is not on it yet."""
    monkeypatch.setattr(reading, "holder", site.holder)
    monkeypatch.setattr(segments.clock, "now", lambda: NOW)
    vip = Segment.objects.create(key="vip", name="VIP", kind="list", refreshed_at=NOW)
    ann = Customer.objects.get(key="c-1")
    bob = Customer.objects.create(key="c-2")
    Customer.objects.update(facts_at=NOW)
    Identity.objects.create(customer=ann, kind="user_id", value="c-1")
    Identity.objects.create(customer=bob, kind="email", value="bob@shop.example")
    enlist.change(vip.pk, "add", [("user_id", "c-1")], "people.csv", NOW)
    return site


def test_the_examples_are_answered_as_the_page_says(shop) -> None:
    assert len(EXAMPLES) == 6
    for command, kind, answer in EXAMPLES:
        got = curl(command, shop.key)
        assert got.status_code == 200, got.content
        if kind == "json":
            assert json.loads(got.content) == json.loads(answer)
        else:
            assert b"".join(got.streaming_content).decode().splitlines() == answer.splitlines()


def test_the_page_names_every_address_code_and_reason() -> None:
    sources = "".join(Path(str(module.__file__)).read_text() for module in (lists, people, reading, segments))
    codes = set(re.findall(r'Refused\(\s*\d+, "(\w+)"', sources))
    assert len(codes) > 7
    assert [code for code in codes if f"`{code}`" not in PAGE] == []
    assert [how for how in How.values if f"`{how}`" not in PAGE] == []
    addresses = re.findall(
        r'"(v1/(?:segments|customers|facts)[^"]*)"', (Path(str(reading.__file__)).parent / "urls.py").read_text()
    )
    plain = [
        re.sub(r"<\w+:(\w+)>", lambda found: "{id}" if "customer" in found[1] else "{key}", one) for one in addresses
    ]
    assert len(plain) == 8
    assert [one for one in plain if f"/{one}`" not in PAGE] == []
