"""Identities in; everything that hangs together with them, as far as who-is-who depends on it, out of PostgreSQL.

The search goes on through what is followed and through evidence that might be. It stops at what is shared by many (a
kiosk, an office's e-mail): nothing is followed there, so what lies behind cannot matter.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

from django.db import connection

from .evidence import USER, Edge, Node
from .linking import USERS_TO_SHARE

# Identifiers of one person and of those they are tied to; more is a mistake in the data, such as one e-mail for all.
MOST: Final = 5_000
# Ties that were not followed, read for each identity: enough to see that it is shared.
SOME: Final = 200
NEVER: Final = datetime.max.replace(tzinfo=UTC)

IDENTITIES = """
SELECT id, kind, value, customer_id, home_id, first_at FROM customers_identity
WHERE customer_id IN (SELECT customer_id FROM customers_identity WHERE id = ANY(%s))
"""
BESIDE = "SELECT id, kind, value, customer_id, home_id, first_at FROM customers_identity WHERE id = ANY(%s)"
COLUMNS = (
    "k.id, k.one_id, k.other_id, k.how, k.at, k.message_id, k.refused_at IS NOT NULL, k.followed, k.code, k.reason"
)
# An index answers each of the four; a kiosk's thousands of ties are not read.
LINKS = f"""
SELECT DISTINCT t.* FROM unnest(%s::bigint[]) AS v(id) CROSS JOIN LATERAL (
    (SELECT {COLUMNS} FROM customers_link k WHERE k.one_id = v.id AND (followed OR how = 'person' OR code = ''))
    UNION ALL
    (SELECT {COLUMNS} FROM customers_link k WHERE k.other_id = v.id AND (followed OR how = 'person' OR code = ''))
    UNION ALL
    (SELECT {COLUMNS} FROM customers_link k
     WHERE k.one_id = v.id AND NOT followed AND how <> 'person' AND code <> '' LIMIT {SOME})
    UNION ALL
    (SELECT {COLUMNS} FROM customers_link k
     WHERE k.other_id = v.id AND NOT followed AND how <> 'person' AND code <> '' LIMIT {SOME})
) AS t
"""  # noqa: S608 (constants of this module)
BY_HAND = """
SELECT one_id, other_id FROM customers_link
WHERE how = 'person' AND refused_at IS NULL AND (one_id = ANY(%s) OR other_id = ANY(%s))
"""
# One look at an index for each event that waits: a join might read the whole log.
WAITING = """
SELECT p.identity_id, min(e.timestamp) FROM customers_pending p CROSS JOIN LATERAL
    (SELECT l.timestamp FROM customers_event l WHERE l.id = p.event_id AND p.problem = '' AND NOT l.bot LIMIT 1) AS e
