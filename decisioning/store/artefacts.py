"""Learned things in and out of PostgreSQL: signed when kept, verified before anything reads them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction

from ..learning.clusters import Clusters
from ..learning.scorer import Scorer
from ..models import Artefact
from .signing import sign, verify

PURPOSE = "artefact"
PARSERS: dict[str, Callable[[bytes], object]] = {
    Artefact.Kind.SCORER: Scorer.from_artefact,
    Artefact.Kind.CLUSTERING: Clusters.from_artefact,
}


class Tampered(ValueError):
    """The stored bytes do not carry our signature."""


def keep(kind: str, data: bytes, schema_hash: str, metrics: dict[str, Any], now: datetime) -> Artefact:
    """Store a learned thing, inactive; `activate` puts it to work."""
    return Artefact.objects.create(
        kind=kind,
        data=data,
        signature=sign(PURPOSE, data).hex(),
        schema_hash=schema_hash,
        metrics=metrics,
        trained_at=now,
    )


def activate(artefact: Artefact) -> None:
    """Make it the one of its kind that is used; raises ValueError for one that was altered or cannot be read."""
    PARSERS[artefact.kind](read(artefact))
    with transaction.atomic():
        Artefact.objects.select_for_update().filter(kind=artefact.kind, active=True).update(active=False)
        Artefact.objects.filter(pk=artefact.pk).update(active=True)
    artefact.active = True


def active(kind: str) -> Artefact | None:
    """The one of its kind that is used, if any."""
    return Artefact.objects.filter(kind=kind, active=True).first()


def read(artefact: Artefact) -> bytes:
    """The verified bytes; raises Tampered before a parser sees what nobody signed."""
    data = bytes(artefact.data)
    if not verify(PURPOSE, data, bytes.fromhex(artefact.signature)):
        raise Tampered(
            f"{artefact} was altered or signed with another SECRET_KEY; train again or restore the former one."
        )
    return data
