"""Values as the product keeps them; short text for people, in rows of name and value, out."""

from collections.abc import Iterator, Mapping
from typing import Any

Row = tuple[str, str]
LEVELS = 20  # what lies deeper is cut: it says nothing to people, and a thousand levels cannot be walked
CUT = "…"
ESTIMATE = {"value", "low", "high"}  # the keys of a figure with its interval
SPOKEN = {"auc": "AUC", "ece": "ECE", "ndcg": "nDCG", "low": "lower end", "high": "upper end", "mrr": "MRR", "id": "id"}


def rows_of(values: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> list[Row]:
    """One row a value, nested objects flattened to dotted names, sorted by the label shown."""
    known = labels or {}
    return sorted((known.get(name) or name, shown(value)) for name, value in _flat(values, ""))


def figures_of(values: Mapping[str, Any]) -> list[Row]:
    """As `rows_of`, for what was measured: names as words, and a figure with its interval as one row."""
    return sorted((in_words(name), shown(value)) for name, value in _flat(_with_intervals(values), ""))


def in_words(name: str) -> str:
    """A dotted name as people say it: `figures.auc_low` is "Figures: AUC, lower end"."""
    parts = [" ".join(SPOKEN.get(word, word) for word in part.split("_")) for part in name.split(".")]
    text = ": ".join(parts)
    return text[:1].upper() + text[1:]


def _with_intervals(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value.keys() == ESTIMATE:
            found[name] = f"{shown(value['value'])} [{shown(value['low'])}, {shown(value['high'])}]"
        else:
            found[name] = _with_intervals(value) if isinstance(value, Mapping) else value
    return found


def shown(value: Any, levels: int = LEVELS) -> str:
    """A value for a table cell: four digits are enough for people, a missing value is a dash, depth is cut."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return (", ".join(shown(each, levels - 1) for each in value) if levels else CUT) or "–"
    return str(_cut(value, levels))


def _cut(value: Any, levels: int) -> Any:
    """The same value without what lies deeper."""
    if not isinstance(value, Mapping | list):
        return value
    if not levels:
        return CUT
    if isinstance(value, list):
        return [_cut(each, levels - 1) for each in value]
    return {name: _cut(each, levels - 1) for name, each in value.items()}


def _flat(values: Mapping[str, Any], prefix: str, levels: int = LEVELS) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.", levels - 1) if levels else [(f"{prefix}{name}", CUT)]
        else:
            yield f"{prefix}{name}", value
