"""`manage.py learn train|cluster`: what the worker runs in a process of its own, and a person may run by hand."""

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from decisioning.config import clock
from decisioning.flows import learn
from decisioning.flows.cluster import cluster


class Command(BaseCommand):
    """Train a scorer or find clusters."""

    help = "Train a scorer on the ledger, or find clusters of customers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", choices=["train", "cluster"])
        parser.add_argument("--split", type=datetime.fromisoformat, help="judge by what was shown from this moment on")
        parser.add_argument("--placement", help="judge by this placement alone")
        parser.add_argument("--baseline", default="orders_365d", help="the fact to beat")
        parser.add_argument("--since", type=datetime.fromisoformat, help="leave out what was shown before this moment")
        parser.add_argument("--as-of", type=datetime.fromisoformat, help="train as if it were this moment")

    def handle(self, *args: Any, **options: Any) -> None:
        now = options["as_of"] or clock.now()
        try:
            if options["verb"] == "cluster":
                found = cluster(now)
            else:
                words = ("split", "placement", "baseline", "since")
                found = learn.train_scorer(now, learn.Terms(**{word: options[word] for word in words}))
        except ValueError as error:
            raise CommandError(str(error)) from None
        state = "active" if found.active else "not used"
        self.stdout.write(f"{found} ({state}): {found.metrics}")
