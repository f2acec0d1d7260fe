"""Published rows in, the data of a snapshot out; what cannot be used is left out, not guessed."""

import logging
from typing import Final

import msgspec
from django.utils import timezone

from campaigns.models import Content, Filter, Placement
from campaigns.models.holdout import of_all
from campaigns.models.windows import usual, windows_of
from rules.models import Rule, Segment

from ..engine.types import (
    ContentItem,
    FilterItem,
    KeyItem,
    PlacementItem,
    RecallItem,
    RuleItem,
    ScorerItem,
    SegmentItem,
    SnapshotData,
)
from ..learning.dataset import CONVERSION
from ..learning.scorer import Scorer
from ..models import ApiKey, Artefact
from . import artefacts
from .counts import counted

log = logging.getLogger(__name__)
BACK: Final = 5  # scorers that are tried where the active one cannot be read


def freeze() -> SnapshotData:
    """Read everything a decision needs in a handful of queries."""
    scorer, priors = _scorer()
    contents, placements = _contents(), _placements()
    held, draw = of_all()
    counts = counted(placements, contents, priors)
    return SnapshotData(
        contents=contents,
        placements=placements,
        rules=_rules(),
        segments=_segments(),
        keys=_keys(),
        scorer=scorer,
        priors=dict(counts.priors),
        posteriors=counts.posteriors,
        bandits=counts.bandits,
        segment_priors=counts.segment_priors,
        filters=tuple(FilterItem(row.key, row.condition, row.types) for row in Filter.objects.filter(active=True)),
        holdout_share=held,
        holdout_draw=draw if held or any(item.holdout_share for item in placements) else "",
        recall=_recall() if any(item.lists for item in placements) else None,
    )


def shape() -> SnapshotData:
    """What is published without what was learned or counted: as much as the limits look at."""
    return SnapshotData(_contents(), _placements(), _rules(), _segments())


def _segments() -> tuple[SegmentItem, ...]:
    return tuple(SegmentItem(s.key, s.name) for s in Segment.objects.filter(active=True).order_by("key"))


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
            row.stock,
            row.needs_consent,
            row.cap_count,
            row.cap_hours,
            row.margin,
            row.boost,
            row.created_at,
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
    rows, for_all = Placement.objects.filter(active=True).prefetch_related("defaults").order_by("key"), usual()
    return tuple(
        PlacementItem(
            row.key,
            row.name,
            row.count,
            row.audience,
            row.objective,
            row.policy,
            row.exploration,
            windows_of(row, for_all),
            tuple(content.key for content in row.defaults.all()),
            row.temperature,
            row.bandit_width,
            tuple(row.bandit_facts),
            row.diversity_attribute,
            row.diversity_most,
            row.diversity_weight,
            row.freshness_half_life_days,
            row.new_share,
            row.new_showings,
            row.ledger_share,
            row.holdout_share,
            row.bandit_shared,
            tuple(row.candidate_lists),
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


def _recall() -> RecallItem | None:
    """Which candidate lists are in use; without their bytes."""
    row = Artefact.objects.filter(kind=Artefact.Kind.RECALL, active=True).only("pk", "schema_hash").first()
    return RecallItem(row.pk, row.schema_hash) if row else None


def _scorer() -> tuple[ScorerItem | None, dict[str, float]]:
    """The active scorer and the priors it carries; in place of one that cannot be read, the one it had replaced."""
    row = artefacts.active(Artefact.Kind.SCORER)
    for _ in range(BACK):
        if row is None:
            break
        try:
            data = artefacts.read(row)
            objective = row.metrics.get("objective", CONVERSION)
            return ScorerItem(row.pk, data, row.trained_at, objective), Scorer.from_artefact(data).priors
        except ValueError as error:
            log.error("%s is left out: %s", row, error)
            row = row.former
    # Decisions go on without a scorer; the rung in every answer says so.
    return None, {}
