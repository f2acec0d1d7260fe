"""What a decision was and what it would be in; the difference, and what of that which was published made it, out.

Both sides are `Told`: the parts of a ledger's row that the resolver answers for, as JSON holds them. A cause is one
thing that differs between two snapshots; it counts as having mattered where the snapshot of then, with nothing but this
thing changed, would have decided otherwise.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from ..engine.eligibility import ELSEWHERE
from ..engine.types import ContentItem, PlacementItem, RuleItem, SnapshotData
from ..models import Decision

Told = dict[str, Any]
ONES: Final = ("rung", "reason", "policy", "scorer")
MOST_TRIED: Final = 12  # each trial prepares a snapshot and decides: more than these are only named
SHORT: Final = 40
# What of a snapshot is no cause: keys open doors and change no decision.
HOLDOUT: Final = ("holdout_share", "holdout_draw")
ASIDE: Final = frozenset({"contents", "placements", "rules", "scorer", "keys", *HOLDOUT})
NAMES: Final = {
    "priors": "the contents' conversion rates",
    "segment_priors": "the conversion rates by segment",
    "posteriors": "what the bandits counted",
    "bandits": "what the bandits learned",
    "segments": "the segments' names",
    "filters": "the filters",
    "recall": "the candidate lists",
}


def told_then(row: Decision) -> Told:
    """What a row says was decided. Traces of rules that did nothing are only kept where `explain` was asked."""
    kept = row.explanation
    acted = [{**rule, "tests": None} for rule in kept.get("rules", []) if rule.get("matched") or _acted(rule)]
    told = {name: getattr(row, name) for name in ONES} | {
        "items": row.items,
        "rules": [{name: value for name, value in rule.items() if value} for rule in acted],
        # Contents of other placements are only listed where `explain` was asked.
        "dropped": {key: why for key, why in kept.get("dropped", {}).items() if why != ELSEWHERE},
        "campaigns": kept.get("campaigns", []),
    }
    plain: Told = msgspec.json.decode(msgspec.json.encode(told))
    return plain


def in_short(told: Told) -> Told:
    """The same as a row outside of the sample keeps it: without reasons, drops, and what rules did."""
    items = [{name: value for name, value in item.items() if name != "reasons"} for item in told["items"]]
    return {**told, "items": items, "rules": [], "dropped": {}, "campaigns": []}


def brief(row: Decision) -> list[tuple[Any, ...]]:
    """What every row keeps of its answer: contents, ranks, scores and propensities."""
    return [tuple(item.get(name) for name in ("key", "rank", "score", "propensity")) for item in row.items]


def _acted(rule: Mapping[str, Any]) -> bool:
    return bool(rule.get("effects") or rule.get("overruled"))


def difference(then: Told, now: Told | None) -> dict[str, Any]:
    """What differs: the single values, and items, drops and rules by key, each {"then", "now"}. {} when nothing does.

    Items are compared whole: rank, score, propensity and reasons, to the last bit.
    """
    now = now or {}
    ones = {name: _pair(then[name], now.get(name)) for name in ONES if then[name] != now.get(name)}
    parts = {
        "items": _by_key(then["items"], now.get("items", [])),
        "dropped": _of_both(then["dropped"], now.get("dropped", {})),
        "rules": _by_key(then["rules"], now.get("rules", [])),
    }
    if then["campaigns"] != now.get("campaigns", []):
        ones["campaigns"] = _pair(then["campaigns"], now.get("campaigns", []))
    return ones | {name: part for name, part in parts.items() if part}


def _by_key(then: list[Any], now: list[Any]) -> list[dict[str, Any]]:
    return _of_both({each["key"]: each for each in then}, {each["key"]: each for each in now})


def _of_both(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The keys whose values differ, those of then first."""
    keys = dict.fromkeys((*then, *now))
    return [{"key": key, **_pair(then.get(key), now.get(key))} for key in keys if then.get(key) != now.get(key)]


def _pair(then: Any, now: Any) -> dict[str, Any]:
    return {"then": then, "now": now}


