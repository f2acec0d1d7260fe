"""A process that has loaded what it works with comes in; one that seldom looks through all that for garbage, out.

A customer's facts are hundreds of small containers that live for a moment: by Python's defaults each customer sets off
a search for cycles, now and then through everything there is. What is no cycle goes by itself, as ever.

Source: https://docs.python.org/3/library/gc.html (freeze, set_threshold).
"""

import gc
from typing import Any, Final

# Containers made and not gone before the next search; 700 in CPython 3.11.
YOUNG: Final = 50_000


def search_seldom(**told: Any) -> None:
    """Leave what is loaded by now out of every search, and search less often. Also a receiver of signals."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
