"""Processes that answer and handle events seldom search for garbage, and never through what they loaded."""

import subprocess
import sys

import pytest

from decisioning.config.garbage import YOUNG

WEB = "import decisioning.config.wsgi"
WORKER = """
import django
from celery.signals import worker_process_init
import decisioning.config.celery
django.setup()
worker_process_init.send(sender=None)
"""
CONSUMER = """
import django
django.setup()
from decisioning.management.commands import consume
consume.consume = lambda *given, **more: None
consume.Command().handle(batch=1, once=True, alive=None)
"""


@pytest.mark.parametrize("program", [WEB, WORKER, CONSUMER], ids=["web", "worker", "consumer"])
def test_what_was_loaded_is_out_of_every_search(program: str):
    asked = f"{program}\nimport gc\nprint(gc.get_threshold()[0], gc.get_freeze_count() > 50_000)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"{YOUNG} True"
