"""A deadline in; a transaction whose statements end by it, or `OutOfTime`, out: for what somebody waits for.

PostgreSQL keeps this time, so it needs a server that answers; `deadline` is for one that does not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.errors import QueryCanceled

LONGEST: Final = 2**31 - 1  # milliseconds; PostgreSQL knows no longer time, which is 24 days


class OutOfTime(Exception):
    """It took longer than it may."""


@contextmanager
def until(deadline: float) -> Iterator[CursorWrapper]:
    """A transaction, and a cursor in it, in which no statement lasts past the deadline (by `monotonic`).

    Raises OutOfTime when the deadline is over, or comes while a statement runs.
    """
    left = min(LONGEST, (deadline - monotonic()) * 1000)
    if left < 1:
        raise OutOfTime
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(left))])
            yield cursor
            cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise OutOfTime from None
        raise
