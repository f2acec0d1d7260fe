"""A log of showings comes in; which contents go together, as of any moment, comes out (see `associations`)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from decisioning.learning.asof import NEVER, Ints
from decisioning.learning.associations import DIGITS, UNKNOWN, Associations
from decisioning.learning.factors import FEWEST_PEOPLE, by_taste
from decisioning.learning.nearest import strongest
from decisioning.learning.rates import Log
from decisioning.learning.recall import PEOPLE, TASTES, TOGETHER
from decisioning.learning.together import by_orders, by_people
from decisioning.learning.touches import BOUGHT, CLICKED, NO_BASKET, Touches

Floats = npt.NDArray[np.float64]
LEARNERS: Final = {PEOPLE: by_people, TASTES: by_taste, TOGETHER: by_orders}
KEPT: Final = 24  # nearest of each content: they travel with the scorer
MOST_CONTENTS: Final = 5_000  # those touched most often: of the others too little is known, and all pairs are compared
MOST_PAIRS: Final = 250_000  # of a list, the nearest
SPANS: Final = 8  # of time, each with the lists as of its beginning
MOST_READ: Final = 4_000_000  # touches, by all of them together


def touches_of(log: Log) -> Touches:
    """Clicks and conversions of a log; what one customer bought at the same moment is an order."""
    found = []
    for kind, name in ((CLICKED, "click"), (BOUGHT, "conversion")):
        happened = log.outcomes[name] != NEVER
        who, what, when = log.customers[happened], log.content[happened], log.outcomes[name][happened]
        found.append((who, what, np.full(len(who), kind), when))
    customers, contents, kinds, at = (np.concatenate(parts) for parts in zip(*found, strict=True))
    _, orders = np.unique(np.column_stack([customers, at]), axis=0, return_inverse=True)
    baskets = np.where(kinds == BOUGHT, orders.ravel(), NO_BASKET)
    return Touches(len(log.keys), customers, contents, kinds, at, baskets)


def told_by(touches: Touches) -> tuple[str, ...]:
    """The lists that so many touches can tell something by: two contents of each of 30 customers, or of 30 orders."""
    found = (PEOPLE, TASTES) if _several(touches.customers, touches.contents) >= FEWEST_PEOPLE else ()
    bought = touches.baskets != NO_BASKET
    orders = _several(touches.baskets[bought], touches.contents[bought])
    return (*found, TOGETHER) if orders >= FEWEST_PEOPLE else found


def _several(owners: Ints, contents: Ints) -> int:
    """How many owners have two different contents."""
    pairs = np.unique(np.column_stack([owners, contents]), axis=0)
    return int((np.unique(pairs[:, 0], return_counts=True)[1] > 1).sum())


def learn_associations(keys: Sequence[str], touches: Touches, names: Sequence[str], moment: int) -> Associations:
    """These lists as of a moment (µs), of the contents touched most often by then: no touch at or after it counts."""
    known = touches.before(moment)
    often = np.bincount(known.contents, minlength=known.size).astype(np.float64)
    kept = np.sort(np.argsort(-often, kind="stable")[:MOST_CONTENTS])
    some = among(known, kept)
    tie = often[kept] / max(float(often.max(initial=0.0)), 1.0)
    lists = {name: strongest(LEARNERS[name](some, tie), KEPT, MOST_PAIRS, DIGITS) for name in names}
    return Associations([keys[place] for place in kept.tolist()], lists)


def among(touches: Touches, kept: Ints) -> Touches:
    """The touches of these contents (positions, in order) alone, which are numbered anew."""
    if len(kept) == touches.size:
        return touches
    places = np.full(touches.size, UNKNOWN, np.int64)
    places[kept] = np.arange(len(kept))
    some = touches.where(places[touches.contents] != UNKNOWN)
    return replace(some, size=len(kept), contents=places[some.contents])


def associations_as_of(
    names: Sequence[str], log: Log, clicked: Sequence[Sequence[str]], who: Ints, which: Ints, at: Ints
) -> Floats:
    """(rows, lists) the content `which` (position in `log.keys`) by the clicks `clicked[who]`, as of the moment `at`.

    The rows are cut into up to eight spans of time; in each the lists are those of its first moment, so that they know
    nothing that came later, and are as stale as those of a scorer that is trained so often.
    """
    found = np.full((len(at), len(names)), np.nan)
    touches, order = touches_of(log).before(int(at.max(initial=0))), np.argsort(at, kind="stable")
    spans = max(2, min(SPANS, MOST_READ // max(len(touches.at), 1)))
    moments = np.unique(at[order[np.arange(spans) * len(at) // spans]]) if len(at) else at
    for start, end in zip(moments.tolist(), [*moments[1:].tolist(), NEVER], strict=True):
        rows = order[slice(*np.searchsorted(at[order], [start, end]))]
        lists = learn_associations(log.keys, touches, names, start)
        held, mine = np.unique(who[rows], return_inverse=True)
        places = np.array([lists.places.get(key, UNKNOWN) for key in log.keys], np.int64)[which[rows]]
        found[rows] = lists.paired(names, [clicked[one] for one in held.tolist()], mine, places)
    return found
