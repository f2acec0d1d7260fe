"""A decision's row in; the same question decided once more, on the snapshot of then or on the newest, out.

On the snapshot of then the answer is the same to the last bit: facts, context, moment and what was asked come from the
row, and dice are seeded by customer, request and snapshot. On the newest snapshot the moment and the dice stay those of
then, so that whatever differs comes from what was published since.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from ..engine.prepare import Prepared, prepare
from ..engine.resolver import resolve
from ..engine.types import Ask, Profile, Resolution, SnapshotData
from ..models import Decision, Snapshot
from ..store import candidates
from .asking import asker_of, condition_of
from .comparing import Told, brief, causes, difference, in_short, told_then
from .contract import Candidate, DecideRequest, FilterAsk, Refused
from .recording import row_of

log = logging.getLogger(__name__)

SAME, CURRENT = "same", "current"
KEPT: Final = 3  # prepared snapshots a process keeps for explaining; each is as large as the one it decides with
# What rows did not keep before it was needed for this; without it an answer may differ from the one that was given.
ASKED: Final = ("n", "exclude", "person", "unit", "scores")
THIN: Final = "It is not in the sample of this placement's decisions that is kept with reasons, drops and question."


class ReplayRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of a replay: on which snapshot."""

    snapshot: Literal["same", "current"] = "same"


def replayed(decision_id: UUID, which: str) -> dict[str, Any]:
    """What the decision would be now, beside what it was, with the difference and its causes. Raises Refused."""
    row = Decision.objects.filter(pk=decision_id).first()
    if row is None:
        raise Refused(404, "unknown_decision", "No decision has this id; it may take a second to appear.")
    return replay_of(row, which)


def replay_of(row: Decision, which: str) -> dict[str, Any]:
    """The same for a row in hand."""
    then = snapshot_of(row) if which == SAME else _if_kept(row)
    now = then if which == SAME and then else _newest(then)
    before, after = _told_of(row, row), _tried(row, now)
    changes = difference(before, after)
    if after is None:
        gone = _lost_filter(row, now)
        if gone:
            changes["filter"] = {"then": row.asked["filter"]["name"], "now": None, "why": gone}
        else:
            changes["placement"] = {"then": row.placement, "now": None}
    return {
        "decision_id": str(row.pk),
        "placement": row.placement,
        "at": row.at.isoformat(),
        "on": which,
        "snapshot": {"then": row.snapshot, "now": now.number},
        "identical": not changes,
        "unknown": unknown(row),
        "then": before,
        "now": after,
        "changes": changes,
        "causes": causes(then.data, now.data, row.placement, partial(_differs, row, before)) if then else None,
    }


def _tried(row: Decision, prepared: Prepared) -> Told | None:
    """What would be told now; raises Refused where it cannot be decided."""
    try:
        return _again(row, prepared)
    except Refused:
        raise
    except Exception:
        log.exception("decision %s could not be decided again on snapshot %s", row.pk, prepared.number)
        text = f"It could not be decided again on snapshot {prepared.number}; the server's log says why."
        raise Refused(409, "not_decided", text) from None


def _again(row: Decision, prepared: Prepared) -> Told | None:
    """What would be told now; None where the placement, or the filter of the question, is not there."""
    if row.placement not in prepared.slots or _lost_filter(row, prepared):
        return None
    return _told(row, prepared, *rerun(row, prepared))


def _lost_filter(row: Decision, prepared: Prepared) -> str:
    """Why the row's question cannot be put to this snapshot with its filter; "" where it can, or had none."""
    if row.placement not in prepared.slots:
        return ""  # then it is the placement that is told as gone
    try:
        condition_of(msgspec.convert(row.asked.get("filter"), FilterAsk | None), prepared)
    except Refused as refused:
        return refused.message
    return ""


def _told(row: Decision, prepared: Prepared, ask: Ask, resolution: Resolution) -> Told:
    return _told_of(row, row_of(row.pk, prepared, ask, resolution, row.at, row.source, row.asked))


def _told_of(kept: Decision, answer: Decision) -> Told:
    """What an answer says, as far as the row that was kept can be compared with it."""
    return told_then(answer) if kept.whole else in_short(told_then(answer))


def _if_kept(row: Decision) -> Prepared | None:
    """The snapshot of then; None when it cannot be had any more, and nobody can say what changed since."""
    try:
        return snapshot_of(row)
    except Refused:
        return None


def _newest(then: Prepared | None) -> Prepared:
    """The newest snapshot there is; raises Refused before the first."""
    number = Snapshot.objects.order_by("-number").values_list("number", flat=True).first()
    if number is None:
        raise Refused(409, "no_snapshot", "There is no snapshot yet; publish something in the admin, then replay.")
    return then if then and number == then.number else read(number)


def _differs(row: Decision, before: Told, data: SnapshotData) -> bool:
    """Whether a snapshot with this data would have decided otherwise."""
    return bool(difference(before, _again(row, prepare(row.snapshot or 0, row.at, data, candidates.kept(data)))))


def snapshot_of(row: Decision) -> Prepared:
    """The snapshot that the decision was made with; raises Refused, with the cure, when it cannot be had any more."""
    if row.snapshot is None:
        raise Refused(409, "no_snapshot", "This decision was made without a snapshot; replay it on the current one.")
    return read(row.snapshot)


