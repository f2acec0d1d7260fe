"""What a process that makes calls does in tests that kill it."""

import os
from dataclasses import dataclass

import django
from django.apps import apps

if not apps.ready:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.campaigns.light_settings"
    django.setup()

from django.db import connection

from decisioning.flows.call import call_due


@dataclass(frozen=True)
class Job:
    """Make the calls due in `database` until there are none."""

    database: str


def work(job: Job) -> None:
    """One process's life."""
    connection.settings_dict["NAME"] = job.database
    while call_due(seconds=1).claimed:
        pass
