"""A mail server, a campaign, customers who may be written to, and processes to kill."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from campaigns import outbox
from campaigns.models import Campaign, Message
from decisioning.customers.models import Consent, Customer, Identity

from .sink import Sink

REPOSITORY = Path(__file__).resolve().parents[2]
BODY = '<p>Hello {{ customer.name | default: "friend" }}</p><a href="{{ unsubscribe_url }}">Unsubscribe</a>'


@pytest.fixture
def sink(settings: Any) -> Iterator[Sink]:
    """A running SMTP server that the settings point at; replies may take a second at most."""
    with Sink() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 1
        settings.DEFAULT_FROM_EMAIL, settings.PUBLIC_URL = "Shop <news@shop.example>", "https://shop.example"
        yield server


@pytest.fixture
def campaign(request: pytest.FixtureRequest) -> Campaign:
    """An active e-mail campaign, in the database that the test asked for."""
    request.getfixturevalue("transactional_db" if request.node.get_closest_marker("processes") else "db")
    return make_campaign()


def make_campaign(**fields: Any) -> Campaign:
    defaults = {"key": "hello", "name": "Hello", "trigger": "event", "event_name": "Signed Up"}
    return Campaign.objects.create(
        **{**defaults, "subject": "Hello {{ customer.name }}", "body": BODY, **fields}
    )


def make_customer(key: str, email: str | None = None, granted: bool | None = True, **fields: Any) -> Customer:
    """A customer; `granted` None means that they never said anything about e-mail."""
    customer = Customer.objects.create(key=key, **fields)
    if email:
        Identity.objects.create(customer=customer, kind=Identity.Kind.EMAIL, value=email)
    if granted is not None:
        at = datetime(2017, 1, 1, tzinfo=UTC)
        Consent.objects.create(customer=customer, channel="email", granted=granted, at=at, source="test")
    return customer


def owe(campaign: Campaign, *names: str) -> list[Message]:
    """A message to each name's mailbox, in this order."""
    for name in names:
        customer = make_customer(name, f"{name}@mail.example", traits={"name": name.title()})
        assert outbox.owe([outbox.Owed(campaign.pk, customer.pk, f"event of {name}")]) == 1
    return list(Message.objects.order_by("id"))


def let_leases_run_out() -> None:
    """As if hours had passed since the senders died; for when none is at work."""
    Message.objects.filter(lease_until__isnull=False).update(
        lease_until=F("lease_until") - timedelta(hours=2)
    )


def let_waits_end() -> None:
    """As if hours had passed for messages that wait for their next attempt."""
    Message.objects.update(due_at=F("due_at") - timedelta(hours=12))


def states() -> dict[str, str]:
    """Customer key to state."""
    return dict(Message.objects.values_list("customer__key", "state"))


@pytest.fixture
def deliverer(sink: Sink) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts delivering processes on the test's database and mail server; ends those that are left."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.campaigns.deliverer", *options]
        environment = {**os.environ, **_addresses(sink)}
        child = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.wait(10)


def _addresses(sink: Sink) -> dict[str, str]:
    database = connection.settings_dict
    parts = {"dbname": database["NAME"], "user": database["USER"], "host": database["HOST"]}
    parts |= {"port": database["PORT"], "password": database["PASSWORD"]}
    return {
        "DATABASE_URL": " ".join(f"{name}='{value}'" for name, value in parts.items() if value),
        "DJANGO_SETTINGS_MODULE": "decisioning.config.settings",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(sink.port),
    }
