"""Events with more than one identifier in; evidence of who met whom, kept as links, out.

Only what is new costs anything: a process remembers the links it has seen committed, and with what time.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from django.db import connection, transaction

from ..intake.identifiers import names_nobody
from ..intake.pending import Row
from ..models import Identity, Link
from .known import USER, Pair, look_up

REMEMBERED: Final = 200_000
ATTACH = """
INSERT INTO customers_identity (kind, value, customer_id)
SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[]) ON CONFLICT (kind, value) DO NOTHING
"""
# Of two events in which the same two met, the earlier one is the evidence, in whatever order they came.
LINK = """
INSERT INTO customers_link AS l (one_id, other_id, how, at, message_id, followed, code, reason)
SELECT one, other, how, at, message_id, false, '', ''
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::text[]) AS v(one, other, how, at, message_id)
ON CONFLICT (one_id, other_id, how) DO UPDATE SET at = excluded.at, message_id = excluded.message_id, code = ''
WHERE (excluded.at, excluded.message_id) < (l.at, l.message_id)
RETURNING one_id, other_id
"""
EARLIER = """
UPDATE customers_identity i SET first_at = v.at FROM unnest(%s::bigint[], %s::timestamptz[]) AS v(id, at)
WHERE i.id = v.id AND (i.first_at IS NULL OR v.at < i.first_at)
"""
TIED = """
SELECT v.id FROM unnest(%s::bigint[]) AS v(id) WHERE EXISTS (SELECT FROM customers_link WHERE one_id = v.id)
OR EXISTS (SELECT FROM customers_link WHERE other_id = v.id)
"""
# An alias named somebody by a user id that nobody had heard of: it was taken for an anonymous id until now.
RETARGET = """
UPDATE customers_link l SET other_id = u.id, code = ''
FROM customers_identity u JOIN customers_identity a ON a.kind = 'anonymous_id' AND a.value = u.value
WHERE u.id = ANY(%s) AND u.kind = 'user_id' AND l.other_id = a.id AND l.how = 'alias' AND l.one_id <> u.id
RETURNING l.one_id, l.other_id, a.id
"""
# What only that alias had ever named is nobody.
UNNAMED = """
DELETE FROM customers_identity i WHERE i.id = ANY(%s) AND i.home_id IS NULL AND i.first_at IS NULL
AND NOT EXISTS (SELECT FROM customers_link WHERE one_id = i.id)
AND NOT EXISTS (SELECT FROM customers_link WHERE other_id = i.id)
AND NOT EXISTS (SELECT FROM customers_pending WHERE identity_id = i.id)
"""
_identifiers = msgspec.json.Decoder(list[tuple[str, str]])
_seen: dict[tuple[int, Pair, str], tuple[datetime, str]] = {}


class Met(NamedTuple):
    """One event's word that somebody else is the same person."""

    identity: int
    customer: int
    other: Pair
    how: str
    at: datetime
    message_id: str


def observe(rows: Sequence[Row]) -> set[int]:
    """Keep what these events tell about who is who; the identities about which something new became known.

    Must run in the transaction that holds the rows' customers. Bots tell nothing.
    """
    retargeted = _retarget({row.identity for row in rows if row.first_at is None and row.kind == USER and not row.bot})
    meetings = _earliest(met for row in rows if not row.bot for met in _meetings(row))
    if not meetings:
        return retargeted
    ids = _identities(meetings)
    links = [(met, ids[met.other]) for met in meetings if ids[met.other] != met.identity]
    changed = _link(links)
    transaction.on_commit(lambda: _remember(meetings), robust=True)
    return changed | retargeted


def _retarget(newcomers: Collection[int]) -> set[int]:
    """Aliases that meant one of these new user ids now name it, whichever came first; the identities at both ends."""
    if not newcomers:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(RETARGET, [sorted(newcomers)])
        found = cursor.fetchall()
        if found:
            cursor.execute(UNNAMED, [[mistaken for *_, mistaken in found]])
    return {pk for one, other, _ in found for pk in (one, other)}


