"""A generated call and dice in; the same call about customers, placements and tokens that there are, out.

Random names alone would only ever meet what is refused first. Tokens and decision ids are learned from the answers.
"""

import random
import re
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any

from schemathesis import Case

OFTEN, SELDOM = 0.75, 0.1
KEPT = 40
LEARNED = re.compile(rb'"(token|decision_id|next)":"([^"]+)"')
# In which ways a decide call may say for whom: one at a time.
WAYS = ("customer_id", "anonymous_id", "identifiers")
# What each address means by `key`.
KEYS = {"/ofrep/": "placement", "/v1/segments/": "segment"}
SAME = {"userId": "customer_id", "previousId": "customer_id", "anonymousId": "anonymous_id", "after": "next"}


class Names:
    """What there is on a site, by what the schema calls it, and what its answers told since."""

    def __init__(self, site: Mapping[str, list[Any]]) -> None:
        self.site = site
        self.learned: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=KEPT))
        self.tags: deque[str] = deque(maxlen=KEPT)

    def learn(self, headers: Mapping[str, Any], body: bytes) -> None:
        """Keep what an answer gave to be sent back."""
        for name, value in LEARNED.findall(body[:20_000]):
            self.learned[name.decode()].append(value.decode())
        self.tags += headers.get("etag", [])

    def lay(self, case: Case, dice: random.Random) -> Case:
        """Put names that exist in place of most of the invented ones; the case is changed and returned."""
        kind = next((kind for start, kind in KEYS.items() if case.path.startswith(start)), "placement")
        for name in case.path_parameters:
            self._put(case.path_parameters, name, dice, kind)
        if "after" in case.query:
            self._put(case.query, "after", dice, kind)
        if isinstance(case.body, dict):
            self._within(case.body, dice, "placement")
            _agree(case.body, dice)
        return case

    def _within(self, body: dict[str, Any], dice: random.Random, kind: str) -> None:
        for name, value in list(body.items()):
            if name == "filter" and isinstance(value, dict) and dice.random() < OFTEN:
                body[name] = dice.choice(self.site["filter"])
            elif isinstance(value, dict):
                self._within(value, dice, kind)
            elif isinstance(value, list):
                self._in_list(name, value, dice, kind)
            else:
                self._put(body, name, dice, kind)

    def _in_list(self, name: str, values: list[Any], dice: random.Random, kind: str) -> None:
        for place, value in enumerate(values):
            if isinstance(value, dict):
                self._within(value, dice, "content" if name == "candidates" else kind)
            elif isinstance(value, str) and dice.random() < OFTEN and (known := self.site.get(name)):
                values[place] = dice.choice(known)

    def _put(self, into: dict[str, Any], name: str, dice: random.Random, kind: str) -> None:
        """Something known by this name, mostly."""
        name_of = kind if name == "key" or (name == "id" and kind == "content") else SAME.get(name, name)
        known = [*self.site.get(name_of, ()), *self.learned[name_of]]
        if known and dice.random() < OFTEN:
            into[name] = dice.choice(known)


def _agree(body: dict[str, Any], dice: random.Random) -> None:
    """Most calls say for whom in one way only."""
    said = [way for way in WAYS if body.get(way) is not None]
    if len(said) > 1 and dice.random() < OFTEN:
        kept = dice.choice(said)
        for way in said:
            if way != kept:
                del body[way]
