"""A segment and the columns wanted of its members in; rows, and the lines of a CSV file that no spreadsheet runs, out.

Sources: RFC 4180 (CSV); https://owasp.org/www-community/attacks/CSV_Injection (what a spreadsheet takes for a formula).
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from django.db import connection

# With these a cell begins that is taken for a formula; the last four are the wide forms of the first.
FORMULA: Final = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
MARK: Final = "\ufeff".encode()
AT_ONCE: Final = 2000
BETWEEN: Final = "; "

KEY, ENTERED, REASON = "c.key", "m.entered_at", "concat_ws(': ', nullif(m.entered_how, ''), nullif(m.entered_by, ''))"
# The newest of a kind, which is also the one that messages go to.
IDENTIFIER: Final = """
(SELECT i.value FROM customers_identity i WHERE i.customer_id = c.id AND i.kind = %s
 ORDER BY i.created_at DESC, i.id DESC LIMIT 1)
"""
FACT: Final = "(c.facts -> %s)::text"
MEMBERS: Final = """
SELECT {} FROM rules_membership m JOIN customers_customer c ON c.id = m.customer_id
WHERE m.segment_id = %s AND m.left_at IS NULL ORDER BY m.customer_id
"""

_decode = msgspec.json.Decoder().decode


class Column(NamedTuple):
    """One column: its name in the header, what is read (`IDENTIFIER` and `FACT` are asked for `of` something)."""

    name: str
    source: str
    of: str = ""


def identifier(kind: str) -> Column:
    """The newest identifier of this kind."""
    return Column(kind, IDENTIFIER, kind)


def fact(name: str) -> Column:
    """A fact as stored."""
    return Column(name, FACT, name)


BASIC: Final = (Column("key", KEY), Column("entered_at", ENTERED), Column("entered_why", REASON))


def rows(segment_id: int, columns: Sequence[Column]) -> Iterator[tuple[Any, ...]]:
    """The current members by customer, read a few thousand at a time by a cursor of the server."""
    statement = MEMBERS.format(", ".join(column.source for column in columns))
    asked = [column.of for column in columns if column.of]
    facts = [place for place, column in enumerate(columns) if column.source == FACT]
    with connection.chunked_cursor() as cursor:
        cursor.execute(statement, [*asked, segment_id])
        while found := cursor.fetchmany(AT_ONCE):
            for row in found:
                yield _with_values(row, facts) if facts else row


def _with_values(row: tuple[Any, ...], facts: Sequence[int]) -> tuple[Any, ...]:
    cells = list(row)
    for place in facts:
        cells[place] = _decode(cells[place]) if cells[place] is not None else None
    return tuple(cells)


def lines(header: Sequence[str], body: Iterable[Sequence[Any]], *, mark: bool, safe: bool = True) -> Iterator[bytes]:
    """A CSV file in UTF-8, some lines at a time; `mark` puts a byte order mark first, which some spreadsheets need.

    `safe` writes a single quote before text that would be taken for a formula; numbers stay numbers.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(header if not safe else map(harmless, header))
    if mark:
        yield MARK
    number = 0
    for number, row in enumerate(body, 1):
        cells = map(cell, row)
        writer.writerow(map(harmless, cells) if safe else cells)
        if number % AT_ONCE == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def cell(value: Any) -> Any:
    """A value as a file has it: "" where it is missing, moments in RFC 3339, lists with semicolons, numbers as such."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    if isinstance(value, list):
        return BETWEEN.join(str(cell(each)) for each in value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def harmless(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula, with a single quote before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in FORMULA and value else value
