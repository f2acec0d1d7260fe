"""A content in; what conditions, similarity and diversity read of it out."""

from collections.abc import Iterable
from typing import Any

from .types import ContentItem

Traits = frozenset[tuple[str, Any]]
PLAIN = (str, bool, int, float)


def content_facts(content: ContentItem) -> dict[str, Any]:
    """A content's attributes as facts for `WHERE` and filters, with its own key, name, tags and value among them.

    Stock and margin are there where the content has them and no attribute has the name.
    """
    own = {"stock": content.stock, "margin": content.margin}
    return {
        **{name: value for name, value in own.items() if value is not None},
        **content.attributes,
        "key": content.key,
        "name": content.name,
        "tags": list(content.tags),
        "value": content.value,
    }


def traits_of(content: ContentItem) -> Traits:
    """Its tags and its plain attributes, as a set to be compared."""
    tags = (("tag", tag) for tag in content.tags)
    return frozenset((*tags, *((f".{name}", v) for name, v in content.attributes.items() if isinstance(v, PLAIN))))


def similarity(one: Traits, other: Traits) -> float:
    """The share of tags and equal attributes that two contents have in common, in [0, 1]. Source: Jaccard 1912."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


def values_of(content: ContentItem, attribute: str) -> tuple[Any, ...]:
    """The attribute's value, or each of a list of them; nothing where the content has none."""
    found = content.attributes.get(attribute)
    listed: Iterable[Any] = found if isinstance(found, list | tuple) else (found,)
    return tuple(dict.fromkeys(value for value in listed if isinstance(value, PLAIN)))
