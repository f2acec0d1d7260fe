"""The placements of a call and how many contents each may choose from in; how much work that is, out.

A unit of work is one content compared for one slot, best first. Other policies do more for it, and diversity compares
each content with all that stand there already. The weights are measured: a unit takes about 0.2 µs.
"""

from collections.abc import Iterable
from typing import Final

from ..learning.recall import MOST
from .candidates import MOST_FRESH
from .prepare import Prepared, Slot

MOST_WORK: Final = 500_000  # units in one call
MOST_WORK_OF_MANY: Final = 10_000_000  # units in one call for many customers
WEIGHTS: Final = {"linucb": 2, "thompson": 8, "linear-thompson": 8}
PLAIN: Final = 1  # the weight of all other policies
DIVERSITY: Final = 4  # what a placement with a weight of being different adds to that

Asked = Iterable[tuple[str, int | None]]  # placements by key, and how many contents each is asked for


def work(prepared: Prepared, asked: Asked, own: int | None = None) -> int:
    """Units of work for one customer; `own` is the number of the caller's own candidates, where there are some.

    A placement that the snapshot does not hold is none.
    """
    found = ((prepared.slots.get(key), count) for key, count in asked)
    return sum(_of_slot(slot, count, own) for slot, count in found if slot is not None)


def _of_slot(slot: Slot, count: int | None, own: int | None) -> int:
    item = slot.item
    # Of a large placement that draws from lists, few are ever compared.
    listed = len(slot.pool) if slot.lists is None else min(len(slot.pool), MOST + MOST_FRESH)
    contents = listed if own is None else own
    weight = WEIGHTS.get(item.policy, PLAIN) + (DIVERSITY if item.diversity_weight > 0 else 0)
    return contents * min(contents, count or item.count) * weight
