"""A request's context (Segment's names) and the moment in; facts of the moment out, for rules to test."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

# Path into the context, by fact name. Source: https://segment.com/docs/connections/spec/common/#context
PATHS: dict[str, tuple[str, ...]] = {
    "device": ("device", "type"),
    "os": ("os", "name"),
    "country": ("location", "country"),
    "region": ("location", "region"),
    "city": ("location", "city"),
    "language": ("locale",),
    "url": ("page", "url"),
    "path": ("page", "path"),
    "referrer": ("page", "referrer"),
    "search": ("page", "search"),
    "utm_source": ("campaign", "source"),
    "utm_campaign": ("campaign", "name"),
}

# Facts of the moment that may say something about a stranger; pages, searches and cities are too many.
TELLING = ("device", "os", "country", "region", "language", "utm_source")
BANDS = tuple(f"hours={start}-{start + 5}" for start in range(0, 24, 6))  # of the hour in UTC


def moments(facts: Mapping[str, Any]) -> list[str]:
    """The moment's names that rates are counted under, such as device=mobile and hours=18-23."""
    found = [f"{name}={facts[name]}" for name in TELLING if name in facts]
    hour = facts.get("hour")
    return [*found, BANDS[hour // 6]] if isinstance(hour, int) and 0 <= hour < 24 else found


def context_facts(context: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Facts named in `PATHS` where the context has text for them, plus `hour` (0-23) and `weekday` (1 is Monday)."""
    facts: dict[str, Any] = {"hour": now.hour, "weekday": now.isoweekday()}
    for name, path in PATHS.items():
        value = _at(context, path)
        if isinstance(value, str) and value:
            facts[name] = value
    return facts


def _at(context: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = context
    for step in path:
        if not isinstance(value, Mapping):
            # Short forms such as {"device": "kiosk"} mean the type or the name.
            return value if step in ("type", "name") else None
        value = value.get(step)
    return value
