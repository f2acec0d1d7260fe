"""Small snapshots and customers for resolver tests."""

from datetime import UTC, datetime
from typing import Any

from decisioning.engine.prepare import Prepared, prepare
from decisioning.engine.types import Ask, ContentItem, PlacementItem, Profile, RuleItem, SegmentItem, SnapshotData

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)


def content(key: str, tags: tuple[str, ...] = (), **more: Any) -> ContentItem:
    return ContentItem(
        key, key.title(), {"title": key}, more.pop("attributes", {}), tags, more.pop("value", 1.0), **more
    )


def placement(**more: Any) -> PlacementItem:
    fields = {"key": "hero", "name": "Hero", "count": 2, "audience": "", "objective": "conversion"}
    return PlacementItem(**{**fields, "policy": "greedy", "exploration": 0.0, **more})


def rule(key: str, text: str, priority: int = 0, **more: Any) -> RuleItem:
    return RuleItem(key, key, text, priority, 1, more.pop("created_at", NOW), **more)


def prepared(*rules: RuleItem, **more: Any) -> Prepared:
    fields = {
        "contents": tuple(content(key, (key[0],)) for key in ("apple", "avocado", "banana", "cherry")),
        "placements": (placement(),),
        "segments": (SegmentItem("lapsing", "Lapsing shoppers"),),
        "priors": {"apple": 0.1, "avocado": 0.2, "banana": 0.3, "cherry": 0.4},
    }
    return prepare(7, NOW, SnapshotData(rules=rules, **{**fields, **more}))


def customer(facts: dict[str, Any] | None = None, **more: Any) -> Profile:
    return Profile(1, "c-1", 1, facts or {}, **more)


def ask(who: Profile | None = None, **more: Any) -> Ask:
    fields = {"placement": "hero", "count": None, "customer": who, "context": {}, "person": "c-1"}
    return Ask(**{**fields, **more})
