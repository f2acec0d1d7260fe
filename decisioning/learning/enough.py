"""How much a log tells about a policy comes in; how many more decisions like these would do, comes out."""

from typing import Final

import numpy as np

FEWEST_EFFECTIVE: Final = 100.0  # rows, after weighing (Kish 1965)
ENDLESS: Final = 1_000_000_000  # nobody waits for so many decisions
FEWEST_REWARDS: Final = 30  # rows with a reward and a weight; of two policies, on which they differ


def more_needed(decisions: int, effective: float, rewarded: int, half: float, asked: float) -> int:
    """How many more decisions like these would do, to two digits that matter; 0 when there are enough.

    Effective rows and rewards grow with the decisions; half an interval's width shrinks with their root.
    """
    times = max(
        FEWEST_EFFECTIVE / max(effective, 1e-9),
        FEWEST_REWARDS / max(rewarded, 0.5),
        (half / asked) ** 2 if asked > 0 else 0.0,
    )
    return rounded(decisions * (times - 1.0)) if times > 1.0 else 0


def rounded(number: float) -> int:
    """Up to two digits that matter: 38,214 is about 39,000."""
    kept = min(number, ENDLESS)
    unit = 10 ** max(0, len(str(int(kept))) - 2)
    return int(np.ceil(kept / unit) * unit)
