"""When a scorer is trained anew: not too often, never without reason, and always for one that can be said."""

from datetime import timedelta

import pytest

from decisioning.learning.renewing import Known, due

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LATER = 2 * HOUR


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (Known(None, 0, 29), None),
        (Known(None, 0, 30), "30 outcomes, and no scorer yet"),
        (Known(LATER, 1000, 249), None),
        (Known(LATER, 1000, 250), "250 new outcomes since the last training, which had 1,000"),
        (Known(0.9 * HOUR, 1000, 900), None),
        (Known(LATER, 20, 29), None),
        (Known(LATER, 20, 30), "30 new outcomes since the last training, which had 20"),
        (Known(LATER, 1000, 250, failed=True), None),
        (Known(7 * HOUR, 1000, 250, failed=True), "250 new outcomes since the last training, which had 1,000"),
        (Known(LATER, 1000, 60, drifted="ages"), None),
        (Known(7 * HOUR, 1000, 49, drifted="ages"), None),
        (Known(7 * HOUR, 1000, 50, drifted="ages"), "drift: ages"),
        (Known(7 * HOUR, 1000, 60), None),
        (Known(23.9 * HOUR, 1000, 0), None),
        (Known(DAY, 1000, 0), "24 hours have passed"),
    ],
)
def test_the_reasons(known, why):
    assert due(known, DAY) == why
