"""The examples of docs/keys.md are sent, and answered with the status, code and headers that the page says."""

import re
from pathlib import Path

from decisioning.admin.key_forms import MEANINGS
from decisioning.api import keys as checking
from decisioning.api import limits, urls
from decisioning.store.keys import SCOPES

from ..flows.conftest import *  # noqa: F403  (the same small site)
from .ringed import *  # noqa: F403
from .test_segments_docs import curl

PAGE = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()
EXAMPLES = re.findall(r"```sh curl\n(.*?)```\s+```http answer\n(.*?)```", PAGE, re.S)


def test_the_examples_are_answered_as_the_page_says(new_key, monkeypatch) -> None:
    monkeypatch.setattr(limits, "limiter", limits.Limiter(lambda: 0.0))
    key = new_key(origins=["https://shop.example"], decide_rate=50)
    assert len(EXAMPLES) == 2
    for command, told in EXAMPLES:
        got = curl(command, key)
        first, *headers = told.strip().split("\n")
        status, _, code = first.partition(" ")
        assert (got.status_code, got.json().get("error", {}).get("code", "")) == (int(status), code)
        assert [line for line in headers if got.headers.get(line.partition(": ")[0]) != line.partition(": ")[2]] == []
        opened = {name for name in got.headers if name.startswith(("Access-Control", "RateLimit", "Timing"))}
        assert opened == {name for line in headers if (name := line.partition(":")[0]) != "Vary"}


def test_the_page_names_every_scope_and_every_code() -> None:
    sources = "".join(Path(str(module.__file__)).read_text() for module in (checking, limits))
    codes = set(re.findall(r'\b[45]\d\d,\s*"(\w+)"', sources))
    assert {"no_key", "wrong_origin", "too_many", "unavailable"} <= codes
    assert [code for code in codes if f"`{code}`" not in PAGE] == []
    assert [scope for scope in SCOPES if f"| `{scope}` |" not in PAGE] == []


def test_the_page_and_the_form_say_which_calls_ask_for_manage() -> None:
    asked = {
        f"{method.upper()} /{one.pattern}"
        for one in urls.urlpatterns
        for method, scope in getattr(getattr(one.callback, "view_class", None), "scopes", {}).items()
        if scope == "manage"
    }
    assert {"GET /v1/reports/attribution", "POST /v1/reports/evaluate"} <= asked
    assert [call for call in asked if f"`{call}`" not in PAGE] == []
    assert set(MEANINGS) == set(SCOPES)
    assert "reports" in MEANINGS["manage"] and "reports" not in MEANINGS["read"]
