"""Values as the product keeps them; short text for people, in rows of name and value, out."""

from collections.abc import Iterator, Mapping
from typing import Any

Row = tuple[str, str]


def rows_of(values: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> list[Row]:
    """One row a value, nested objects flattened to dotted names, sorted by the label shown."""
    known = labels or {}
    return sorted((known.get(name) or name, shown(value)) for name, value in _flat(values, ""))


def shown(value: Any) -> str:
    """A value for a table cell: four digits are enough for people, and a missing value is a dash."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(shown(each) for each in value) or "–"
    return str(value)


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
