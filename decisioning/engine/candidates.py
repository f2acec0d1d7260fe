"""A large placement's question in; the few hundred contents worth ranking, and by which list each came, out.

Which lists a placement draws from is its own choice; without any, all of its contents compete. Rules stand above
lists: what a matching rule pins or shows is a candidate whatever the lists say, and where a rule says ONLY, candidates
are looked for among its contents. What was published since the lists were learned competes too, the newest first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..learning.recall import LISTS, MOST, Marks, Positions, Recall, Start
from .context import moments
from .eligibility import eligible, in_schedule
from .types import Ask, ContentItem, PlacementItem

if TYPE_CHECKING:
    from .prepare import PreparedRule, Slot

NO_LISTS: Final = "no candidate lists yet: all contents compete"
NEW: Final = "new: published since the candidate lists were learned"
POPULAR_HERE: Final = "popular with everybody"
CLICKED: Final = "clicked_contents"
PRODUCT, BASKET, PRODUCTS = "product", "basket", "products"
IDS: Final = ("product_id", "sku")
FEWEST: Final = 20  # candidates, where there are so many contents
MOST_FRESH: Final = 50
MOST_NAMED: Final = 500  # contents of one SHOW or PIN
MOST_LISTED: Final = 100  # products of a basket
CHUNK: Final = 4_096
LOOKED_THROUGH: Final = 5_000  # contents, where nearly nothing among the candidates may be shown
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
HELD: Final = frozenset(("SHOW", "PIN"))
NARROWING: Final = frozenset(("ONLY", "HIDE"))


@dataclass(frozen=True, slots=True)
class Lists:
    """The lists as one placement sees them.

    `contents` are by position, None where they are not this placement's; `here` marks the others, and `order` has them
    by popularity. `fresh` are the newest of those that no list knows; `total` counts all. `products` leads from the id
    of a product to the content that stands for it. `named` are contents of a rule's SHOW or PIN, `marks` the positions
    of an ONLY or HIDE, both by the step's identity: to compare its targets would take longer.
    """

    recall: Recall
    names: tuple[str, ...]
    contents: Sequence[ContentItem | None]
    here: Marks
    order: Positions
    fresh: tuple[ContentItem, ...]
    products: Mapping[str, int]
    total: int
    named: Mapping[int, tuple[ContentItem, ...]] = field(default_factory=dict)
    marks: Mapping[int, Marks] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What competes for one question, and what it started from."""

    lists: Lists
    start: Start
    pool: Sequence[ContentItem]

    def why(self, key: str) -> str:
        """By which list a content came; nothing for what is in none, and came by a rule."""
        place = self.lists.recall.places.get(key)
        if place is None:
            return NEW
        seeds = {one: self.lists.contents[one] for one in (*self.start.now, *self.start.before)}
        names = {one: content.name for one, content in seeds.items() if content is not None}
        told = self.lists.recall.why(place, self.lists.names, self.start, names)
        return told or (POPULAR_HERE if place in self.lists.order[:MOST] else "")

    def basis(self) -> str:
        """How many of how many compete, in words."""
        return f"{len(self.pool):,} of {self.lists.total:,} contents by lists: {', '.join(self.lists.names)}"


def lists_of(
    item: PlacementItem, pool: Sequence[ContentItem], rules: Iterable["PreparedRule"], recall: Recall | None
) -> Lists | None:
    """The lists a placement draws from; None where it draws from none, or there are none."""
    names = tuple(name for name in item.lists if name in LISTS)
    if recall is None or not names:
        return None
    contents: list[ContentItem | None] = [None] * len(recall.keys)
    fresh: list[ContentItem] = []
    products: dict[str, int] = {}
    for content in pool:
        place = recall.places.get(content.key)
        if place is None:
            fresh.append(content)
            continue
        contents[place] = content
        products.update((str(content.attributes[name]), place) for name in IDS if name in content.attributes)
    products.update((content.key, place) for place, content in enumerate(contents) if content is not None)
    fresh.sort(key=lambda content: (content.created_at or LONG_AGO, content.key), reverse=True)
    here = np.array([content is not None for content in contents], np.bool_)
    order = recall.order[here[recall.order]]
    bare = Lists(recall, names, contents, here, order, tuple(fresh[:MOST_FRESH]), products, len(pool))
    steps = [step for rule in rules for step in (*rule.then, *rule.otherwise)]
    unlisted = {content.key: content for content in fresh}
    return Lists(
        *(recall, names, contents, here, order, bare.fresh, products, bare.total),
        {id(step): _named(bare, step.targets, unlisted) for step in steps if step.verb in HELD},
        {id(step): _marks(bare, step.targets) for step in steps if step.verb in NARROWING},
    )


def _marks(lists: Lists, targets: frozenset[str]) -> Marks:
    marks = np.zeros(len(lists.here), np.bool_)
    marks[[lists.recall.places[key] for key in targets if key in lists.recall.places]] = True
    return marks & lists.here


