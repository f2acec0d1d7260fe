"""A person's word in; a scorer put to work against the gate, or the former one put back, out."""

import logging

from ..models import Artefact
from ..store import artefacts

log = logging.getLogger(__name__)


def promote(number: int, note: str) -> Artefact:
    """Put a scorer to work though the gate refused it; it must still be sound. `note` says why, and is kept.

    Raises ValueError without a note, for a number that is no scorer, and for one that cannot be used.
    """
    artefact = Artefact.objects.filter(pk=number, kind=Artefact.Kind.SCORER).first()
    if artefact is None:
        raise ValueError(f"There is no scorer {number}; the artefacts' page lists them.")
    if not note.strip():
        raise ValueError("Say why with --note: the gate refused it, and whoever comes next will ask.")
    artefacts.activate(artefact, note.strip())
    log.warning("%s was put to work by hand: %s", artefact, artefact.note)
    return artefact


def rollback(kind: str = Artefact.Kind.SCORER) -> Artefact:
    """Put back the scorer (or the candidate lists) that was used before; raises ValueError where there is none."""
    former = artefacts.rollback(kind)
    log.warning("%s is used again", former)
    return former
