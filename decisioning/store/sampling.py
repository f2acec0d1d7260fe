"""A decision and the share of its placement that is kept whole in; whether it is, and what the others keep, out.

Every decision has a row: who, when, what was chosen with which propensity, on which facts, which rules matched. Outside
of the sample it lacks what only an explanation and a replay need. So an outcome always finds its decision, everything
is learned from, and what the ledger adds up to is exact whatever is sampled. The draw is a hash of the id, which the
token of an outcome carries too: it depends on nothing that follows the decision.
"""

from hashlib import blake2b
from typing import Any
from uuid import UUID

from ..models import Decision

PREFETCH = "prefetch"


def in_sample(decision_id: UUID, share: float) -> bool:
    """Whether the decision is kept whole; `share` in [0, 1]."""
    drawn = int.from_bytes(blake2b(decision_id.bytes, digest_size=7).digest(), "big")
    return drawn < share * 2**56


def thin(row: Decision) -> None:
    """Take away what only explanation and replay need; the row says so in `whole`."""
    told: dict[str, Any] = row.explanation
    matched = [_matched(rule) for rule in told.get("rules", ()) if rule.get("matched")]
    row.explanation = {"rules": matched, "segments": told.get("segments", [])}
    if "arms" in told:
        row.explanation["arms"] = told["arms"]
    row.items = [{name: value for name, value in item.items() if name != "reasons"} for item in row.items]
    # What was fetched ahead counts only when it is seen.
    row.asked = {"mode": PREFETCH} if row.asked.get("mode") == PREFETCH else {}
    row.whole = False


def _matched(rule: dict[str, Any]) -> dict[str, Any]:
    return {name: rule.get(name) for name in ("key", "revision", "matched")}
