"""A row that one worker holds for a while in; its next state, written only while it is still held, out.

A claim is known by its attempt and its lease, so that a worker who was too slow cannot move what another took over.
"""

from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

Held = TypeVar("Held", bound=Model)


def held(row: Held, *states: str) -> QuerySet[Held]:
    """The row, if it still is in one of `states` and the claim on it is this one."""
    claim: Any = row
    rows: QuerySet[Held] = type(row)._default_manager.all()
    return rows.filter(Q(state__in=states), pk=row.pk, attempts=claim.attempts, lease_until=claim.lease_until)


def move(row: Held, still: QuerySet[Held], **changes: Any) -> bool:
    """Change the row if it is among `still`, and the object with it, in one statement."""
    if still.update(**changes) != 1:
        return False
    for name, value in changes.items():
        if not hasattr(value, "resolve_expression"):
            setattr(row, name, value)
    return True


def told(words: str, length: int) -> str:
    """Somebody else's words as they fit a column: PostgreSQL's text holds no NUL and no half of a surrogate pair."""
    return words.replace("\0", "").encode("utf-8", "replace").decode()[:length]
