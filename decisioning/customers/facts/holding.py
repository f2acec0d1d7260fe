"""What everybody's facts hold, by the marks of histories and custom facts; what they hold no more is taken out.

Everybody holds a history from the refresh that computed it until nothing asks for it: whoever is handled from then on
loses it. Asked for anew, it waits for the next refresh. So a mark has to go before the first customer is handled
without it, and a refresh that runs meanwhile must not bring it back.
"""

from collections.abc import Callable, Iterable

from django.db import transaction
from django.db.models import QuerySet

from rules.models import Recompute

from ..models import FactVocabulary

Stays = Callable[[str], bool]


def newest(*, locked: bool = False) -> FactVocabulary | None:
    """The vocabulary in use; `locked` for the transaction, also against one that is being learned."""
    rows = FactVocabulary.objects.order_by("-pk")
    if locked:
        rows.select_for_update().first()
        # While that waited, a newer one may have been kept.
        rows = rows.select_for_update()
    return rows.first()


def hold(histories: Iterable[str], asked: Iterable[str]) -> None:
    """Everybody's facts hold these histories now, and everybody's due moments look at what is asked."""
    with transaction.atomic():
        last = newest(locked=True)
        if last is not None:
            last.histories, last.asked = sorted(histories), sorted(asked)
            last.save(update_fields=["histories", "asked"])


def let_go(marks: Stays, asked: Stays = lambda _: True) -> bool:
    """Keep of what is held only these marks, and these texts of what is asked; whether that was less than before."""
    last, runs = newest(), _running()
    if not (last and _less(last.histories, last.asked, marks, asked)) and not any(
        _less(run.holds["marks"], run.holds["asked"], marks, asked) for run in runs
    ):
        return False
    with transaction.atomic():
        for run in _running().select_for_update():
            held = run.holds
            run.holds = {"marks": list(filter(marks, held["marks"])), "asked": list(filter(asked, held["asked"]))}
            run.save(update_fields=["holds"])
        last = newest(locked=True)
        if last is not None:
            last.histories, last.asked = list(filter(marks, last.histories)), list(filter(asked, last.asked))
            last.save(update_fields=["histories", "asked"])
    return True


def _running() -> QuerySet[Recompute]:
    return (
        Recompute.objects.filter(segment__isnull=True, state=Recompute.State.RUNNING).exclude(holds={}).order_by("pk")
    )


def _less(held: Iterable[str], asked_then: Iterable[str], marks: Stays, asked: Stays) -> bool:
    return not all(map(marks, held)) or not all(map(asked, asked_then))
