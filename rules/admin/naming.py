"""A segment as somebody wants to save it in; what that would break for those who name it, and the cure, out."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Q
from django.utils.safestring import SafeString

from decisioning.console.uses import uses_of

from ..models import Segment


def name_problems(
    pk: int | None, before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[tuple[str, str | SafeString]]:
    """Field and complaint; `before` and `now` have `key`, `name` and `active`.

    Conditions count on a segment by its key and by its name: a word that is taken away, or switched off, would empty
    all who name it, and one that two segments have would mean either.
    """
    words = {now["key"].casefold(), now["name"].casefold()} if now["active"] else set()
    for field in ("key", "name"):
        mine, former = now[field], before.get(field) or ""
        if mine.casefold() != former.casefold() and (other := _holder(pk, mine)):
            yield field, f"“{mine}” is what the segment “{other}” goes by; take another one."
        if pk is not None and former and former.casefold() not in words:
            # As if it were known by this word alone.
            for use in uses_of([Segment(pk=pk, key=former, name=former)]):
                yield ("active" if not now["active"] else field), use


def _holder(pk: int | None, word: str) -> Segment | None:
    others = Segment.objects.exclude(pk=pk) if pk is not None else Segment.objects.all()
    return others.filter(Q(key__iexact=word) | Q(name__iexact=word)).first()
