"""Facts of imported rows (JSON texts) come in; the kinds of those that no catalogue declares come out."""

from collections.abc import Container, Iterable
from typing import Any, Final

import msgspec

from decisioning.learning.schema import MOST_LEVELS

NUMBER, CATEGORY = "number", "category"
FEWEST: Final = 2  # different values, else it tells nobody apart


def undeclared(texts: Iterable[str], known: Container[str]) -> dict[str, str]:
    """{fact: "number" or "category"} by its values, numbers and booleans or texts of at most `MOST_LEVELS` kinds.

    A fact with values of both sorts, with lists, or with one value is left out.
    """
    decoder, values = msgspec.json.Decoder(dict[str, Any]), dict[str, set[Any]]()
    for text in texts:
        for name, value in decoder.decode(text).items():
            if name not in known and value is not None:
                values.setdefault(name, set()).add(value if isinstance(value, str | int | float) else ())
    return {name: kind for name in sorted(values) if (kind := _kind(values[name]))}


def _kind(values: set[Any]) -> str:
    if len(values) < FEWEST:
        return ""
    if all(isinstance(value, int | float) for value in values):
        return NUMBER
    return CATEGORY if len(values) <= MOST_LEVELS and all(isinstance(value, str) for value in values) else ""
