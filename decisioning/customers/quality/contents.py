"""Some events of one name in, with their properties; what is wrong with the properties' values, out. Pure.

Objects and lists of objects are looked into one level deep, as the tracking plan does.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
import numpy as np
from rapidfuzz.fuzz import ratio

from decisioning.learning.outliers import IQR, Z, fences

from ..plan.kinds import ANY, MOST_ITEMS, TYPES, type_of
from .findings import LOOK, NOTHING, Example, Finding, amount, beyond, first, many, percent
from .shapes import is_far

MOST_PROPERTIES: Final = 100
MOST_VALUES: Final = 500
MOST_WORDS: Final = 100  # different values; of more it is no vocabulary
LONGEST: Final = 200
FEWEST: Final = 50  # values; of fewer nothing is said
RARE: Final = 0.01
ALIKE: Final = 88.0  # of 100, in rapidfuzz's ratio
SHORTEST: Final = 4
PLACEHOLDERS: Final = frozenset(
    ("", "null", "none", "nil", "undefined", "nan", "n/a", "na", "-", "?", "unknown", "test", "[object object]", "tbd")
)
NUMERIC: Final = re.compile(r"-?\d{1,15}([.,]\d+)?")
# Identifiers may be made of digits and stay texts; so may what begins with 0.
IDENTIFIER: Final = re.compile(r"(id|sku|code|number|phone|zip|postal|ean|gtin|upc|version)s?$", re.IGNORECASE)
POSITIVE: Final = re.compile(r"(^|[._])(price|quantity|total|revenue|amount|count|value|subtotal)$", re.IGNORECASE)
NATURAL: Final = re.compile(r"refund|return|cancel|adjust|credit", re.IGNORECASE)

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Column:
    """What was seen of one property: numbers with the events they were in, texts and types by how often."""

    __slots__ = ("kinds", "numbers", "places", "texts", "where")

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.numbers: list[float] = []
        self.places: list[str] = []
        self.texts: Counter[str] = Counter()
        self.where: dict[tuple[str, str], str] = {}

    def see(self, value: Any, event: str) -> None:
        """Remember one value, and for each type and text the first event it was in."""
        kind = type_of(value)
        if kind == ANY:
            return
        self.kinds[kind] += 1
        self.where.setdefault(("kind", kind), event)
        if kind == "number" and abs(value) < 1e15:
            self.numbers.append(float(value))
            self.places.append(event)
        elif type(value) is str and len(value) <= LONGEST and (value in self.texts or len(self.texts) < MOST_VALUES):
            text = value.replace("\0", "\ufffd")  # PostgreSQL keeps no NUL
            self.texts[text] += 1
            self.where.setdefault(("text", text), event)


def columns_of(events: Iterable[tuple[str, str]]) -> dict[str, Column]:
    """{property: what was seen of it} from pairs (event id, properties as JSON text); unreadable ones are skipped."""
    found: dict[str, Column] = {}
    for event, text in events:
        try:
            properties = _decode(text)
        except (msgspec.MsgspecError, RecursionError):
            continue
        for raw, value in _flat(properties):
            name = raw[:LONGEST].replace("\0", "\ufffd")
            column = found.get(name)
            if column is None:
                if len(found) >= MOST_PROPERTIES:
                    continue
                column = found[name] = Column()
            column.see(value, event)
    return found


def _flat(properties: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in properties.items():
        yield name, value
        items = value[:MOST_ITEMS] if type(value) is list else [value]
        for item in items:
            if type(item) is dict:
                yield from ((f"{name}.{inner}", each) for inner, each in item.items())


def check_properties(event: str, columns: dict[str, Column]) -> Iterator[Finding]:
    """Everything found in the properties, by property."""
    for name, column in sorted(columns.items()):
        yield from _mixed(name, column)
        if len(column.numbers) >= FEWEST:
            yield from _far_out(event, name, column)
        if column.texts:
            yield from _empty_words(event, name, column)
            yield from _digits(name, column)
            yield from _spellings(event, name, column)


def _mixed(name: str, column: Column) -> Iterator[Finding]:
    kinds = Counter(column.kinds)
    if "date" in kinds and "text" in kinds:
        kinds["text"] += kinds.pop("date")
    if len(kinds) < 2 or sum(kinds.values()) < FEWEST:
        return
    main = max(kinds, key=lambda kind: (kinds[kind], kind))
    others = {kind: times for kind, times in sorted(kinds.items()) if kind != main}
    told = ", ".join(f"{many(times, 'time')} {TYPES[kind][0]}" for kind, times in others.items())
    text = f"“{name}” is {TYPES[main][0]} mostly, but {told}."
    examples = first(Example(TYPES[kind][0], event=column.where["kind", kind]) for kind in others)
    cure = "Send one type, and lock the event in the tracking plan, so that others are counted or refused."
    yield Finding("mixed_types", LOOK, text, cure, sum(others.values()), examples)


def _far_out(event: str, name: str, column: Column) -> Iterator[Finding]:
    values = np.array(column.numbers)
    fence, by_z = fences(values, IQR), fences(values, Z)
    if fence is not None and by_z is not None and not IDENTIFIER.search(name):
        wrong = fence.outside(values)
        if wrong.any():
            middle = float(np.median(values))
            where = beyond(fence.low, fence.high, float(values.min()), float(values.max()))
            places = sorted(np.flatnonzero(wrong).tolist(), key=lambda place: -abs(values[place] - middle))
            told = (
                f"“{name}”: {many(int(wrong.sum()), 'value')} of {len(values):,} "
                f"({percent(float(wrong.mean()))}) {where} by quartiles, "
                f"{int(by_z.outside(values).sum()):,} by Z score; usual is {amount(middle)}."
            )
            examples = first(Example(amount(values[place]), event=column.places[place]) for place in places)
            cure = "Open one: a wrong unit or a test order is mended at the sender; facts made from it can be clipped."
            severity = LOOK if is_far(values, fence) else NOTHING
            yield Finding("outliers", severity, told, cure, int(wrong.sum()), examples)
    below = np.flatnonzero(values < 0)
    if len(below) and POSITIVE.search(name) and not NATURAL.search(event):
        told = f"“{name}” is below 0 in {many(len(below), 'value')} of {len(values):,}."
        examples = first(Example(amount(values[place]), event=column.places[place]) for place in below.tolist())
        cure = "Send refunds as an event of their own (Order Refunded), with amounts above 0."
        yield Finding("negative", LOOK, told, cure, len(below), examples)


def _empty_words(event: str, name: str, column: Column) -> Iterator[Finding]:
    found = {text: times for text, times in column.texts.items() if text.strip().casefold() in PLACEHOLDERS}
    total = sum(found.values())
    if total and sum(column.texts.values()) >= FEWEST:
        words = ", ".join(f"“{text}”" for text in sorted(found, key=lambda text: -found[text])[:3])
        told = f"“{name}” says nothing {many(total, 'time')} of {sum(column.texts.values()):,}: {words}."
        cure = "Leave a property out where its value is not known; a placeholder counts as a value."
        examples = first(Example(f"“{text}”", event=column.where["text", text]) for text in found)
        yield Finding("placeholder", LOOK, told, cure, total, examples)


def _digits(name: str, column: Column) -> Iterator[Finding]:
    total = sum(column.texts.values())
    found = sum(n for text, n in column.texts.items() if NUMERIC.fullmatch(text) and not text.startswith("0"))
    if total >= FEWEST and found > 0.95 * total and not IDENTIFIER.search(name):
        told = f"“{name}” is a number sent as a text in {percent(found / total)} of {total:,} events."
        cure = "Send it without quotes: texts cannot be summed or compared by size."
        yield Finding("number_as_text", LOOK, told, cure, found)


def _spellings(event: str, name: str, column: Column) -> Iterator[Finding]:
    """Rare values that look like a common one: other case or spaces, or a letter off."""
    total = sum(column.texts.values())
    if total < FEWEST or len(column.texts) > MOST_WORDS or IDENTIFIER.search(name):
        return
    common = [text for text, times in column.texts.most_common(50) if times > RARE * total]
    found: list[tuple[str, str]] = []
    for text in sorted(column.texts):
        near = next((other for other in common if _is_variant(text, other, column.texts)), None)
        if near is not None:
            found.append((text, near))
    if found:
        words = ", ".join(f"“{text}” for “{near}”" for text, near in found[:3])
        count = sum(column.texts[text] for text, _ in found)
        told = f"“{name}” has values that look misspelt: {words}."
        examples = [Example(f"“{text}”", asks={"name": event, "property": name, "value": text}) for text, _ in found]
        cure = "Rules compare texts exactly; mend the sender, or compare IGNORING CASE."
        yield Finding("spelling", LOOK, told, cure, count, first(examples))


def _is_variant(text: str, common: str, texts: Counter[str]) -> bool:
    if text == common or texts[text] * 2 > texts[common]:
        return False
    if text.strip().casefold() == common.strip().casefold():
        return True
    rare = texts[text] <= RARE * texts[common] and min(len(text), len(common)) >= SHORTEST
    # “Size 4” is not a slip of “Size 5”.
    digits = re.sub(r"\D", "", text) == re.sub(r"\D", "", common)
    return rare and digits and ratio(text.casefold(), common.casefold()) >= ALIKE
