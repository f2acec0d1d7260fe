"""How many examples a property test tries comes in; settings of Hypothesis for it come out.

A quarter of them, the same in every run, so that no change is refused for what it did not do. With `EXAMPLES=1` all of
them, drawn anew; with `EXAMPLES=10` ten times as many.
"""

import os
from typing import Any

from hypothesis import settings

ASKED = os.environ.get("EXAMPLES", "")
SHARE = float(ASKED or 0.25)
FEWEST = 20

settings.register_profile("suite", deadline=None, derandomize=not ASKED)
settings.load_profile("suite")


def examples(number: int, **more: Any) -> settings:
    """Settings for a property that holds in so many examples, however slow each is."""
    return settings(max_examples=max(FEWEST, round(number * SHARE)), deadline=None, derandomize=not ASKED, **more)
