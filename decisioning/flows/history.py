"""Showings of the past in; ledger rows with the facts as they stood then, and their outcomes, out."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import uuid5

import polars as pl
from django.conf import settings
from django.db import connection

from ..customers import profile
from ..customers.facts.frame import facts_as_of
from ..customers.identity.known import settle
from ..customers.intake.ingest import Stored
from ..customers.models import Customer
from ..models import Decision, Outcome
from ..store.copying import copy_in
from ..store.imported import decision_of, items_of, open_contents, open_placements, outcome_of, outcomes_of
from ..store.showing import NAMESPACE, Followed, Showing, Terms, id_of
from .past import Past
from .take import introduce

CHUNK = 1000
Pair = tuple[str, str]
# An identifier's customer of today, its id and key.
WHO: Final = """
SELECT i.kind, i.value, c.id, c.key FROM unnest(%s::text[], %s::text[]) AS v(kind, value)
JOIN customers_identity i ON i.kind = v.kind AND i.value = v.value JOIN customers_customer c ON c.id = i.customer_id
"""
APART: Final = "Decision {} is in the ledger without the content {}; give all rows of a decision in one file."


@dataclass(slots=True)
class Recorded:
    """What came of some showings: counts by name, and of those refused the place among them and why."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: dict[int, str] = field(default_factory=dict)


class Recorder:
    """Writes the showings of one import into the ledger, chunk by chunk."""

    def __init__(self, terms: Terms) -> None:
        self.terms, self.past = terms, Past()

    def record(self, showings: Sequence[Showing]) -> Recorded:
        """Write what is not there yet, with its customers, placements and contents; outcomes are added to what is.

        Must run in a transaction, so that all of it is there or nothing.
        """
        done = Recorded()
        held = items_of([showing.id for showing in showings])
        done.refused = dict(_apart(showings, held))
        good = [showing for index, showing in enumerate(showings) if index not in done.refused]
        new = [showing for showing in good if showing.id not in held]
        done.counts["new placements"] = open_placements(_longest(new), self.terms.objective)
        done.counts["new contents"] = open_contents(new)
        done.counts["added"] = copy_in(self._decisions(new, done))
        done.counts["duplicates"] = len(good) - done.counts["added"]
        done.counts["outcomes"] = copy_in([row for showing in good for row in outcomes_of(showing)])
        return done

    def _decisions(self, showings: Sequence[Showing], done: Recorded) -> list[Decision]:
        customers, newcomers = meet({showing.who for showing in showings})
        done.counts["new customers"] = newcomers
        asked = [(customers[showing.who][0], showing.at) for showing in showings if showing.facts is None]
        known = self.past.facts(asked)
        rows = []
        for showing in showings:
            customer = customers[showing.who]
            facts = showing.facts
            if facts is None:
                facts = known.get((customer[0], showing.at), {}) | showing.traits
            rows.append(decision_of(showing, customer, facts, self.terms))
        return rows


def _longest(showings: Sequence[Showing]) -> dict[str, int]:
    """How many contents each placement has shown at once, at most."""
    found: dict[str, int] = {}
    for showing in showings:
        found[showing.placement] = max(found.get(showing.placement, 1), len(showing.items))
    return found


def follow(rows: Sequence[Followed]) -> Recorded:
    """Write what followed showings; one that is not in the ledger yet may come later, and is counted as waited for."""
    done = Recorded()
    held = items_of({id_of(row.identity) for row in rows})
    good = []
    for index, row in enumerate(rows):
        contents = held.get(id_of(row.identity))
        if contents is not None and row.content not in contents:
            done.refused[index] = f"{row.content} was not among what was shown then."
            continue
        done.counts["waiting for what was shown"] += contents is None
        good.append(outcome_of(id_of(row.identity), row.content, row.kind, row.at, row.message_id, row.value))
    done.counts["added"] = copy_in(good)
    done.counts["duplicates"] = len(good) - done.counts["added"]
    return done


