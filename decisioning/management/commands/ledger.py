"""A word in; the ledger's months and what waits to be counted, or its statistics counted anew, out."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from decisioning.models import Uncounted, UncountedOutcome
from decisioning.store import months
from decisioning.store.recounting import rebuild


class Command(BaseCommand):
    """`manage.py ledger show`, `manage.py ledger rebuild`."""

    help = "Show the ledger's months, or count its statistics anew."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One word."""
        parser.add_argument("verb", choices=["show", "rebuild"])

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it and say so."""
        if options["verb"] == "rebuild":
            started = time.monotonic()
            rebuild()
            self.stdout.write(f"counted anew in {time.monotonic() - started:.1f} s")
            return
        for month in months.months():
            self.stdout.write(f"{month.first:%Y-%m}  {max(0, month.rows):>12,} rows  {month.bytes / 1e6:>10,.1f} MB")
        waiting = Uncounted.objects.count(), UncountedOutcome.objects.count()
        self.stdout.write(f"not counted yet: {waiting[0]:,} decisions, {waiting[1]:,} outcomes")