def read(number: int) -> Prepared:
    """A snapshot by its number, prepared to decide with; raises Refused when it is gone or cannot be read."""
    found = Snapshot.objects.filter(pk=number).values_list("digest", "built_at").first()
    if found is None:
        raise Refused(
            409,
            "snapshot_gone",
            f'Snapshot {number} is gone. Replay on the current one ({{"snapshot": "current"}}), or restore the '
            "snapshot's row from a backup of the database.",
        )
    try:
        return _prepared(number, *found)
    except msgspec.MsgspecError as error:
        raise Refused(
            409,
            "snapshot_unreadable",
            f"Snapshot {number} was written by another version and cannot be read ({error}). Replay on the current one "
            '({"snapshot": "current"}).',
        ) from None


@lru_cache(maxsize=KEPT)
def _prepared(number: int, digest: str, built_at: datetime) -> Prepared:
    stored = bytes(Snapshot.objects.values_list("data", flat=True).get(pk=number))
    data = msgspec.msgpack.decode(stored, type=SnapshotData)
    return prepare(number, built_at, data, candidates.kept(data))


def rerun(row: Decision, prepared: Prepared) -> tuple[Ask, Resolution]:
    """The row's question, decided once more at its moment and with its dice, every test's value included."""
    ask = ask_of(row, prepared)
    dice = row.snapshot if row.snapshot is not None else prepared.number
    return ask, resolve(replace(prepared, number=dice), ask, row.at)


@dataclass(frozen=True, slots=True)
class Again:
    """A decision as it can still be understood: on which snapshot, by which question.

    `resolution` is there where deciding it again gives what the ledger holds; `note` says why it does not.
    """

    row: Decision
    prepared: Prepared | None = None
    ask: Ask | None = None
    resolution: Resolution | None = None
    note: str = ""


def once_more(row: Decision) -> Again:
    """Decide a row's question again on the snapshot of then; never raises."""
    try:
        prepared = snapshot_of(row)
        if row.placement not in prepared.slots:
            return Again(row, prepared, note=f"Snapshot {prepared.number} has no placement {row.placement!r}.")
        ask, resolution = rerun(row, prepared)
    except Refused as refused:
        return Again(row, note=refused.message)
    except Exception:
        # The page and the call that explain a decision show what the row holds, whatever else fails.
        log.exception("decision %s could not be decided again", row.pk)
        return Again(row, note="It could not be decided again; the server's log says why.")
    if row.whole:
        same = not difference(_told_of(row, row), _told(row, prepared, ask, resolution))
        return Again(row, prepared, ask, resolution if same else None, "" if same else _why_other(row))
    return _filled(row, prepared, ask, resolution)


def _why_other(row: Decision) -> str:
    lacking = unknown(row)
    why = f"the row does not hold {', '.join(lacking)}" if lacking else "the program has changed since"
    return f"Deciding it again gives another answer: {why}."


def _filled(row: Decision, prepared: Prepared, ask: Ask, resolution: Resolution) -> Again:
    """A row outside of the sample lacks reasons and drops: those of now, where it comes to the same contents."""
    now = row_of(row.pk, prepared, ask, resolution, row.at, row.source, row.asked)
    if brief(row) != brief(now):
        return Again(row, prepared, ask, note=THIN)
    row.items, row.explanation = msgspec.to_builtins(now.items), msgspec.to_builtins(now.explanation)
    return Again(row, prepared, ask, resolution, f"{THIN} It was decided again, and came to the same contents.")


def unknown(row: Decision) -> list[str]:
    """What a row from before this was kept does not tell of its question."""
    return [name for name in ASKED if name not in row.asked]


def ask_of(row: Decision, prepared: Prepared) -> Ask:
    """The row's question, as the call put it; raises Refused where its filter is not there any more."""
    asked = row.asked
    person = asked.get("person", row.customer_key)
    request = DecideRequest(
        placements=[row.placement],
        customer_id=person,
        request_id=row.request_id,
        context=row.context,
        candidates=msgspec.convert(asked.get("candidates"), list[str | Candidate] | None),
        filter=msgspec.convert(asked.get("filter"), FilterAsk | None),
        explain=True,
        exclude=asked.get("exclude", []),
    )
    asker = asker_of(request, prepared)
    return Ask(
        row.placement,
        asked.get("n"),
        _profile_of(row),
        row.context,
        person,
        row.request_id,
        asker.exclude,
        explain=True,
        candidates=asker.candidates,
        filter=asker.condition,
        shown=msgspec.convert(asked.get("shown") or {}, dict[str, list[datetime]]),
        taken=frozenset(asked.get("taken", ())),
        holdout=bool(asked.get("holdout")),
    )


def _profile_of(row: Decision) -> Profile | None:
    """The customer as they were; None for somebody whom nobody knew."""
    if row.customer_id is None:
        return None
    return Profile(
        id=row.customer_id,
        key=row.customer_key,
        version=0,
        facts=row.facts,
        segments=tuple(row.explanation.get("segments", ())),
        scores=row.asked.get("scores") or {},
        scorer=row.asked.get("scores_by"),
        unit=row.asked.get("unit", ""),
    )
