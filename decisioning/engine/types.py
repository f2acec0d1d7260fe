"""The shapes that pass between snapshot, resolver and doors; frozen, and the same in memory and as bytes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field


class ContentItem(Struct, frozen=True):
    """A content as a snapshot holds it. No placements means every placement."""

    key: str
    name: str
    body: dict[str, Any]
    attributes: dict[str, Any]
    tags: tuple[str, ...]
    value: float
    placements: tuple[str, ...] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None


class PlacementItem(Struct, frozen=True):
    """A placement as a snapshot holds it; `exploration` is a share of slots in [0, 1]."""

    key: str
    name: str
    count: int
    audience: str
    objective: str
    policy: str
    exploration: float
    window_hours: float = 24.0
    defaults: tuple[str, ...] = ()


class RuleItem(Struct, frozen=True):
    """A published rule. No placements means every placement."""

    key: str
    name: str
    text: str
    priority: int
    revision: int
    created_at: datetime
    placements: tuple[str, ...] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None


class SegmentItem(Struct, frozen=True):
    """A segment's key and name; the members' keys travel in their profiles."""

    key: str
    name: str


class KeyItem(Struct, frozen=True):
    """An API key: its public prefix, the SHA-256 of the whole key in hex, and what it may do."""

    prefix: str
    digest: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None


class ScorerItem(Struct, frozen=True):
    """The active scorer: its version (the artefact's id) and its verified bytes."""

    version: int
    data: bytes


class SnapshotData(Struct, frozen=True):
    """Everything a decision needs, without number or age. `priors` is the smoothed conversion rate by content."""

    contents: tuple[ContentItem, ...] = ()
    placements: tuple[PlacementItem, ...] = ()
    rules: tuple[RuleItem, ...] = ()
    segments: tuple[SegmentItem, ...] = ()
    keys: tuple[KeyItem, ...] = ()
    scorer: ScorerItem | None = None
    priors: dict[str, float] = field(default_factory=dict)


class Profile(Struct, frozen=True):
    """A customer as the hot path knows them: facts, segment keys, and scores by content key.

    `unit` is what chances and experiments draw by where it is not the key.
    """

    id: int
    key: str
    version: int
    facts: dict[str, Any]
    segments: tuple[str, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    scorer: int | None = None
    facts_at: datetime | None = None
    unit: str = ""


class Ask(Struct, frozen=True):
    """One placement's question. `customer` is None for somebody nobody knows yet; `person` is the id they came with.

    `person` and `request_id` seed the dice, so the same request rolls the same numbers.
    """

    placement: str
    count: int | None
    customer: Profile | None
    context: Mapping[str, Any]
    person: str
    request_id: str = ""
    exclude: frozenset[str] = frozenset()
    explain: bool = False


class Item(Struct, frozen=True):
    """One chosen content. `score` is after boosts; `propensity` is the chance this slot had of showing it."""

    content: ContentItem
    rank: int
    score: float | None
    propensity: float
    reasons: tuple[str, ...]


class RuleTrace(Struct, frozen=True, omit_defaults=True):
    """What one rule did: which branch ran, what it changed, or why it changed nothing."""

    key: str
    revision: int
    matched: bool
    effects: tuple[str, ...] = ()
    overruled: tuple[str, ...] = ()
    tests: dict[str, Any] | None = None


class Resolution(Struct, frozen=True):
    """The answer for one placement, with everything needed to explain it."""

    items: tuple[Item, ...]
    rung: str
    reason: str
    policy: str
    rules: tuple[RuleTrace, ...] = ()
    dropped: dict[str, str] = field(default_factory=dict)
    campaigns: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