def note_earlier(rows: Iterable[Row]) -> set[int]:
    """Identities that turn out to have been there before what tied them to others: the evidence about them is another.

    To be called before anybody judges: who leads, and what chances draw by, hangs on who was seen first.
    """
    earliest: dict[int, datetime] = {}
    fresh: set[int] = set()
    for row in rows:
        if row.bot:
            continue
        if row.first_at is None:
            fresh.add(row.identity)
        elif row.timestamp < row.first_at:
            earliest[row.identity] = min(row.timestamp, earliest.get(row.identity, row.timestamp))
    note_first(earliest)
    return earliest.keys() | _tied(fresh)


def _tied(ids: Collection[int]) -> set[int]:
    """Those of them that somebody was met with already."""
    if not ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(TIED, [sorted(ids)])
        return {pk for (pk,) in cursor.fetchall()}


def note_first(earliest: Mapping[int, datetime]) -> None:
    """Identities with the earliest event of each: `first_at` only ever moves back."""
    if earliest:
        ordered = sorted(earliest)
        with connection.cursor() as cursor:
            cursor.execute(EARLIER, [ordered, [earliest[pk] for pk in ordered]])


def _meetings(row: Row) -> Iterable[Met]:
    if row.type == "alias":
        yield from _aliases(row)
    # The usual event has one identifier, `[["user_id","u-1"]]`, and need not be decoded.
    if row.identifiers.count("[") <= 2 and "],[" not in row.identifiers:
        return
    for pair in _identifiers.decode(row.identifiers):
        if pair != (row.kind, row.value):
            yield Met(row.identity, row.customer, pair, Link.How.EVENT, row.timestamp, row.message_id)


def _aliases(row: Row) -> Iterable[Met]:
    previous: Any = msgspec.json.decode(row.properties).get("previousId")
    if isinstance(previous, str) and 0 < len(previous) <= 200 and not names_nobody(previous):
        users = look_up([(str(Identity.Kind.USER), previous)])
        pair = next(iter(users), (str(Identity.Kind.ANONYMOUS), previous))
        yield Met(row.identity, row.customer, pair, Link.How.ALIAS, row.timestamp, row.message_id)


def _earliest(found: Iterable[Met]) -> list[Met]:
    """One meeting a pair, the earliest, of those that say more than this process knows."""
    best: dict[tuple[int, Pair, str], Met] = {}
    for met in found:
        key = (met.identity, met.other, met.how)
        told = (met.at, met.message_id)
        if key in _seen and _seen[key] <= told:
            continue
        if key not in best or told < (best[key].at, best[key].message_id):
            best[key] = met
    return list(best.values())


def _identities(meetings: Sequence[Met]) -> dict[Pair, int]:
    """The ids of the others; one that nobody had heard of belongs to the customer it was met beside."""
    pairs = {met.other for met in meetings}
    ids = look_up(pairs)
    strangers = {met.other: met for met in reversed(meetings) if met.other not in ids}
    if strangers:
        ordered = sorted(strangers)
        rows = [(kind, value, strangers[kind, value].customer) for kind, value in ordered]
        with connection.cursor() as cursor:
            cursor.execute(ATTACH, [list(column) for column in zip(*rows, strict=True)])
        ids |= look_up(strangers)
    return ids


def _link(links: Sequence[tuple[Met, int]]) -> set[int]:
    rows = sorted({(met.identity, other, met.how): (met.at, met.message_id) for met, other in links}.items())
    if not rows:
        return set()
    columns = [[key[part] for key, _ in rows] for part in range(3)]
    with connection.cursor() as cursor:
        cursor.execute(LINK, [*columns, [at for _, (at, _) in rows], [message for _, (_, message) in rows]])
        return {pk for pair in cursor.fetchall() for pk in pair}


def _remember(meetings: Sequence[Met]) -> None:
    if len(_seen) + len(meetings) > REMEMBERED:
        _seen.clear()
    for met in meetings:
        _seen[met.identity, met.other, met.how] = (met.at, met.message_id)


def forget_seen() -> None:
    """Learn everything anew: after identities were deleted."""
    _seen.clear()
