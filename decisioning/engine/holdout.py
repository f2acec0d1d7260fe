"""A placement and a customer in; which side of its holdout they are on, out.

One number a customer and draw, the same in every placement and for ever: whoever is among the first percent is held out
wherever at least one percent is, so a larger share adds people and never exchanges them.
"""

from collections.abc import Mapping
from typing import Any, Final

from ..experiments.assignment import bucket
from .prepare import Slot

HELD: Final = "holdout"
TREATED: Final = "treated"


def arms_of(slot: Slot, asked: bool, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The arm of the holdout; none where nobody is held out. `asked` holds out whatever the draw says."""
    if asked:
        return (HELD,)
    if slot.held <= 0.0:
        return ()
    return (HELD,) if bucket(str(facts["customer_id"]), slot.draw) < slot.held else (TREATED,)
