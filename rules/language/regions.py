"""Comes in: questions about one number, each with the bit of who asks. Goes out: for a number, the mask of
who is content.

All the numbers that are asked about cut the line into points and gaps. Within a gap every answer is the same,
so the masks of all points and gaps are computed once, and a number is answered by one binary search.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

Number = int | float
SAFE = 2**53  # whole numbers up to here are floats without loss
Ranges = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Question:
    """`word` is one of < <= > >=, in, between (both ends), from (without the second); wanted: yes or no."""

    word: str
    numbers: tuple[Number, ...]
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Regions:
    """`masks[i]` belongs to the numbers from `starts[i - 1]` to just before `starts[i]`."""

    starts: list[Number]
    masks: list[int]

    def mask(self, number: Number) -> int:
        """The bits of all that are content with a number, which is not NaN."""
        return self.masks[bisect_right(self.starts, number)]


def regions(asked: Iterable[tuple[int, Question]], everybody: int) -> Regions:
    """The table for `(bit, question)`; a bit that asks several wants all of them answered its way.

    A bit that is not in `everybody` is content with no number.
    """
    asked = list(asked)
    points = sorted({number for _, question in asked for number in question.numbers})
    index = {number: place for place, number in enumerate(points)}
    last = 2 * len(points)
    wanted: dict[int, Ranges] = {}
    for bit, question in asked:
        ranges = _ranges(question, index, last)
        ranges = ranges if question.wanted else _complement(ranges, last)
        wanted[bit] = _intersection(wanted[bit], ranges) if bit in wanted else ranges
    return _without_needless(points, _swept(wanted, last, everybody))


def _without_needless(points: list[Number], masks: list[int]) -> Regions:
    """From a mask per point and gap to one per stretch in which nothing changes."""
    starts: list[Number] = []
    kept = masks[:1]
    for place, mask in enumerate(masks[1:]):
        if mask != kept[-1]:
            point = points[place // 2]
            starts.append(_comparable(_next(point) if place % 2 else point))
            kept.append(mask)
    return Regions(starts, kept)


def _next(number: Number) -> Number:
    """The smallest number, whole or float, after this one."""
    return math.nextafter(number, math.inf) if -SAFE < number < SAFE else math.floor(number) + 1


def _comparable(number: Number) -> Number:
    """A float where it is the same number: comparing floats is faster."""
    return float(number) if -SAFE <= number <= SAFE else number


def _ranges(question: Question, index: dict[Number, int], last: int) -> Ranges:
    """The regions, as inclusive ranges in order, in which the answer is yes."""
    places = [2 * index[number] + 1 for number in question.numbers]
    first = places[0]
    if question.word == "in":
        return [(place, place) for place in sorted(set(places))]
    start, end = {
        "<": (0, first - 1),
        "<=": (0, first),
        ">": (first + 1, last),
        ">=": (first, last),
        "between": (first, places[-1]),
        "from": (first, places[-1] - 1),
    }[question.word]
    return [(start, end)] if start <= end else []


def _complement(ranges: Ranges, last: int) -> Ranges:
    found, start = [], 0
    for low, high in ranges:
        if start < low:
            found.append((start, low - 1))
        start = high + 1
    return [*found, (start, last)] if start <= last else found


def _intersection(left: Ranges, right: Ranges) -> Ranges:
    both = [(max(low, other), min(high, end)) for low, high in left for other, end in right]
    return sorted((low, high) for low, high in both if low <= high)


def _swept(wanted: dict[int, Ranges], last: int, everybody: int) -> list[int]:
    """The mask of every region, from the left to the right."""
    changes = [0] * (last + 2)
    asking = 0
    for bit, ranges in wanted.items():
        flag = everybody & 1 << bit
        asking |= flag
        for low, high in ranges:
            changes[low] ^= flag
            changes[high + 1] ^= flag
    mask, masks = everybody & ~asking, []
    for change in changes[: last + 1]:
        mask ^= change
        masks.append(mask)
    return masks