def _named(lists: Lists, targets: frozenset[str], fresh: Mapping[str, ContentItem]) -> tuple[ContentItem, ...]:
    """What a SHOW or PIN names: of more than 500 those that no list knows, and the most popular."""
    best = lists.order[_marks(lists, targets)[lists.order]][:MOST_NAMED].tolist()
    unlisted = [fresh[key] for key in sorted(targets & fresh.keys())]
    return (*unlisted, *(content for place in best if (content := lists.contents[place])))[:MOST_NAMED]


def candidates(slot: "Slot", ask: Ask, facts: Mapping[str, Any], now: datetime) -> Candidates | None:
    """What competes for a placement that draws from lists; None for any other, and for a caller's own candidates."""
    lists = slot.lists
    if lists is None or ask.candidates is not None:
        return None
    start = _start(lists, ask, facts)
    held, only, hidden = _ruled(slot, lists, facts, now) if lists.named or lists.marks else ([], None, None)
    here = lists.here if only is None else only
    order = lists.order[:MOST] if only is None else _first(lists.order, only)
    fewest = max(FEWEST, 2 * (ask.count or slot.item.count)) if only is None else MOST
    found = lists.recall.choose(lists.names, start, here, order, fewest)
    if hidden is not None and (gone := int(hidden[found].sum())) > len(found) - fewest:
        # What a rule hides is named in the explanation all the same, and others take its place.
        rest = _first(lists.order, here & ~hidden)
        found = np.concatenate([found, rest[~np.isin(rest, found)][: fewest - len(found) + gone]])
    pool = [content for place in found.tolist() if (content := lists.contents[place])]
    beside = {content.key: content for content in (*lists.fresh, *held)}
    known = {content.key for content in pool} & beside.keys() if beside else set()
    pool += [content for key, content in beside.items() if key not in known]
    return Candidates(lists, start, pool)


def _first(order: Positions, marks: Marks) -> Positions:
    """The first 500 of an order that are marked; where many are, it is not read to its end."""
    found: list[Positions] = []
    for start in range(0, len(order), CHUNK):
        part = order[start : start + CHUNK]
        found.append(part[marks[part]])
        if sum(map(len, found)) >= MOST:
            break
    return np.concatenate(found)[:MOST] if found else order


def _ruled(
    slot: "Slot", lists: Lists, facts: Mapping[str, Any], now: datetime
) -> tuple[list[ContentItem], Marks | None, Marks | None]:
    """What matching rules pin or show; what all their ONLYs leave, and what they hide, where they do."""
    matched = frozenset(slot.index.matching(facts, now))
    held: list[ContentItem] = []
    only: Marks | None = None
    hidden: Marks | None = None
    for rule in slot.rules:
        if not in_schedule(rule.item, now):
            continue
        steps = rule.then if rule.item.key in matched else rule.otherwise
        for step in steps:
            if step.verb in HELD:
                held += lists.named[id(step)]
            elif step.verb == "ONLY":
                only = lists.marks[id(step)] if only is None else only & lists.marks[id(step)]
            elif step.verb == "HIDE":
                hidden = lists.marks[id(step)] if hidden is None else hidden | lists.marks[id(step)]
        if any(step.verb == "STOP" for step in steps):
            break
    return held, only, hidden


def may_be_shown(
    found: Candidates, ask: Ask, facts: Mapping[str, Any], now: datetime, always: frozenset[str], wanted: int
) -> tuple[dict[str, ContentItem], dict[str, str]]:
    """As `eligible`; where fewer than wanted are, up to 5,000 others are looked through, the most popular first."""
    kept, dropped = eligible(found.pool, ask, facts, now, always)
    places = found.lists.order[:LOOKED_THROUGH].tolist() if len(kept) < wanted else []
    for start in range(0, len(places), MOST):
        if len(kept) >= wanted:
            break
        contents = [content for place in places[start : start + MOST] if (content := found.lists.contents[place])]
        more = [content for content in contents if content.key not in kept and content.key not in dropped]
        found_more, dropped_more = eligible(more, ask, facts, now, always)
        kept.update(found_more)
        dropped.update(dropped_more)
    return kept, dropped


def _start(lists: Lists, ask: Ask, facts: Mapping[str, Any]) -> Start:
    told = (*_products(ask.context.get(PRODUCT)), *_products(ask.context.get(BASKET)))
    looked_at = dict.fromkeys(lists.products[one] for one in told if one in lists.products)
    clicked = facts.get(CLICKED)
    keys = clicked if isinstance(clicked, list | tuple) else ()
    before = tuple(lists.recall.places[key] for key in keys if isinstance(key, str) and key in lists.recall.places)
    groups = (*map(str, facts.get("segments", ())), *moments(facts))
    return Start(tuple(looked_at), before, groups, lists.recall.answered(facts))


def _products(told: Any) -> tuple[str, ...]:
    """Ids of products, told as an id, as an object with `product_id` or `sku`, as a list, or as `products` of one."""
    if isinstance(told, Mapping) and PRODUCTS in told:
        told = told[PRODUCTS]
    several = told[:MOST_LISTED] if isinstance(told, list | tuple) else (told,)
    ids = ((one.get(IDS[0]) or one.get(IDS[1])) if isinstance(one, Mapping) else one for one in several)
    return tuple(str(one) for one in ids if isinstance(one, str | int) and not isinstance(one, bool))
