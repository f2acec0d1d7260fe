"""Customers by number come in; their facts, segments, scores and names in Redis, for requests to read, go out."""

from collections.abc import Collection, Iterable, Sequence

import msgspec
import redis

from ..customers.identity.known import Newcomer, key_of
from ..customers.intake import arrays
from ..customers.intake.arrays import among
from ..customers.models import Customer, Identity, Merge
from ..engine.types import Profile
from . import admission, contacts, frames, notes, remembering, scores
from .connection import patient
from .profiles import CUSTOMER, PROFILE, READY, WHO, shared

# KEYS: some profiles. ARGV: of each the blob and its version. A slower writer never puts an older one over a newer one.
WRITE = """
for at, key in ipairs(KEYS) do
    local version = ARGV[2 * at]
    local held = redis.call('HGET', key, 'version')
    if not held or tonumber(held) <= tonumber(version) then
        redis.call('HSET', key, 'blob', ARGV[2 * at - 1], 'version', version)
    end
end
"""
TOGETHER = 100  # profiles a script call: more would keep requests waiting

ROWS = """
SELECT id, key, facts_version, facts::text, facts_at, unit FROM customers_customer WHERE id = ANY(%b::bigint[])
"""
STAYS = """
SELECT m.customer_id, array_agg(s.key ORDER BY s.key COLLATE "C")
FROM rules_membership m JOIN rules_segment s ON s.id = m.segment_id
WHERE m.customer_id = ANY(%b::bigint[]) AND m.left_at IS NULL AND s.active GROUP BY m.customer_id
"""
NAMES = "SELECT kind, value, customer_id FROM customers_identity WHERE customer_id = ANY(%b::bigint[])"

_encoder = msgspec.msgpack.Encoder()


def compose(ids: Sequence[int]) -> list[Profile]:
    """Profiles as the hot path wants them, from the database: few queries for any number."""
    asked = arrays.bigints(ids)
    with arrays.direct() as raw:
        segments = dict(raw.execute(STAYS, [asked], prepare=True).fetchall())
        rows = raw.execute(ROWS, [asked], prepare=True).fetchall()
    return [
        Profile(
            id=pk,
            key=key,
            version=version,
            facts=msgspec.json.decode(facts),
            segments=tuple(segments.get(pk, ())),
            facts_at=facts_at,
            unit=unit,
        )
        for pk, key, version, facts, facts_at, unit in rows
    ]


def with_scores(found: Sequence[Profile]) -> list[Profile]:
    """The same with the scores that are stored, for who reads no Redis."""
    known = scores.stored([one.id for one in found])
    return [
        msgspec.structs.replace(one, scores=known[one.id][1], scorer=known[one.id][0]) if one.id in known else one
        for one in found
    ]


def publish(ids: Sequence[int], *, noted: bool = True) -> None:
    """Write these customers and all their names to Redis; raises redis.RedisError when it is away."""
    with arrays.direct() as raw:
        names = raw.execute(NAMES, [arrays.bigints(ids)], prepare=True).fetchall()
    merged = Customer.objects.filter(pk__in=among(ids), merged_into__isnull=False)
    gone = set(merged.values_list("pk", flat=True))
    _write(compose([pk for pk in ids if pk not in gone]), names, keyed=True, noted=noted)
    forget(gone)


def put(found: Sequence[Profile], names: Iterable[tuple[str, str, int]]) -> None:
    """Write profiles that are at hand, with only those names (kind, value, customer id) that are new."""
    _write(found, names, keyed=False)


def introduce(newcomers: Sequence[Newcomer]) -> None:
    """Let decisions know customers who have only just come into being; nothing is known of them yet."""
    if newcomers and shared().breaker.closed():
        found = [Profile(one.customer, key_of(one.kind, one.value), 0, {}) for one in newcomers]
        names = [(one.kind, one.value, one.customer) for one in newcomers]
        try:
            # A sender waits: one short try.
            _write(found, names, keyed=True, noted=False, client=shared().client)
        except redis.RedisError:
            shared().breaker.trip()
            raise


def _write(
    found: Sequence[Profile],
    names: Iterable[tuple[str, str, int]],
    *,
    keyed: bool,
    noted: bool = True,
    client: redis.Redis | None = None,
) -> None:
    """`keyed`: their keys too; `noted`: the frame of everybody takes them in."""
    client = client or patient()
    write = client.register_script(WRITE)
    pipe = client.pipeline(transaction=False)
    for start in range(0, len(found), TOGETHER):
        some = found[start : start + TOGETHER]
        told = [value for one in some for value in (_encoder.encode(one), one.version)]
        write(keys=[PROFILE.format(one.id) for one in some], args=told, client=pipe)
    if noted:
        frames.note_changed(pipe, [(profile.id, profile.version) for profile in found])
    known = {WHO.format(CUSTOMER, one.key): one.id for one in found if keyed or one.version <= 1}
    for kind, value, customer_id in names:
        known[WHO.format(kind, value)] = customer_id
        if kind == Identity.Kind.USER:
            known[WHO.format(CUSTOMER, key_of(kind, value))] = customer_id
    if known:
        pipe.mset(known)
        contacts.fold_names(pipe, known)
    pipe.execute()


def forget(ids: Collection[int]) -> None:
    """Customers who became part of others: their profiles go, their keys and contacts go to whom they are part of."""
    if not ids:
        return
    # All at once: a sender in between would count a message for somebody who is nobody any more.
    pipe = patient().pipeline(transaction=True)
    frames.note_gone(pipe, ids)
    for pk, key, into in Customer.objects.filter(pk__in=among(ids)).values_list("pk", "key", "merged_into"):
        pipe.delete(PROFILE.format(pk), scores.SCORES.format(pk))
        if into is not None:
            pipe.set(WHO.format(CUSTOMER, key), into)
            contacts.fold_customers(pipe, [(pk, into)])
    pipe.execute()


def part(undone: Collection[int]) -> None:
    """Merges (ids) were undone: who is two again gets their own contacts back. The other one keeps them too."""
    if undone:
        parted = dict(Merge.objects.filter(pk__in=undone).values_list("loser__key", "loser_id"))
        patient().mset({WHO.format(CUSTOMER, key): pk for key, pk in parted.items()})
        remembering.fill(parted.values())


def publish_all(batch: int = 1000) -> int:
    """Fill Redis with everybody, then say it is complete; used at start and after Redis came back empty.

    Contacts come first, as messages wait for them; names take what was noted of unknown people to whom they are.
    """
    life = remembering.begin()
    remembering.fill()
    remembering.complete(life, admission.READY)
    ids = list(Customer.objects.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), batch):
        publish(ids[start : start + batch], noted=False)
        scores.publish_stored(ids[start : start + batch])
    # Cheaper than as many notes: the frame compares everybody's version once.
    patient().delete(notes.MARKER)
    remembering.complete(life, READY)
    return len(ids)


def mark_complete() -> None:
    """Redis holds everybody; it stays so until it loses its memory."""
    patient().set(READY, 1)


def is_complete() -> bool:
    """Whether Redis holds everybody and all contacts; false after it lost its memory."""
    return bool(patient().exists(READY, admission.READY) == 2)
