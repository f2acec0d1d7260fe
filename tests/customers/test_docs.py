"""The examples of docs/facts.md and docs/events.md do what the pages say."""

import doctest
import io
import json
import re
import shlex
from base64 import b64encode
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

import pytest

from decisioning.api import intake
from decisioning.config import wsgi
from decisioning.customers.intake import splitting
from decisioning.customers.intake.incoming import MAX_BATCH, MAX_EVENT
from decisioning.customers.models import Event

from ..flows.conftest import *  # noqa: F403  (the small site)

DOCS = Path(__file__).parents[2] / "docs"
EVENTS = (DOCS / "events.md").read_text()
CALLS = re.findall(r"```sh curl\n(.*?)```", EVENTS, re.S)


def test_the_examples_on_the_page_of_facts_run() -> None:
    result = doctest.testfile(str(DOCS / "facts.md"), module_relative=False)
    assert result.attempted > 5
    assert result.failed == 0


def curl(command: str, key: str) -> tuple[int, Any]:
    """What curl would send, sent through the WSGI lane; the flags that the page uses."""
    words = shlex.split(Template(command.replace("\\\n", " ")).substitute(KEY=key))
    assert words.pop(0) == "curl"
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": urlsplit(words.pop(0)).path}
    for flag, value in zip(words[::2], words[1::2], strict=True):
        if flag == "-u":
            environ["HTTP_AUTHORIZATION"] = "Basic " + b64encode(value.encode()).decode()
        elif flag == "-H":
            name, _, text = value.partition(": ")
            name = name.upper().replace("-", "_")
            environ[name if name == "CONTENT_TYPE" else f"HTTP_{name}"] = text
        else:
            assert flag == "-d"
            environ |= {"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(value.encode())}
    seen: list[str] = []
    raw = b"".join(wsgi.application(environ, lambda status, headers: seen.append(status)))
    return int(seen[0][:3]), json.loads(raw)


def test_the_first_call_on_the_page_of_events_gives_the_answer_below_it(site) -> None:
    answer = json.loads(re.search(r"```json answer\n(.*?)```", EVENTS, re.S)[1])  # type: ignore[index]
    assert curl(CALLS[0], site.key) == (200, answer)
    assert Event.objects.count() == 2


@pytest.mark.parametrize("command", CALLS[1:3], ids=["single", "cloudevent"])
def test_a_single_event_of_the_page_is_stored(site, command) -> None:
    status, answer = curl(command, site.key)
    assert (status, answer["added"], Event.objects.count()) == (200, 1, 1)


def test_the_mixed_batch_of_the_page_stores_one_and_names_the_other(site) -> None:
    status, answer = curl(CALLS[3], site.key)
    assert (status, answer["added"]) == (200, 1)
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [(1, "nobody")]


def test_the_page_names_every_address_and_limit() -> None:
    for path in intake.PATHS:
        assert re.search(rf"`(/v1/)?{re.escape(path.rsplit('/', 1)[1])}`|`(POST )?{re.escape(path)}`", EVENTS), path
    for limit in (f"{MAX_EVENT // 1024} KB", f"{MAX_BATCH // 1024} KB", f"{splitting.MOST_ITEMS:,} events"):
        assert limit in EVENTS


def test_the_page_names_every_reason_for_which_an_event_is_refused() -> None:
    folder = Path(splitting.__file__).parent
    sources = [(folder / f"{name}.py").read_text() for name in ("tracking", "strict", "identifiers", "cloudevents")]
    codes = set(re.findall(r'Unfit\(\s*"(\w+)"', "\n".join(sources)))
    assert len(codes) > 12
    assert [code for code in codes if f"`{code}`" not in EVENTS] == []
