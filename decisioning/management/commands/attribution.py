"""Some days in; a table of what each channel is credited with under every model, out; JSON where that is wanted."""

from argparse import ArgumentParser
from datetime import timedelta
from json import dumps
from typing import Any, get_args

from django.core.management.base import BaseCommand, CommandError

from decisioning.config import clock
from decisioning.flows.credit import LONGEST, report_of
from decisioning.learning.attribution import TITLES
from decisioning.store.attributing import Asked, By, Seen, known


class Command(BaseCommand):
    """`manage.py attribution --by campaign --days 30`."""

    help = "Credit the ledger's conversions to contents, placements, campaigns or rules."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What is asked."""
        parser.add_argument("--by", choices=get_args(By), default="content")
        parser.add_argument("--touches", choices=get_args(Seen), default="shown")
        parser.add_argument("--days", type=int, default=30)
        parser.add_argument("--placement", default="")
        parser.add_argument("--lookback-hours", type=float, help="instead of each placement's own window")
        parser.add_argument("--value", action="store_true", help="what conversions were worth, not how many they were")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        if not 1 <= options["days"] <= LONGEST.days:
            raise CommandError(f"--days is a number from 1 to {LONGEST.days}.")
        hours = options["lookback_hours"]
        if hours is not None and not 0.01 <= hours <= 24 * 366:
            raise CommandError("--lookback-hours is a number of hours from 0.01 to 8784.")
        if options["placement"] and not known(options["placement"]):
            raise CommandError(f"There is no placement {options['placement']!r}; the admin lists them by their keys.")
        now = clock.now()
        since = now - timedelta(days=options["days"])
        asked = Asked(since, now, options["by"], options["touches"], hours, options["placement"])
        report = report_of(asked)
        if options["json"]:
            self.stdout.write(dumps(report))
            return
        self._print(report, "value" if options["value"] else "conversions")

    def _print(self, report: dict[str, Any], what: str) -> None:
        wide = max([30, *(len(row["channel"]) + 2 for row in report["channels"])])
        self.stdout.write(f"{report['by']:<{wide}}" + "".join(f"{title:>16}" for title in TITLES.values()))
        for row in report["channels"]:
            figures = "".join(f"{row['models'][model][what]:>16,.2f}" for model in TITLES)
            self.stdout.write(f"{row['channel']:<{wide}}{figures}")
        given, kept = report["attributed"][what], report["unattributed"][what]
        self.stdout.write(f"{what}: {given:,} attributed, {kept:,} without a touch whose window was open")
