"""What stands on the placement already in; what of the rest is too much of the same, out.

Two means, both after rules (a pin or a SHOW stands whatever they say, and counts for what comes after): at most n
contents with one value of an attribute, and maximal marginal relevance (Carbonell and Goldstein 1998): with the weight
w of being different, a content's worth in a slot is (1 − w) · score / best score − w · its greatest similarity to one
that is shown. Their λ is 1 − w.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .contents import Traits, similarity, traits_of, values_of
from .types import ContentItem, PlacementItem


class Variety:
    """What has been shown so far on one placement, and what that means for the next slot."""

    def __init__(self, item: PlacementItem, contents: Mapping[str, ContentItem]) -> None:
        self.attribute, self.most, self.weight = item.diversity_attribute, item.diversity_most, item.diversity_weight
        self.contents = contents
        self.used: Counter[Any] = Counter()
        self.traits: dict[str, Traits] = {k: traits_of(c) for k, c in contents.items()} if self.weight else {}
        self.nearest = dict.fromkeys(self.traits, 0.0)

    def add(self, key: str) -> None:
        """Count a content as shown."""
        if self.attribute:
            self.used.update(map(_told_apart, values_of(self.contents[key], self.attribute)))
        for other, near in self.nearest.items():
            if near < 1.0:
                self.nearest[other] = max(near, similarity(self.traits[key], self.traits[other]))

    def too_many(self, key: str) -> str:
        """Why one more of its kind is too many; nothing when it is not."""
        if self.attribute:
            for value in values_of(self.contents[key], self.attribute):
                if self.used[_told_apart(value)] >= self.most:
                    return f"diversity: at most {self.most} with {self.attribute} = {value} in this placement"
        return ""


def variety_of(item: PlacementItem, contents: Mapping[str, ContentItem]) -> Variety | None:
    """None where the placement asks for no diversity."""
    return Variety(item, contents) if item.diversity_attribute or item.diversity_weight > 0 else None


def _told_apart(value: Any) -> tuple[bool, Any]:
    """TRUE and 1 are two values, 1 and 1.0 one."""
    return isinstance(value, bool), value