WHERE p.identity_id = ANY(%s) GROUP BY p.identity_id
"""


class TooLarge(Exception):
    """More hangs together than can be one person."""


class Kin(NamedTuple):
    """An identity: whose it is, and the customer that came into being with it, if one did."""

    id: int
    kind: str
    value: str
    customer: int
    home: int | None
    first_at: datetime | None


class Tie(NamedTuple):
    """A link as stored, with the verdict it has; `code` is "" before the first."""

    id: int
    one: int
    other: int
    how: str
    at: datetime
    message_id: str
    refused: bool
    followed: bool
    code: str
    reason: str

    @property
    def edge(self) -> Edge:
        return Edge(*self[:7])


@dataclass(slots=True)
class Component:
    """`core` is complete: each with all that decides about it. `rim` is what lies behind something shared."""

    core: dict[int, Kin] = field(default_factory=dict)
    rim: dict[int, Kin] = field(default_factory=dict)
    ties: dict[int, Tie] = field(default_factory=dict)
    shared: set[int] = field(default_factory=set)
    waiting: dict[int, datetime] = field(default_factory=dict)

    def customers(self, ids: Iterable[int] | None = None) -> set[int]:
        """Whose they are now. Whoever moves an identity holds this customer; a former one has nobody left to move."""
        return {self.core[pk].customer for pk in (self.core if ids is None else ids)}

    def nodes(self) -> list[Node]:
        """What `linking.group` wants. Somebody was seen no later than in the ties that name them."""
        everybody = (self.core | self.rim).items()
        first = {pk: min(one.first_at or NEVER, self.waiting.get(pk, NEVER)) for pk, one in everybody}
        for tie in self.ties.values():
            if tie.how != "person":
                first[tie.one] = min(first[tie.one], tie.at)
                first[tie.other] = min(first[tie.other], tie.at)
        return [Node(pk, one.kind, one.value, first[pk]) for pk, one in everybody]

    def edges(self) -> list[Edge]:
        """The ties, and for what has none and no home the customer that it was found with (id < 0)."""
        tied = {pk for tie in self.ties.values() for pk in (tie.one, tie.other)}
        loose = [one for one in self.core.values() if one.home is None and one.id not in tied]
        homes = {one.customer: one.id for one in sorted(self.core.values()) if one.home == one.customer}
        glue = [
            Edge(-one.id, one.id, homes[one.customer], "import", one.first_at or NEVER, "")
            for one in loose
            if one.customer in homes
        ]
        return [tie.edge for tie in self.ties.values()] + glue

    def passable(self, tie: Tie) -> bool:
        """Whether what lies behind this tie may matter."""
        by_hand = tie.how == "person" and not tie.refused
        return tie.followed or by_hand or not (tie.refused or {tie.one, tie.other} & self.shared)

    def parts(self) -> list[set[int]]:
        """The core, split where nothing hangs together."""
        beside: dict[tuple[str, int], list[tuple[str, int]]] = {}
        for pk, one in self.core.items():
            beside.setdefault(("customer", one.customer), []).append(("identity", pk))
            beside.setdefault(("identity", pk), []).append(("customer", one.customer))
        for tie in self.ties.values():
            if tie.one in self.core and tie.other in self.core:
                beside[("identity", tie.one)].append(("identity", tie.other))
                beside[("identity", tie.other)].append(("identity", tie.one))
        found: list[set[int]] = []
        left = set(beside)
        while left:
            part, stack = set(), [left.pop()]
            while stack:
                here = stack.pop()
                part.add(here)
                more = left.intersection(beside[here])
                left -= more
                stack += more
            found.append({pk for kind, pk in part if kind == "identity"})
        return found


def load(identity_ids: Collection[int]) -> Component:
    """What hangs together with these identities. Raises TooLarge past `MOST`."""
    found = Component()
    ahead = set(identity_ids)
    while ahead:
        fresh = [one for one in _identities(IDENTITIES, ahead) if one.id not in found.core]
        found.core.update((one.id, one) for one in fresh)
        if len(found.core) > MOST:
            raise TooLarge(f"More than {MOST} identifiers hang together with {sorted(identity_ids)[0]}.")
        ties = _ties([one.id for one in fresh])
        ends = {pk for tie in ties for pk in (tie.one, tie.other)} - found.core.keys()
        found.rim.update((one.id, one) for one in _identities(BESIDE, ends - found.rim.keys()))
        found.ties.update((tie.id, tie) for tie in ties)
        found.shared |= _surely_shared(found, fresh, ties)
        ahead = {pk for tie in ties if found.passable(tie) for pk in (tie.one, tie.other)} - found.core.keys()
    for pk in found.core:
        found.rim.pop(pk, None)
    found.waiting = _first_waiting(found.core)
    return found


def _identities(statement: str, ids: Collection[int]) -> list[Kin]:
    if not ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(ids)])
        return [Kin(*row) for row in cursor.fetchall()]


def _first_waiting(ids: Collection[int]) -> dict[int, datetime]:
    """When these identities are first seen in events that wait: their `first_at` knows only of what was handled."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [list(ids)])
        return dict(cursor.fetchall())


def _ties(ids: Collection[int]) -> list[Tie]:
    if not ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(LINKS, [list(ids)])
        return [Tie(*row) for row in cursor.fetchall()]


def _surely_shared(found: Component, fresh: Iterable[Kin], ties: Iterable[Tie]) -> set[int]:
    """Those of `fresh` that so many user ids met that they are nobody's, whatever a person joined by hand."""
    kinds = {pk: one.kind for pk, one in (found.rim | found.core).items()}
    users: dict[int, set[int]] = {}
    for tie in ties:
        for pk, beside in ((tie.one, tie.other), (tie.other, tie.one)):
            if tie.how != "person" and kinds[beside] == USER and kinds[pk] != USER:
                users.setdefault(pk, set()).add(beside)
    enough = {one.id for one in fresh if len(users.get(one.id, ())) >= USERS_TO_SHARE.get(one.kind, MOST)}
    if not enough:
        return set()
    asked = sorted({user for pk in enough for user in users[pk]})
    with connection.cursor() as cursor:
        cursor.execute(BY_HAND, [asked, asked])
        joined = {pk for pair in cursor.fetchall() for pk in pair}
    return {pk for pk in enough if not users[pk] & joined}
