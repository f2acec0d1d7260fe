"""The page docs/openfeature.md in, its examples and the site it describes out; and what OFREP demands of answers."""

import json
import re
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

from campaigns.models import Content, Placement
from decisioning.customers.models import Customer
from decisioning.store import publishing, snapshot
from rules import rulebook
from rules.language.facts import Catalogue, Fact
from rules.models import Rule

from .page import BLOCK, SERVER
from .serving import DIRECT, Site, until

PAGE = (Path(__file__).parents[2] / "docs" / "openfeature.md").read_text()
KEY = "API_KEY"
RULE = 'IF age >= 18 THEN SHOW "checkout-new" ELSE HIDE "checkout-new"'
# By placement: its contents with their bodies; the last of several stands in by default.
CONTENTS: dict[str, dict[str, dict[str, Any]]] = {
    "new-checkout": {"checkout-new": {"value": True}, "checkout-old": {"value": False}},
    "button-colour": {"green": {"value": "green"}},
    "max-items": {"twelve": {"value": 12}},
    "discount": {"quarter": {"value": 0.25}},
    "hero": {"apple": {"title": "Apples"}},
    "empty": {},
}

# What OFREP 0.3 says of its answers, in JSON Schema. Source: https://github.com/open-feature/protocol
TEXT = {"type": "string"}
SCALARS = {"type": "object", "additionalProperties": {"type": ["boolean", "string", "number"]}}
FLAG = {
    "type": "object",
    "required": ["key"],
    "properties": {
        "key": TEXT,
        "reason": TEXT,
        "variant": TEXT,
        "metadata": SCALARS,
        "value": {"type": ["boolean", "string", "integer", "number", "object"]},
    },
    "not": {"required": ["errorCode"]},
}
CODES = ["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL"]
FAILURE = {
    "type": "object",
    "required": ["key", "errorCode"],
    "properties": {"key": TEXT, "errorCode": {"enum": CODES}, "errorDetails": TEXT, "metadata": SCALARS},
}
NOT_FOUND = {**FAILURE, "properties": {**FAILURE["properties"], "errorCode": {"const": "FLAG_NOT_FOUND"}}}  # type: ignore[dict-item]
BULK_FAILURE = {**FAILURE, "required": ["errorCode"]}
BULK = {
    "type": "object",
    "required": ["flags"],
    "properties": {"flags": {"type": "array", "items": {"oneOf": [FLAG, FAILURE]}}, "metadata": SCALARS},
}


def furnish(site: Site) -> None:
    """The placements of the page, its rule and its customer, on a running server; nothing is left of earlier ones."""
    for key, contents in CONTENTS.items():
        placement = Placement.objects.create(key=key, name=key, count=1, policy="greedy", exploration=0)
        for number, (name, body) in enumerate(contents.items()):
            content = Content.objects.create(key=name, name=body.get("title", name), body=body)
            content.placements.set([placement])
            if number:
                content.default_for.set([placement])
    publish_rule(RULE)
    Customer.objects.create(key="c-1", facts={"age": 30}, facts_version=1)
    publishing.publish_all()
    publish(site)


def publish_rule(text: str) -> None:
    """The page's rule, or another text of it."""
    rule, _ = Rule.objects.update_or_create(key="adults", defaults={"name": "Adults", "text": text})
    rulebook.publish(rule, None, Catalogue(facts={"age": Fact("age", "number")}))


def publish(site: Site) -> None:
    """A snapshot of what is there now, which both of the server's processes decide with when this returns."""
    row = snapshot.build()
    assert row is not None
    until("the server has the snapshot", lambda: _asked(site) and site.said(f"snapshot {row.number} from ") >= 2)


def _asked(site: Site) -> bool:
    """A process looks for snapshots from its first request on; of several at once each process gets some."""

    def look(_: int) -> bool:
        with DIRECT.open(f"{site.url}/readyz", timeout=30.0) as answer:
            return bool(json.load(answer)["ready"])

    with ThreadPoolExecutor(16) as together:
        return all(together.map(look, range(16)))


def example(name: str, site: Site) -> str:
    """An example such as "python openfeature", with a real server and key in place of those that the page names."""
    [text] = [text for language, title, text in BLOCK.findall(PAGE) if f"{language} {title}" == name]
    assert SERVER in text and KEY in text
    return str(text.replace(SERVER, site.url).replace(KEY, site.key))


def curls() -> list[tuple[str, Any]]:
    """Each command of the page with the answer it documents."""
    pairs = re.findall(r"```sh curl\n(.*?)```\s+```json answer\n(.*?)```", PAGE, re.S)
    return [(command, json.loads(answer)) for command, answer in pairs]


def ask(
    site: Site, path: str, context: Any, *, key: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, Any]:
    """A question to the running server: status, decoded body (None for none) and headers of the answer."""
    body = context if isinstance(context, bytes) else json.dumps({"context": context}).encode()
    sent = {"Content-Type": "application/json", "Authorization": f"Bearer {site.key if key is None else key}"}
    return send(Request(f"{site.url}/ofrep/v1/evaluate/flags{path}", body, {**sent, **(headers or {})}))


def send(request: Request) -> tuple[int, Any, Any]:
    """Any request, answered: an error's status is an answer too."""
    try:
        with DIRECT.open(request, timeout=30.0) as answer:
            status, raw, headers = answer.status, answer.read(), answer.headers
    except HTTPError as error:
        status, raw, headers = error.code, error.read(), error.headers
    return status, json.loads(raw) if raw else None, headers


def run_curl(command: str, site: Site) -> tuple[int, Any, Any]:
    """What curl would send for a command of the page."""
    words = shlex.split(command.replace("\\\n", " ").replace("$KEY", site.key).replace(SERVER, site.url))
    flags = dict(zip(words[4::2], words[5::2], strict=True))
    assert words[:3] == ["curl", "-X", "POST"] and flags.keys() == {"-H", "-d"}
    name, _, value = flags["-H"].partition(": ")
    return send(Request(words[3], flags["-d"].encode(), {name: value}))
