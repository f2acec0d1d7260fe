"""Contents come in; the texts that say what each is about, by attribute, come out.

An attribute of one text (a brand) and one that lists texts (genres, tags) are the same here: a list. Numbers are no
traits, and neither is a text that names a single content.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

TAGS: Final = "tags"
MOST_TEXTS: Final = 64  # of one attribute of one content
Traits = Mapping[str, Sequence[str]]


class Described(Protocol):
    """A content as it is read here; it may have `tags` beside its attributes."""

    @property
    def key(self) -> str: ...

    @property
    def attributes(self) -> Mapping[str, Any]: ...


def traits_of(content: Described, attributes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """{attribute: its different texts, in their order}, of those attributes that have any."""
    found = {name: texts(value_of(content, name)) for name in attributes}
    return {name: values for name, values in found.items() if values}


def value_of(content: Described, name: str) -> object:
    """The attribute's value; `tags` are the content's own where no attribute has the name."""
    value = content.attributes.get(name)
    return getattr(content, "tags", None) if value is None and name == TAGS else value


def texts(value: object) -> tuple[str, ...]:
    """A text, or the texts in a list, each once; nothing for anything else."""
    if isinstance(value, str):
        return (value,) if value else ()
    if not isinstance(value, list | tuple):
        return ()
    return tuple(dict.fromkeys(one for one in value if isinstance(one, str) and one))[:MOST_TEXTS]


def telling(contents: Sequence[Described]) -> tuple[str, ...]:
    """The attributes whose texts are shared: on average at least two contents have each. By name."""
    names = sorted({name for content in contents for name in (*content.attributes, TAGS)})
    return tuple(name for name in names if _shared([texts(value_of(content, name)) for content in contents]))


def _shared(found: Sequence[tuple[str, ...]]) -> bool:
    different = {text for one in found for text in one}
    # An attribute with one value tells nothing apart.
    return len(different) > 1 and 2 * len(different) <= sum(map(len, found))
