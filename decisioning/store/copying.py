"""Unsaved rows in; the same in PostgreSQL by COPY, those already there left alone, out."""

from collections.abc import Sequence
from typing import Any

import msgspec
from django.db import connection, models, transaction


def copy_in(rows: Sequence[models.Model]) -> int:
    """Insert rows of one model, skipping any that a unique constraint says are there; how many were new.

    Several times faster than `bulk_create`, which spells wide JSON out as array literals. One transaction.
    """
    if not rows:
        return 0
    fields = [field for field in rows[0]._meta.concrete_fields if not isinstance(field, models.AutoField)]
    table, names = rows[0]._meta.db_table, ", ".join(f'"{field.column}"' for field in fields)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f'CREATE TEMPORARY TABLE staged ON COMMIT DROP AS SELECT {names} FROM "{table}" LIMIT 0')  # noqa: S608
        with cursor.copy(f"COPY staged ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row([_value(field, row) for field in fields])
        cursor.execute(f'INSERT INTO "{table}" ({names}) SELECT {names} FROM staged ON CONFLICT DO NOTHING')  # noqa: S608
        added = int(cursor.rowcount)
        cursor.execute("DROP TABLE staged")
        return added


def _value(field: Any, row: models.Model) -> Any:
    value = getattr(row, field.attname)
    if isinstance(field, models.JSONField) and value is not None:
        return msgspec.json.encode(value).decode()
    return value
