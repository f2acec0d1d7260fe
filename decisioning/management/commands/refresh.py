"""`manage.py refresh`: everybody's facts, segments and profiles anew, here and now."""

from typing import Any

from django.core.management.base import BaseCommand

from decisioning.config import clock
from decisioning.flows.refresh import refresh_all


class Command(BaseCommand):
    """What workers do on the hour, for those who run none or do not want to wait."""

    help = "Compute everybody's facts and segments anew, and publish them."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it and say what came of it."""
        done = refresh_all(clock.now(), "asked for by command")
        self.stdout.write(f"{done.customers:,} customers; {done.entered:,} entries, {done.left:,} exits.")
