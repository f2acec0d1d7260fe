"""The examples of docs/campaigns.md: templates that may be saved and filled, and code that runs."""

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from campaigns.models import Campaign, Message
from campaigns.outbox import MOST_ATTEMPTS, SENDING_SECONDS
from campaigns.rendering import problems, render
from campaigns.templates import VARIABLES

from .conftest import make_customer

PAGE = (Path(__file__).parents[2] / "docs" / "campaigns.md").read_text()


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_templates_may_be_saved_and_filled() -> None:
    subject, body = (example.strip() for example in examples("liquid"))
    assert (problems(subject, subject=True), problems(body)) == ([], [])
    contents = [{"title": "Tea", "url": "/tea"}, {"title": "Cups", "url": "/cups"}]
    variables: dict[str, Any] = {"customer": {"first_name": "Ann"}, "now": datetime(2018, 1, 1, tzinfo=UTC)}
    made = render(subject, body, {**variables, "contents": contents, "unsubscribe_url": "https://shop.example/u"})
    assert made.subject == "Ann, Tea"
    lines = [line for line in made.text.splitlines() if line]
    assert lines == [
        "Good Monday, Ann",
        "- Tea (/tea)",
        "- Cups (/cups)",
        "Unsubscribe (https://shop.example/u)",
    ]
    empty = render(subject, body, {"now": datetime(2018, 1, 1, tzinfo=UTC)})
    assert empty.subject == "Hello, something for you"
    assert "See you soon." in empty.text


def test_the_code_runs(campaign: Campaign) -> None:
    names = {
        "campaign": campaign,
        "customer": make_customer("ann"),
        "event": SimpleNamespace(message_id="m-1"),
    }
    [code] = examples("python")
    exec(code, names)
    assert (names["new"], names["later"], Message.objects.count()) == (1, 1, 2)


def test_the_page_names_what_there_is() -> None:
    for name in VARIABLES:
        assert f"`{name}`" in PAGE
    for state in Message.State.values:
        assert f"| `{state}` |" in PAGE
    assert MOST_ATTEMPTS == 5 and "after five attempts" in PAGE
    assert f"{SENDING_SECONDS} s on top of the lease" in PAGE


def test_the_problem_on_the_page_is_what_the_form_says() -> None:
    [problem] = re.findall(r"``(line 3: .*?\.)``", PAGE)
    assert problems("Hello\n\n{{ custmer.name }}") == [problem]