def _apart(showings: Sequence[Showing], held: dict[Any, frozenset[str]]) -> Iterable[tuple[int, str]]:
    """Showings whose decision is there with other contents: its rows were scattered over files."""
    for index, showing in enumerate(showings):
        contents = held.get(showing.id)
        lacking = [seen.content for seen in showing.items if contents is not None and seen.content not in contents]
        if lacking:
            yield index, APART.format(showing.request_id or showing.id, lacking[0])


def meet(pairs: Collection[Pair]) -> tuple[dict[Pair, tuple[int, str]], int]:
    """The customers (id, key) behind these identifiers, made as for an event where nobody has them; how many were."""
    found = _who(pairs)
    strangers = {pair for pair in pairs if pair not in found}
    _, newcomers = settle(strangers)
    introduce(Stored(0, 0, newcomers))
    return found | _who(strangers), len(newcomers)


def _who(pairs: Collection[Pair]) -> dict[Pair, tuple[int, str]]:
    if not pairs:
        return {}
    kinds, values = zip(*sorted(pairs), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(WHO, [list(kinds), list(values)])
        return {(kind, value): (pk, key) for kind, value, pk, key in cursor.fetchall()}


def import_impressions(frame: pl.DataFrame, placement: str, progress: Callable[[int], None]) -> int:
    """Write impressions (customer_key, content_key, shown_at, closes_at, converted_at) to the ledger; how many.

    Ids are derived from customer, content and moment, so that a repeated import adds nothing. Facts are those known
    strictly before `shown_at`. Propensities are unknown and left empty.
    """
    ids = dict(Customer.objects.values_list("key", "pk"))
    known = frame.filter(pl.col("customer_key").is_in(list(ids)))
    moments = known.select(
        customer_id=pl.col("customer_key").replace_strict(ids, return_dtype=pl.Int64), moment=pl.col("shown_at")
    )
    facts = _facts(moments.unique())
    for chunk in known.iter_slices(CHUNK):
        rows = chunk.to_dicts()
        decisions = [_decision(row, ids, facts, placement) for row in rows]
        copy_in(decisions)
        copy_in([o for row, decision in zip(rows, decisions, strict=True) for o in _outcomes(row, decision)])
        progress(len(rows))
    return len(known)


def _facts(moments: pl.DataFrame) -> dict[tuple[int, datetime], dict[str, Any]]:
    """Facts by customer and moment, cut by the vocabulary as it would have been learned just before that moment."""
    events, customers = profile.read_events(), profile.read_customers()
    rows = facts_as_of(events, customers, moments, time_zone=settings.FACTS_TIME_ZONE).to_dicts()
    return {
        (row.pop("customer_id"), row.pop("moment")): {name: value for name, value in row.items() if value is not None}
        for row in rows
    }


def _decision(
    row: dict[str, Any],
    ids: dict[str, int],
    facts: dict[tuple[int, datetime], dict[str, Any]],
    placement: str,
) -> Decision:
    customer = ids[row["customer_key"]]
    key = f"{row['customer_key']}|{row['content_key']}|{row['shown_at'].isoformat()}"
    item = {
        "key": row["content_key"],
        "rank": 1,
        "score": None,
        "propensity": None,
        "reasons": ["imported: chosen outside of this product"],
        "closes_at": row["closes_at"].isoformat(),
    }
    return Decision(
        id=uuid5(NAMESPACE, key),
        at=row["shown_at"],
        customer_id=customer,
        customer_key=row["customer_key"],
        placement=placement,
        source=Decision.Source.IMPORT,
        rung="default",
        reason="IMPORTED",
        policy="unknown",
        items=[item],
        facts=facts[customer, row["shown_at"]],
    )


def _outcomes(row: dict[str, Any], decision: Decision) -> list[Outcome]:
    def outcome(kind: str, at: datetime) -> Outcome:
        message_id = f"import-{kind}-{decision.pk}"
        key = row["content_key"]
        # The import brought the events themselves.
        return Outcome(decision_id=decision.pk, content=key, kind=kind, at=at, message_id=message_id, told=True)

    found = [outcome("impression", row["shown_at"])]
    if row["converted_at"] is not None:
        found.append(outcome("conversion", row["converted_at"]))
    return found
