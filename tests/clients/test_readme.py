"""A newcomer pastes the README's calls into a shell, one after the other, and gets the answers that stand below them.

With README_URL and README_KEY set, the calls go to a running `make demo` instead: README_URL=http://127.0.0.1:8000.
"""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from campaigns.models import Content, Placement
from decisioning.config import clock
from decisioning.customers.models import Customer, FactVocabulary, Identity
from decisioning.management.commands import demo_info
from decisioning.models import Decision
from decisioning.store import publishing
from rules.models import Segment
from tools.demo import loading, showcase

from .ofrep import publish
from .scoring import train
from .serving import serving, until

pytestmark = [pytest.mark.django_db, pytest.mark.skipif(not shutil.which("curl"), reason="There is no curl here.")]
README = (Path(__file__).parents[2] / "README.md").read_text()
CALL = re.compile(r"```sh call\n(.*?)```\s+```json answer\n(.*?)```", re.S)
CALLS: list[tuple[str, Any]] = [(call, json.loads(answer)) for call, answer in CALL.findall(README)]
ANYTHING = "…"
PATIENCE = 240.0


class Shell:
    """One shell, into which one call after the other is pasted."""

    def __init__(self, url: str, key: str) -> None:
        told = {"URL": url, "KEY": key, "NO_PROXY": "127.0.0.1", "PATH": os.environ["PATH"]}
        self.process = subprocess.Popen(
            ["/bin/sh"], env=told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def paste(self, call: str) -> str:
        """What the call prints."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{call}\necho\necho END OF ANSWER\n")
        self.process.stdin.flush()
        lines = iter(self.process.stdout.readline, "END OF ANSWER\n")
        return "".join(lines).strip()

    def close(self) -> None:
        """The end of the shell."""
        self.process.communicate()


def furnish() -> None:
    """The demo's placements, segments and rules, a few of its coupons, the household hh-1, and a scorer."""
    FactVocabulary.objects.create(data={"departments": ["Produce"]}, learned_at=clock.now())
    for row in showcase.PLACEMENTS:
        Placement.objects.create(**row)
    coupons = [_coupon(number, ["grocery", "nutrition", "cosmetics"][number % 3]) for number in range(1, 7)]
    for row in showcase.SEGMENTS:
        Segment.objects.create(**row)
    loading.write_rules()
    facts = {"orders_365d": 40, "recency_days": 3, "average_order_value": 55.0, "age": "35-44"}
    customer = Customer.objects.create(key="hh-1", facts=facts, facts_at=clock.now(), facts_version=1)
    Identity.objects.create(customer=customer, kind="user_id", value="hh-1")
    train(coupons)
    publishing.publish_all()


def _coupon(number: int, tag: str) -> Content:
    body = {"title": f"Save on {tag.title()}", "text": "Ten coupons.", "url": f"/coupons/coupon-{number}"}
    attributes = {"campaign_type": "ABC"[number % 3], "coupon_count": 10 * number}
    name = f"{tag.title()} coupons, no. {number}"
    return Content.objects.create(
        key=f"coupon-{number}", name=name, body=body, attributes=attributes, tags=["coupon", tag]
    )


@pytest.fixture(scope="module")
def shell(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell with the address and the key of a server that answers."""
    if url := os.environ.get("README_URL"):
        made = Shell(url, os.environ["README_KEY"])
        yield made
        made.close()
        return
    with django_db_blocker.unblock(), serving(tmp_path_factory.mktemp("web")) as site:
        furnish()
        publish(site)
        made = Shell(site.url, site.key)
        yield made
        made.close()


def written(shell: Shell) -> None:
    """The ledger is written a moment after the answer: wait until it is."""
    if os.environ.get("README_URL"):
        deadline = time.monotonic() + PATIENCE
        asked = 'curl -s -o /dev/null -w "%{http_code}" $URL/v1/decisions/$DECISION -H "Authorization: Bearer $KEY"'
        while shell.paste(asked) != "200" and time.monotonic() < deadline:
            time.sleep(0.2)
    else:
        until("the decision is in the ledger", Decision.objects.filter(customer_key="hh-1").exists)


def test_every_call_of_the_readme_is_answered_as_it_says(shell: Shell) -> None:
    assert len(CALLS) == 5
    for number, (call, documented) in enumerate(CALLS):
        if number == 1:
            decision = """DECISION=$(echo "$ANSWER" | grep -o '"decision_id":"[^"]*' | tail -n 1 | cut -d '"' -f 4)"""
            shell.paste(decision)
            written(shell)
        printed = shell.paste(call)
        assert differs(documented, json.loads(printed)) == "", f"{call}\n{printed[:2000]}"


def test_the_demo_prints_three_of_these_calls_to_be_pasted_from_the_top() -> None:
    order = [call for call, _ in CALLS]
    places = [order.index(call) for call in demo_info.CALLS]
    assert places == sorted(places) and len(places) == 3
    told = demo_info.TEXT.format(
        **{"people": 1, "auc": "", "url": "http://here", "key": "dk_1", "user": "", "password": ""},
        **{"decide": demo_info.DECIDE, "explain": demo_info.EXPLAIN, "happen": demo_info.HAPPEN},
    )
    parts = ["URL=http://here KEY=dk_1\n", *demo_info.CALLS]
    assert [told.count(part) for part in parts] == [1, 1, 1, 1]
    assert sorted(parts, key=told.index) == parts


def test_every_call_in_the_readme_is_one_of_these() -> None:
    assert README.count("curl -s") == len(CALLS)
    assert README.count("```sh call") == README.count("```json answer") == len(CALLS)


def differs(documented: Any, answer: Any, place: str = "$") -> str:
    """Where the answer is not as documented; "" where it is.

    What is documented is shortened: objects may have more members, and lists that end with `…` more items. Within a
    text `…` stands for any other text, alone for anything at all.
    """
    if documented == ANYTHING:
        return ""
    if isinstance(documented, dict) and isinstance(answer, dict):
        lacking = documented.keys() - answer.keys()
        parts = (
            differs(value, answer[name], f"{place}.{name}") for name, value in documented.items() if name in answer
        )
        whole = f"{place} has no {', '.join(sorted(lacking))}" if lacking else ""
        # An object without members is meant as it stands.
        return whole or next(filter(None, parts), "") or (f"{place} is not empty" if not documented and answer else "")
    if isinstance(documented, list) and isinstance(answer, list):
        more = documented[-1:] == [ANYTHING]
        wanted = documented[:-1] if more else documented
        if len(answer) < len(wanted) or (len(answer) > len(wanted) and not more):
            return f"{place} has {len(answer)} items"
        pairs = enumerate(zip(wanted, answer, strict=False))
        return next(filter(None, (differs(one, other, f"{place}[{n}]") for n, (one, other) in pairs)), "")
    if isinstance(documented, str) and isinstance(answer, str):
        pattern = fnmatch.translate(re.sub(r"([\[?*])", r"[\1]", documented).replace(ANYTHING, "*"))
        return "" if re.match(pattern, answer) else f"{place} is {answer!r}"
    return "" if documented == answer else f"{place} is {answer!r}"


def test_the_comparison_finds_what_is_not_as_documented() -> None:
    documented = {"id": "coupon-…", "n": 1, "list": [{"a": 1}, "…"], "none": []}
    fits = {"id": "coupon-7", "n": 1, "list": [{"a": 1, "b": 2}, 3], "none": [], "more": 1}
    assert differs(documented, fits) == ""
    for name, wrong in (("id", "banner-7"), ("n", 2), ("list", [{"a": 2}]), ("list", []), ("none", [1]), ("n", None)):
        assert differs(documented, {**fits, name: wrong}) != ""
    assert differs({"changes": {}}, {"changes": {"items": 1}}) != ""
    assert differs(documented, {}) != ""
