"""What a delivering process does in tests that kill it; forked from one that has Django loaded already."""

import os
import signal
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import django
from django.apps import apps
from django.conf import settings

if not apps.ready:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.campaigns.light_settings"
    django.setup()

from django.db import connection

from campaigns.models import Message
from decisioning.flows.deliver import deliver
from decisioning.flows.preparing import ChosenContents

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Job:
    """Deliver from `database` until nothing is due; die by SIGKILL at `crash_at` with message `crash_on`."""

    database: str
    settings: dict[str, Any] = field(default_factory=dict)
    limit: int = 100
    lease: float = 60
    crash_at: str = ""
    crash_on: int = 0


def work(job: Job) -> None:
    """One process's life."""
    connection.settings_dict["NAME"] = job.database
    for name, value in job.settings.items():
        setattr(settings, name, value)

    def crash(step: str, message: Message) -> None:
        if step == job.crash_at and message.pk == job.crash_on:
            os.kill(os.getpid(), signal.SIGKILL)

    while deliver(NOW, no_contents, job.limit, job.lease, crash).claimed:
        pass


def no_contents(customer_key: str, placement_key: str, now: datetime) -> ChosenContents:
    return ChosenContents(None, [])
