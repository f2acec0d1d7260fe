"""The shapes that pass between snapshot, resolver and doors; frozen, and the same in memory and as bytes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from rules.language.nodes import Condition


class ContentItem(Struct, frozen=True):
    """A content as a snapshot holds it. No placements means every placement.

    `stock` None is unlimited; `needs_consent` is the channel a customer must have consented to; `cap_count` showings
    to one customer in `cap_hours`; `margin` is a share of `value` in [0, 1], None all of it; `boost` a factor > 0.
    """

    key: str
    name: str
    body: dict[str, Any]
    attributes: dict[str, Any]
    tags: tuple[str, ...]
    value: float
    placements: tuple[str, ...] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    stock: int | None = None
    needs_consent: str = ""
    cap_count: int | None = None
    cap_hours: float = 24.0
    margin: float | None = None
    boost: float = 1.0
    created_at: datetime | None = None


class PlacementItem(Struct, frozen=True):
    """A placement as a snapshot holds it; `exploration` and `new_share` are shares of slots in [0, 1].

    `temperature` is for softmax, `bandit_width` (α) and `bandit_facts` for the linear bandits, and
    whether contents with common tags learn from each other there (`bandit_shared`). Of one value of
    `diversity_attribute` at most `diversity_most` are shown; `diversity_weight` in [0, 1] is the weight of being
    different, 0 off. `freshness_half_life_days` 0 is off. A content is new below `new_showings` showings.
    `holdout_share` in [0, 1] is that of its customers who get default contents.
    `windows` are the hours after a decision for which its impressions, clicks, conversions and their value count.
    `lists` are the candidate lists it draws from (see `learning.recall`); without any, all of its contents compete.
    """

    key: str
    name: str
    count: int
    audience: str
    objective: str
    policy: str
    exploration: float
    windows: tuple[float, float, float, float] = (168.0, 168.0, 24.0, 24.0)
    defaults: tuple[str, ...] = ()
    temperature: float = 0.2
    bandit_width: float = 1.0
    bandit_facts: tuple[str, ...] = ()
    diversity_attribute: str = ""
    diversity_most: int = 1
    diversity_weight: float = 0.0
    freshness_half_life_days: float = 0.0
    new_share: float = 0.0
    new_showings: int = 100
    ledger_share: float = 1.0
    holdout_share: float = 0.0
    bandit_shared: bool = False
    lists: tuple[str, ...] = ()

    @property
    def window_hours(self) -> float:
        """For how long a conversion counts."""
        return self.windows[2]


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


class FilterItem(Struct, frozen=True):
    """A named condition on contents, with the type of each value that a call gives it."""

    key: str
    text: str
    types: dict[str, str]


class ScorerItem(Struct, frozen=True):
    """The active scorer: its version (the artefact's id), its verified bytes, when it was trained, and for what.

    `objective` is what it learned: "click", "conversion" or "value".
    """

    version: int
    data: bytes
    trained_at: datetime | None = None
    objective: str = "conversion"


class RecallItem(Struct, frozen=True):
    """The candidate lists in use: their version (the artefact's id), and the SHA-256 of their bytes in hex.

    The bytes themselves are large, change seldom, and travel beside the snapshot.
    """

    version: int
    digest: str


class SnapshotData(Struct, frozen=True):
    """Everything a decision needs, without number or age. `priors` is the smoothed conversion rate by content.

    `posteriors` counts (successes, failures) by placement and content; `bandits` holds each placement's linear bandit
    as bytes; `segment_priors` rates by segment key, or by fact of the moment ("device=mobile"), and content. The share
    `holdout_share` of all customers gets default contents everywhere; who they are hangs on `holdout_draw`.
    """

    contents: tuple[ContentItem, ...] = ()
    placements: tuple[PlacementItem, ...] = ()
    rules: tuple[RuleItem, ...] = ()
    segments: tuple[SegmentItem, ...] = ()
    keys: tuple[KeyItem, ...] = ()
    scorer: ScorerItem | None = None
    priors: dict[str, float] = field(default_factory=dict)
    posteriors: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    bandits: dict[str, bytes] = field(default_factory=dict)
    segment_priors: dict[str, dict[str, float]] = field(default_factory=dict)
    filters: tuple[FilterItem, ...] = ()
    holdout_share: float = 0.0
    holdout_draw: str = ""
    recall: RecallItem | None = None


class Profile(Struct, frozen=True):
    """A customer as the hot path knows them: facts, segment keys, and scores by content key.

    `unit` is what chances and experiments draw by where it is not the key.
    """

    id: int
    key: str
    version: int
    facts: dict[str, Any]
    segments: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    scorer: int | None = None
    facts_at: datetime | None = None
    unit: str = ""


class Ask(Struct, frozen=True):
    """One placement's question. `customer` is None for somebody nobody knows yet; `person` is the id they came with.

    `person` and `request_id` seed the dice, so the same request rolls the same numbers. `candidates` are the caller's
    own contents and replace the placement's; `filter` is a condition on contents; `shown` maps a content to the moments
    at which this customer saw it; `taken` are contents that other placements of the page show; a customer in the
    `holdout` gets the default contents.
    """

    placement: str
    count: int | None
    customer: Profile | None
    context: Mapping[str, Any]
    person: str
    request_id: str = ""
    exclude: frozenset[str] = frozenset()
    explain: bool = False
    candidates: tuple[ContentItem, ...] | None = None
    filter: Condition | None = None
    shown: Mapping[str, Sequence[datetime]] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    holdout: bool = False


class Item(Struct, frozen=True):
    """One chosen content. `score` is after all factors, and `formula` shows them.

    `propensity` is the chance this slot had of showing it, given what stands in the slots above; where it is
    `propensity_estimated` it was counted in draws.
    """

    content: ContentItem
    rank: int
    score: float | None
    propensity: float
    reasons: tuple[str, ...]
    formula: str = ""
    propensity_estimated: bool = False


class RuleTrace(Struct, frozen=True, omit_defaults=True):
    """What one rule did: which branch ran, what it changed, or why it changed nothing."""

    key: str
    revision: int
    matched: bool
    effects: tuple[str, ...] = ()
    overruled: tuple[str, ...] = ()
    tests: dict[str, Any] | None = None


class Resolution(Struct, frozen=True):
    """The answer for one placement, with everything needed to explain it.

    `basis` says what the scores stand on, in words; `scores` has the score of every content that reached the ranking;
    `arms` are those of comparisons that the customer is in.
    """

    items: tuple[Item, ...]
    rung: str
    reason: str
    policy: str
    rules: tuple[RuleTrace, ...] = ()
    dropped: dict[str, str] = field(default_factory=dict)
    campaigns: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    basis: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    arms: tuple[str, ...] = ()
