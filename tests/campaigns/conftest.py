"""A mail server, a campaign, customers who may be written to, and processes to kill."""

import multiprocessing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess as Sender
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from campaigns import outbox
from campaigns.models import Campaign, Message
from decisioning.customers.models import Consent, Customer, Identity

from .deliverer import Job, work
from .sink import Sink

forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload([work.__module__])
BODY = '<p>Hello {{ customer.name | default: "friend" }}</p><a href="{{ unsubscribe_url }}">Unsubscribe</a>'


@pytest.fixture
def sink(settings: Any) -> Iterator[Sink]:
    """A running SMTP server that the settings point at."""
    with Sink() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 10
        settings.DEFAULT_FROM_EMAIL, settings.PUBLIC_URL = "Shop <news@shop.example>", "https://shop.example"
        yield server


@pytest.fixture
def campaign(db: None) -> Campaign:
    """An active e-mail campaign; the test's writes are rolled back."""
    return make_campaign()


def make_campaign(**fields: Any) -> Campaign:
    defaults = {"key": "hello", "name": "Hello", "trigger": "event", "event_name": "Signed Up"}
    return Campaign.objects.create(**{**defaults, "subject": "Hello {{ customer.name }}", "body": BODY, **fields})


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
    Message.objects.filter(lease_until__isnull=False).update(lease_until=F("lease_until") - timedelta(hours=2))


def let_waits_end() -> None:
    """As if hours had passed for messages that wait for their next attempt."""
    Message.objects.update(due_at=F("due_at") - timedelta(hours=12))


def states() -> dict[str, str]:
    """Customer key to state."""
    return dict(Message.objects.values_list("customer__key", "state"))


@pytest.fixture
def start(sink: Sink, settings: Any) -> Iterator[Callable[..., Sender]]:
    """Starts delivering processes on the test's database and mail server; ends those that are left."""
    started: list[Sender] = []
    names = ("EMAIL_HOST", "EMAIL_PORT", "EMAIL_TIMEOUT", "DEFAULT_FROM_EMAIL")
    same = {name: getattr(settings, name) for name in names}

    def start_one(**options: Any) -> Sender:
        job = Job(connection.settings_dict["NAME"], same, **options)
        started.append(forkserver.Process(target=work, args=(job,), daemon=True))
        started[-1].start()
        return started[-1]

    yield start_one
    for sender in started:
        sender.kill()
        sender.join(10)