Trial = Callable[[SnapshotData], bool]
Item = ContentItem | PlacementItem | RuleItem


def causes(then: SnapshotData, now: SnapshotData, placement: str, differs: Trial) -> list[dict[str, Any]]:
    """What differs between two snapshots for a placement, those that mattered first.

    Each is {"kind", "key", "what", "mattered"}; `mattered` is None where too many differ to try each.
    """
    if not then.holdout_draw:
        # Nobody was held out, so nobody was drawn: a trial that holds somebody out draws as it is done now.
        then = msgspec.structs.replace(then, holdout_draw=now.holdout_draw)
    found = [*_things(then, now, placement), *_held_out(then, now), *_learned(then, now)]
    tried = [
        {**cause, "mattered": differs(changed) if number < MOST_TRIED else None}
        for number, (cause, changed) in enumerate(found)
    ]
    return sorted(tried, key=lambda cause: {True: 0, None: 1, False: 2}[cause["mattered"]])


Cause = tuple[dict[str, Any], SnapshotData]


def _things(then: SnapshotData, now: SnapshotData, placement: str) -> Iterable[Cause]:
    """Rules, contents and the placement that were added, removed or changed, each with then's data so changed."""
    for field, kind in (("placements", "placement"), ("rules", "rule"), ("contents", "content")):
        old = {item.key: item for item in getattr(then, field)}
        new = {item.key: item for item in getattr(now, field)}
        for key in dict.fromkeys((*old, *new)):
            before, after = old.get(key), new.get(key)
            if before != after and (_is_here(before, placement) or _is_here(after, placement)):
                kept = {**old, key: after}
                items = tuple(item for item in kept.values() if item is not None)
                cause = {"kind": kind, "key": key, "what": _what(before, after)}
                yield cause, msgspec.structs.replace(then, **{field: items})


def _is_here(item: Item | None, placement: str) -> bool:
    if isinstance(item, PlacementItem):
        return item.key == placement
    return item is not None and (not item.placements or placement in item.placements)


def _held_out(then: SnapshotData, now: SnapshotData) -> Iterable[Cause]:
    """The holdout of all placements: how many are in it, and who they are. A placement's own is the placement's."""
    changed = {name: getattr(now, name) for name in HOLDOUT if getattr(then, name) != getattr(now, name)}
    told = []
    if "holdout_share" in changed:
        told.append(f"share {then.holdout_share:.1%} → {now.holdout_share:.1%}")
    if "holdout_draw" in changed:
        told.append(f"other customers drawn: {_short(then.holdout_draw)} → {_short(now.holdout_draw)}")
    if told:
        yield {"kind": "holdout", "key": "", "what": ", ".join(told)}, msgspec.structs.replace(then, **changed)


def _learned(then: SnapshotData, now: SnapshotData) -> Iterable[Cause]:
    """The scorer, and everything else that a snapshot holds."""
    before, after = (data.scorer.version if data.scorer else None for data in (then, now))
    if before != after:
        yield {"kind": "scorer", "key": "", "what": f"{_short(before)} → {_short(after)}"}, _with(then, now, "scorer")
    for field in msgspec.structs.fields(SnapshotData):
        if field.name not in ASIDE and getattr(then, field.name) != getattr(now, field.name):
            said = f"{NAMES.get(field.name, field.name)} changed"
            yield {"kind": field.name, "key": "", "what": said}, _with(then, now, field.name)


def _with(then: SnapshotData, now: SnapshotData, field: str) -> SnapshotData:
    return msgspec.structs.replace(then, **{field: getattr(now, field)})


def _what(before: Item | None, after: Item | None) -> str:
    """The change in words: short values as they were and are, long ones by the name of their field."""
    if before is None or after is None:
        return "added" if before is None else "removed"
    changed = [field.name for field in msgspec.structs.fields(before)]
    told = []
    for name in changed:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            said = f"{_short(old)} → {_short(new)}"
            told.append(f"{name.replace('_', ' ')} {said}" if len(said) <= 2 * SHORT else f"{name} was rewritten")
    return ", ".join(told)


def _short(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value) if value != "" else "none"
