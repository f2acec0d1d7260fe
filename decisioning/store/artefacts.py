"""Learned things in and out of PostgreSQL: signed when kept, verified and tried before anything uses them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from ..learning.clusters import Clusters
from ..learning.recall import Recall
from ..models import Artefact
from . import trying
from .signing import sign, verify
from .trying import Unfit

__all__ = ["Tampered", "Unfit", "activate", "active", "keep", "note", "read", "rollback", "trial"]

PURPOSE = "artefact"
# Scorers are read in a process of their own; see `trial`.
PARSERS: dict[str, Callable[[bytes], object]] = {
    Artefact.Kind.CLUSTERING: Clusters.from_artefact,
    Artefact.Kind.RECALL: Recall.from_artefact,
}


class Tampered(ValueError):
    """The stored bytes do not carry our signature."""


def keep(
    kind: str,
    data: bytes,
    schema_hash: str,
    metrics: dict[str, Any],
    now: datetime,
    golden: Mapping[str, Any] | None = None,
    window: tuple[datetime | None, datetime | None] = (None, None),
) -> Artefact:
    """Store a learned thing, inactive; `activate` puts it to work.

    `golden` are inputs with the scores they got (`learning.verifying.Golden`), `window` the span learned from.
    """
    return Artefact.objects.create(
        kind=kind,
        data=data,
        signature=sign(PURPOSE, data).hex(),
        schema_hash=schema_hash,
        metrics=metrics,
        trained_at=now,
        golden=dict(golden or {}),
        since=window[0],
        until=window[1],
        parent=active(kind),
    )


def trial(artefact: Artefact) -> float:
    """Milliseconds that a decision takes with a scorer (0 for anything else).

    Raises Tampered for altered bytes, and ValueError (Unfit for a scorer) for what cannot be read, scores its golden
    rows otherwise than when it was trained, or is slow.
    """
    data = read(artefact)
    if artefact.kind not in PARSERS:
        return trying.tried(str(artefact), data, artefact.golden)
    PARSERS[artefact.kind](data)
    return 0.0


def activate(artefact: Artefact, note: str = "", *, tried: bool = False) -> None:
    """Make it the one of its kind that is used; raises as `trial` does, and then what was used stays.

    `note` says why a person did so against the gate; `tried` that a trial was just made.
    """
    if not tried:
        trial(artefact)
    _switch(artefact, note, remember=True)


def rollback(kind: str) -> Artefact:
    """Put what was used before back to work; raises ValueError where there is none, or it is not fit any more."""
    now = active(kind)
    former = now.former if now else None
    if now is None or former is None:
        raise ValueError(f"There is no former {kind} to go back to; promote another one by its number.")
    trial(former)
    # What it had replaced is still remembered, so that going back once more goes further back.
    _switch(former, former.note, remember=False)
    return former


def _switch(artefact: Artefact, note: str, remember: bool) -> None:
    with transaction.atomic():
        used = Artefact.objects.select_for_update().filter(kind=artefact.kind, active=True).only("pk").first()
        if remember and used is not None and used.pk != artefact.pk:
            artefact.former = used
        Artefact.objects.filter(kind=artefact.kind, active=True).update(active=False)
        Artefact.objects.filter(pk=artefact.pk).update(
            active=True, note=note, former_id=artefact.former_id, shadow_since=None
        )
    artefact.active, artefact.note, artefact.shadow_since = True, note, None


def active(kind: str) -> Artefact | None:
    """The one of its kind that is used, if any."""
    return Artefact.objects.filter(kind=kind, active=True).first()


def note(artefact: Artefact, figures: Mapping[str, Any]) -> None:
    """Add to its metrics, leaving alone what others have written there meanwhile."""
    with transaction.atomic():
        row = Artefact.objects.select_for_update().only("metrics").get(pk=artefact.pk)
        row.metrics = {**row.metrics, **figures}
        row.save(update_fields=["metrics"])
    artefact.metrics = row.metrics


def read(artefact: Artefact) -> bytes:
    """The verified bytes; raises Tampered before a parser sees what nobody signed."""
    data = bytes(artefact.data)
    if not verify(PURPOSE, data, bytes.fromhex(artefact.signature)):
        raise Tampered(
            f"{artefact} was altered or signed with another SECRET_KEY; train again or restore the former one."
        )
    return data
