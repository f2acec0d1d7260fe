"""Published rows in, the data of a snapshot out; what cannot be used is left out, not guessed."""

import logging

import msgspec
from django.utils import timezone

from campaigns.models import Content, Placement
from rules.models import Rule, Segment

from ..engine.types import ContentItem, KeyItem, PlacementItem, RuleItem, ScorerItem, SegmentItem, SnapshotData
from ..learning.scorer import Scorer
from ..models import ApiKey, Artefact
from . import artefacts

log = logging.getLogger(__name__)


def freeze() -> SnapshotData:
    """Read everything a decision needs in a handful of queries."""
    scorer, priors = _scorer()
    return SnapshotData(
        contents=_contents(),
        placements=_placements(),
        rules=_rules(),
        segments=tuple(SegmentItem(s.key, s.name) for s in Segment.objects.filter(active=True).order_by("key")),
        keys=_keys(),
        scorer=scorer,
        priors=priors,
    )


def _contents() -> tuple[ContentItem, ...]:
    rows = Content.objects.filter(active=True).prefetch_related("placements").order_by("key")
    items = (
        ContentItem(
            row.key,
            row.name,
            row.body,
            row.attributes,
            tuple(row.tags),
            row.value,
            tuple(sorted(p.key for p in row.placements.all())),
            row.starts_at,
            row.ends_at,
        )
        for row in rows
    )
    return tuple(item for item in items if _can_be_kept(item))


def _can_be_kept(item: ContentItem) -> bool:
    """Whether bytes can carry it; one content that they cannot must not hold up all publishing."""
    try:
        msgspec.msgpack.encode(item)
    except (OverflowError, ValueError, TypeError, RecursionError) as error:
        log.error("content %s is left out of the snapshot: %s", item.key, error)
        return False
    return True


def _placements() -> tuple[PlacementItem, ...]:
    rows = Placement.objects.filter(active=True).prefetch_related("defaults").order_by("key")
    return tuple(
        PlacementItem(
            row.key,
            row.name,
            row.count,
            row.audience,
            row.objective,
            row.policy,
            row.exploration,
            row.window_hours,
            tuple(content.key for content in row.defaults.all()),
        )
        for row in rows
    )


def _rules() -> tuple[RuleItem, ...]:
    rows = Rule.objects.filter(active=True, published__isnull=False).select_related("published").order_by("key")
    items = []
    for row in rows:
        revision = row.published
        assert revision is not None
        items.append(
            RuleItem(
                row.key,
                row.name,
                revision.text,
                revision.priority,
                revision.number,
                row.created_at,
                tuple(revision.placements),
                revision.starts_at,
                revision.ends_at,
            )
        )
    return tuple(items)


def _keys() -> tuple[KeyItem, ...]:
    rows = ApiKey.objects.filter(active=True).order_by("prefix")
    alive = [row for row in rows if row.expires_at is None or row.expires_at > timezone.now()]
    return tuple(KeyItem(row.prefix, row.digest, tuple(row.scopes), row.expires_at) for row in alive)


def _scorer() -> tuple[ScorerItem | None, dict[str, float]]:
    """The active scorer and the priors it carries; one that cannot be read is left out."""
    row = artefacts.active(Artefact.Kind.SCORER)
    if row is None:
        return None, {}
    try:
        data = artefacts.read(row)
        return ScorerItem(row.pk, data), Scorer.from_artefact(data).priors
    except ValueError as error:
        # Decisions go on without a scorer; the rung in every answer says so.
        log.error("%s is left out: %s", row, error)
        return None, {}
