"""The examples of docs/webhooks.md: the code runs, the receiver's check is a check, and the numbers are the code's."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from campaigns import calls, webhooks
from campaigns.models import Call
from campaigns.posting import SHOWN, Bounds
from campaigns.signing import new_secret
from decisioning.flows import call, tell
from rules.models import How

from .conftest import make_customer
from .test_calls import make_webhook

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_event_on_the_page_is_the_one_that_is_sent() -> None:
    [shown] = map(json.loads, examples("json"))
    data = webhooks.data_of(
        "c-17", {"key": "eco", "name": "Eco-Conscious Shoppers"}, NOW, "event", "Order Completed o-991"
    )
    sent = webhooks.event_of(shown["id"], webhooks.ENTERED, "https://decisioning.example", data)
    assert json.loads(sent) == shown


@pytest.mark.django_db
def test_the_receivers_check_accepts_ours_and_nothing_else() -> None:
    names: dict[str, Any] = {}
    exec(examples("python")[0], names)
    webhook = make_webhook()
    webhook.secret = new_secret(lambda size: b"k" * size)
    now = datetime.now(UTC)
    request = webhooks.signed(webhook, "id-1", b'{"a": 1}', now)
    verify = names["verify"]
    verify(webhook.secret, request.headers, request.body)
    with pytest.raises(ValueError, match="not signed"):
        verify(webhook.secret, request.headers, request.body + b" ")
    with pytest.raises(ValueError, match="not signed"):
        verify(new_secret(lambda size: b"x" * size), request.headers, request.body)
    with pytest.raises(ValueError, match="not signed"):
        verify(webhook.secret, {**request.headers, "webhook-id": "id-2"}, request.body)
    old = webhooks.signed(webhook, "id-1", b"{}", NOW)
    with pytest.raises(ValueError, match="too old"):
        verify(webhook.secret, old.headers, old.body)
    webhook.former_secret, webhook.rotated_at = new_secret(lambda size: b"f" * size), now
    both = webhooks.signed(webhook, "id-1", b"{}", now)
    verify(webhook.former_secret, both.headers, both.body)


@pytest.mark.django_db
def test_the_code_runs() -> None:
    names = {"webhook": make_webhook(), "customer": make_customer("ann"), "moment": NOW}
    exec(examples("python")[1], names)
    assert (names["new"], Call.objects.count()) == (1, 1)


def test_the_page_names_what_there_is() -> None:
    for state in Call.State.values:
        assert f"| `{state}` |" in PAGE
    for how in How.values:
        assert f"`{how}`" in PAGE
    for kind in (*webhooks.TYPES, webhooks.TEST):
        assert f"`{kind}`" in PAGE


def test_the_numbers_are_the_codes() -> None:
    bounds = Bounds()
    for words in (
        f"within {bounds.total:g} s ({bounds.connect:g} s to connect)",
        f"`dead` after {webhooks.MOST_ATTEMPTS} attempts",
        f"at most {webhooks.LONGEST_WAIT / 3600:g} hours",
        f"tried {webhooks.MOST_REFUSALS} times",
        f"at most {bounds.read // 1024} KB are read, for at most {bounds.body:g} s, and {SHOWN:,} characters",
        f"after {calls.LEASE_SECONDS} s it is `pending` again",
        f"at most {calls.AT_ONCE} calls in flight, of {call.AT_ONCE} in all",
        f"After {calls.FAILURES} failures in a row",
        f"in peace for {calls.FIRST_PAUSE:g} s",
        f"`done` is kept for {calls.DONE_DAYS} days, `dead` for {calls.DEAD_DAYS}",
        f"trait {tell.MOST_TOLD} times an hour",
    ):
        assert words in " ".join(PAGE.split()), words
    assert (calls.WAITED_DAYS, calls.LONGEST_PAUSE) == (4, 1800)
    assert (webhooks.FORMER_VALID.total_seconds(), webhooks.LONGEST_RETRY_AFTER) == (86400, 86400)
