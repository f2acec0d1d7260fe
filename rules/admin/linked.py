"""Segments in; what names them, what they name, and what else hangs on them, out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.urls import reverse

from campaigns.models import Campaign, Reaction
from decisioning.console.uses import naming

from ..language import RuleError, parse
from ..language.circles import segment_needs
from ..models import Segment


@dataclass(frozen=True, slots=True)
class Use:
    """One row that uses a segment: what it is, where its page is, and what of it does."""

    kind: str
    name: str
    url: str
    said: str


def uses(segments: Sequence[Segment]) -> dict[int, list[Use]]:
    """Rules, segments, placements, campaigns and reactions by the segment they use; three queries beside the texts."""
    found: dict[int, dict[Use, None]] = {segment.pk: {} for segment in segments}
    for text, row in naming(segments):
        if (type(text.row), text.row.pk) != (Segment, row.pk):
            found[row.pk][_use(text.row, text.said)] = None
    for campaign in Campaign.objects.filter(segment__in=found).order_by("key"):
        found[campaign.segment_id or 0][_use(campaign, campaign.get_trigger_display())] = None
    for reaction in Reaction.objects.filter(segment__in=found).order_by("pk"):
        found[reaction.segment_id][Use("Reaction", str(reaction), "", "on entry or exit")] = None
    return {pk: list(mine) for pk, mine in found.items()}


def _use(row: Model, said: str) -> Use:
    meta = row._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    return Use(str(meta.verbose_name).capitalize(), str(row), url, said)


def built_on(segment: Segment) -> list[Segment]:
    """The segments that its condition names, by key or name, in any case."""
    if segment.kind != Segment.Kind.CONDITION or not (condition := parsed(segment)):
        return []
    words = {word.casefold() for word in segment_needs(condition)}
    if not words:
        return []
    rows = Segment.objects.exclude(pk=segment.pk).order_by("name")
    return [row for row in rows if {row.key.casefold(), row.name.casefold()} & words]


def parsed(segment: Segment) -> Any:
    """Its condition; None where there is none, or one that no longer parses."""
    try:
        return parse(segment.condition) if segment.condition.strip() else None
    except RuleError:
        return None
