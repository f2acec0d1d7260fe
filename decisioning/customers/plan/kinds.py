"""An event's properties in; the type of each, as the tracking plan and the rule language name them, out. Pure.

Objects and lists of objects are looked into one level deep: `products.price` is the price of each product.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from rules.language.values import read_moment

# Products of one event that types are inferred from.
MOST_ITEMS: Final = 10
ANY: Final = "any"

Kinds = dict[str, str]


def _is_date(value: Any) -> bool:
    return type(value) is str and read_moment(value) is not None


def _is_list_of(inner: Callable[[Any], bool], value: Any) -> bool:
    return type(value) is list and all(map(inner, value))


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


# Each type: what people call it, and whether a value is of it. An empty list is of every type of list.
TYPES: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "text": ("text", lambda value: type(value) is str),
    "number": ("number", _is_number),
    "boolean": ("yes or no", lambda value: type(value) is bool),
    "date": ("date (ISO 8601)", _is_date),
    "text_list": ("list of texts", partial(_is_list_of, lambda value: type(value) is str)),
    "number_list": ("list of numbers", partial(_is_list_of, _is_number)),
    "object_list": ("list of objects", partial(_is_list_of, lambda value: type(value) is dict)),
    "object": ("object", lambda value: type(value) is dict),
    "list": ("list", lambda value: type(value) is list),
    ANY: ("anything", lambda value: True),
}
_PLAIN: Final = {int: "number", float: "number", bool: "boolean", dict: "object", type(None): ANY}
_LISTS: Final = {str: "text_list", int: "number_list", float: "number_list", dict: "object_list"}


def infer(properties: Mapping[str, Any]) -> Kinds:
    """{property: type}, one level deep; `any` where a null or an empty list tells nothing, or products differ."""
    found: Kinds = {}
    for name, value in properties.items():
        if not name:
            continue  # no entry of the plan can have it
        kind = _PLAIN.get(type(value)) or _kind(value)
        found[name] = kind
        if kind == "object":
            found.update([(f"{name}.{inner}", type_of(each)) for inner, each in value.items() if inner])
        elif kind == "object_list":
            _infer_items(found, name, value)
    return found


def _infer_items(found: Kinds, name: str, items: list[dict[str, Any]]) -> None:
    """The properties of a list's objects, each under `list.property`."""
    kinds: Kinds = {}
    for item in items[:MOST_ITEMS]:
        for inner, value in item.items():
            if not inner:
                continue
            kind = _PLAIN.get(type(value)) or _kind(value)
            if kinds.setdefault(inner, kind) != kind and kind != ANY:
                kinds[inner] = kind if kinds[inner] == ANY else ANY
    found.update([(f"{name}.{inner}", kind) for inner, kind in kinds.items()])


def type_of(value: Any) -> str:
    """The name of a value's type; `any` for null and the empty list, which tell nothing."""
    return _PLAIN.get(type(value)) or _kind(value)


def _kind(value: Any) -> str:
    if type(value) is str:
        # A date begins with its year; that is seen before it is read.
        return "date" if value[4:5] == "-" and read_moment(value) is not None else "text"
    if not value:
        return ANY
    kind = _LISTS.get(type(value[0]), "list")
    return kind if TYPES[kind][1](value) else "list"


def chosen(types: Mapping[str, int]) -> str:
    """Of the types a property was seen with, the most frequent one; equally frequent ones by name."""
    known = {kind: times for kind, times in types.items() if kind != ANY}
    return min(known, key=lambda kind: (-known[kind], kind)) if known else ANY
