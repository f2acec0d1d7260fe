"""Dead letters in; each tried again, and what became of it, out.

A refused item goes through the same intake as on the first day, with the moment it arrived then, so that a client's
clock is corrected the same. An event set aside is handed back to the consumer. Both may be repeated without harm: an
item that is stored already is a duplicate, an event that is handled already is not pending.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from ..customers.intake.letters import INTAKE, digest_of
from ..customers.models import DeadLetter, Pending
from . import take

# So many letters are tried again at once; each is a transaction of its own.
MOST: Final = 1_000
AGAIN: Final = "Refused again"
TAKEN: Final = "Taken in."
DUPLICATE: Final = "It was stored already; nothing was added."
HANDED_BACK: Final = "Handed back to the worker, which takes it again within a second."
HANDLED: Final = "It is not pending any more; nothing was left to do."
NOT_KEPT: Final = "It was too large to be kept, so it cannot be replayed; have the client send it again."


def replay(ids: Iterable[int], now: datetime) -> dict[int, str]:
    """{letter's id: what became of it}, also stored with the letter. At most `MOST`, the oldest first.

    A letter that was replayed before is left alone and says so. Raises what the database raises.
    """
    letters = DeadLetter.objects.filter(pk__in=list(ids)).order_by("at", "pk")[:MOST]
    return {letter.pk: _replay(letter, now) for letter in letters}


def _replay(letter: DeadLetter, now: datetime) -> str:
    if letter.replayed_at is not None:
        return f"Replayed on {letter.replayed_at:%-d %B %Y, %H:%M} UTC already: {letter.outcome}"
    if letter.stage != INTAKE:
        return _close(letter, _hand_back(letter), now)
    if not letter.body:
        return _note(letter, NOT_KEPT)
    return _send(letter, now)


def _send(letter: DeadLetter, now: datetime) -> str:
    """Through the intake once more; refused for another reason, the letter of that reason stands for both."""
    body = bytes(letter.body)
    taken = take.take_items([body], letter.source, letter.at)
    if not taken.bad:
        return _close(letter, TAKEN if taken.added else DUPLICATE, now)
    refusal = taken.bad[0]
    other = _other(letter, digest_of(INTAKE, refusal.code, refusal.raw), digest_of(INTAKE, refusal.code, body))
    if other is None:
        return _note(letter, f"{AGAIN}: {refusal.message}")
    return _close(letter, f"{AGAIN}, now as letter {other}: {refusal.message}", now)


def _other(letter: DeadLetter, *digests: UUID) -> int | None:
    """The letter in which the same item was refused for another reason."""
    return DeadLetter.objects.filter(digest__in=digests).exclude(pk=letter.pk).values_list("pk", flat=True).first()


def _hand_back(letter: DeadLetter) -> str:
    """Let the consumer take the event again, with all its tries."""
    pending = Pending.objects.filter(event_id=letter.event_id) if letter.event_id else Pending.objects.none()
    return HANDED_BACK if pending.update(attempts=0, problem="") else HANDLED


def _close(letter: DeadLetter, outcome: str, now: datetime) -> str:
    """It is dead no more; what another replay said first stays."""
    DeadLetter.objects.filter(pk=letter.pk, replayed_at__isnull=True).update(replayed_at=now, outcome=outcome)
    return outcome


def _note(letter: DeadLetter, outcome: str) -> str:
    """It stays dead, with what the replay said."""
    DeadLetter.objects.filter(pk=letter.pk).update(outcome=outcome)
    return outcome


def still_dead(outcome: str) -> bool:
    """Whether a replay with this outcome brought nothing in."""
    return outcome.startswith(AGAIN) or outcome == NOT_KEPT


def open_with(letter: DeadLetter) -> Sequence[int]:
    """The letters still dead of the same stage and code, the oldest first, at most `MOST`."""
    rows = DeadLetter.objects.filter(stage=letter.stage, code=letter.code, replayed_at__isnull=True)
    return list(rows.order_by("at", "pk").values_list("pk", flat=True)[:MOST])
