"""Reports in; the same as rows, each over its former self, and those of what is gone taken away, out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from django.db import connection, transaction

from ..models import QualityReport
from .findings import Report

LONGEST: Final = 300
PUT: Final = """
INSERT INTO customers_qualityreport (kind, name, findings, severity, at)
SELECT kind, name, findings, severity, %s FROM unnest(%s::text[], %s::text[], %s::jsonb[], %s::smallint[])
    AS v(kind, name, findings, severity)
ON CONFLICT (kind, name) DO UPDATE SET findings = excluded.findings, severity = excluded.severity, at = excluded.at
"""


def keep(reports: Sequence[Report], now: datetime) -> int:
    """Store them in one transaction; how many rows of what is gone were dropped."""
    named = {(report.kind, report.name[:LONGEST]): report for report in reports}
    keys = sorted(named)
    found = [named[key] for key in keys]
    texts = [msgspec.json.encode(report.stored()).decode() for report in found]
    columns: list[list[Any]] = [[kind for kind, _ in keys], [name for _, name in keys], texts]
    columns.append([report.severity for report in found])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PUT, [now, *columns])
        return QualityReport.objects.exclude(at=now).delete()[0]
