"""A flag client's question in, the values of its flags out: every active placement is a flag, decided as by any caller.

Source: OpenFeature Remote Evaluation Protocol (OFREP) 0.3, https://github.com/open-feature/protocol. What decides is
handed in as bytes to bytes, so that a flag can never be decided otherwise than a placement.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from ..engine.prepare import Prepared
from ..engine.resolver import RULES
from .contract import MAX_PLACEMENTS, Core, ItemAnswer, Mode, PlacementAnswer
from .flag_questions import Failed, Question, read

Decide = Callable[[bytes], tuple[int, bytes]]
State = Callable[[Question], str]
Flag = dict[str, Any]

LONGEST_KEY: Final = 100
NO_VARIANT: Final = "none"
TARGETING_MATCH, SPLIT, STATIC, DEFAULT, UNKNOWN = "TARGETING_MATCH", "SPLIT", "STATIC", "DEFAULT", "UNKNOWN"
# What a decision's reason is in OpenFeature's words; RANKED depends on what ranked.
REASONS: Final = {
    "TARGETING_MATCH": TARGETING_MATCH,
    "SPLIT": SPLIT,
    "HOLDOUT": SPLIT,
    "OUTSIDE_AUDIENCE": DEFAULT,
    "FALLBACK": DEFAULT,
    "CAPPED": DEFAULT,
}
_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="deterministic").encode


class _Complaint(Struct):
    code: str
    message: str


class _Error(Struct):
    error: _Complaint


_decided, _refused = msgspec.json.Decoder(Core), msgspec.json.Decoder(_Error)


class Bulk(NamedTuple):
    """All flags at once: the status (304: what the client holds is still right), the body, the entity tag."""

    status: int
    body: bytes
    tag: str = ""


def evaluate(key: str, body: bytes, decide: Decide) -> tuple[int, bytes]:
    """One flag, asked for where it is about to be used: a decision that counts. Nothing is raised."""
    try:
        if not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
            raise Failed(404, "FLAG_NOT_FOUND", "No placement has such a key: it has 1 to 100 printable characters.")
        [core] = _ask([key], read(body), "execute", decide)
    except Failed as failed:
        return failed.status, failed.body(key)
    [flag] = _flags(core) or [_code_default(key, {"rung": core.rung})]
    return (500 if "errorCode" in flag else 200), _encode(flag)


def evaluate_all(
    keys: Sequence[str], body: bytes, held: str, lifetime: timedelta, now: datetime, decide: Decide, state: State
) -> Bulk:
    """Every flag of `keys`, fetched ahead: each counts when its impression is reported.

    `held` is the `If-None-Match` header. Where the client holds what would be answered, for no longer than `lifetime`,
    the answer is 304 and no decision is made: it is not even tried where `state` (see `flag_state`) says that nothing
    can have changed. A flag that fails spoils no other.
    """
    try:
        question = read(body)
        # Before anything is decided: what changes meanwhile is found out with the next question.
        known = state(question)
        fresh = [tag for tag in _tags(held) if _is_fresh(tag, lifetime, now)]
        for tag in fresh:
            if known and tag.endswith(f"-{known}"):
                return Bulk(304, b"", f'"{tag}"')
        if fresh:
            digest = _digest(question, _all_flags(_ask(keys, question, "dry_run", decide)))
            for tag in fresh:
                if tag.startswith(digest + "-"):
                    return Bulk(304, b"", f'"{tag}"')
        cores = _ask(keys, question, "prefetch", decide)
    except Failed as failed:
        return Bulk(failed.status, failed.body())
    flags = _all_flags(cores)
    about = _scalars({"snapshot": cores[0].snapshot, "degraded": ", ".join(cores[0].degraded) or None} if cores else {})
    if any("errorCode" in flag for flag in flags):
        known = ""
    tag = f'"{_digest(question, flags)}-{int(now.timestamp()):x}-{known}"'
    return Bulk(200, _encode({"flags": flags, "metadata": about}), tag)


def lifetime_of(prepared: Prepared | None) -> timedelta:
    """How long a client may keep an answer: half the shortest time in which an outcome still counts for a decision."""
    windows = [hours for slot in prepared.slots.values() for hours in slot.item.windows] if prepared else []
    return timedelta(hours=min(windows, default=0.0) / 2)


def _ask(keys: Sequence[str], question: Question, mode: Mode, decide: Decide) -> list[Core]:
    """The decisions for these placements, as many at once as one call may ask for. Raises Failed."""
    cores = []
    for start in range(0, len(keys), MAX_PLACEMENTS):
        some = keys[start : start + MAX_PLACEMENTS]
        status, answer = decide(_body(some, question, mode))
        if status == 404 and "customer_id" in question.who and _complaint(answer).code == "unknown_customer":
            # A flag client wants a value: who is not known yet is as good as somebody who has not logged in.
            question = question._replace(who={"anonymous_id": question.who["customer_id"]})
            status, answer = decide(_body(some, question, mode))
        if status != 200:
            raise _failed(status, _complaint(answer))
        cores.append(_decided.decode(answer))
    return cores


def _body(keys: Sequence[str], question: Question, mode: Mode) -> bytes:
    wanted = [{"key": key, "n": 1} for key in keys]
    # Whoever reads a flag has nothing to fill in a template with.
    asked = {"placements": wanted, "context": question.context, "request_id": question.request_id, "render": True}
    return _encode({**question.who, **asked, "mode": mode})


def _complaint(answer: bytes) -> _Complaint:
    return _refused.decode(answer).error


def _failed(status: int, complaint: _Complaint) -> Failed:
    if complaint.code == "unknown_placement":
        return Failed(404, "FLAG_NOT_FOUND", complaint.message)
    if status in (400, 413):
        return Failed(400, "INVALID_CONTEXT", complaint.message)
    return Failed(500, "GENERAL", complaint.message)


def _all_flags(cores: Sequence[Core]) -> list[Flag]:
    return [flag for core in cores for flag in _flags(core)]


def _flags(core: Core) -> list[Flag]:
    """The flags of one decision: those that failed too, in OFREP's shape."""
    failed = [
        {"key": error.placement, "errorCode": "GENERAL", "errorDetails": error.message}
        for error in core.errors
        if error.placement is not None
    ]
    return [_flag(placement, core) for placement in core.placements if placement.reason != "ERROR"] + failed


def _flag(placement: PlacementAnswer, core: Core) -> Flag:
    about = {
        "decision_id": placement.decision_id,
        "rung": placement.rung,
        "policy": placement.policy,
        "snapshot": core.snapshot,
        "rule": placement.rule,
        **_of_experiment(placement.experiment),
    }
    if not placement.items:
        return _code_default(placement.key, about)
    item = placement.items[0]
    return {
        "key": placement.key,
        "value": value_of(item.content),
        "reason": reason_of(placement, item),
        "variant": item.id,
        "metadata": _scalars({**about, "token": item.token, "propensity": item.propensity}),
    }


def _of_experiment(experiment: dict[str, str] | None) -> dict[str, str]:
    return {"experiment": experiment.get("key", ""), "arm": experiment.get("arm", "")} if experiment else {}


def _code_default(key: str, about: dict[str, Any]) -> Flag:
    """Nothing to show: a flag without a value, for which the client takes the default in its own code."""
    return {"key": key, "reason": DEFAULT, "variant": NO_VARIANT, "metadata": _scalars(about)}


def _scalars(about: dict[str, Any]) -> dict[str, Any]:
    """OFREP's metadata know texts, numbers and truth values, and nothing else."""
    return {name: value for name, value in about.items() if isinstance(value, bool | int | float | str)}


def value_of(content: dict[str, Any]) -> Any:
    """The member `value` of a content's body where it is a value that flags have, else the whole content."""
    value = content.get("value")
    return value if isinstance(value, bool | int | float | str | dict) else content


def reason_of(placement: PlacementAnswer, item: ItemAnswer) -> str:
    """OpenFeature's reason. Ranked is: SPLIT by dice, STATIC without any scores or rates, else TARGETING_MATCH."""
    if placement.reason != "RANKED":
        return REASONS.get(placement.reason, UNKNOWN)
    if item.propensity < 1:
        return SPLIT
    return STATIC if placement.rung == RULES else TARGETING_MATCH


def _digest(question: Question, flags: Sequence[Flag]) -> str:
    """What an answer is known by: the question, and all of the flags that a program may act on."""
    seen = [{name: value for name, value in flag.items() if name != "metadata"} for flag in flags]
    return blake2b(_canonical((question, seen)), digest_size=12).hexdigest()


def _tags(held: str) -> Iterator[str]:
    for part in held.split(","):
        yield part.strip().removeprefix("W/").strip('"')


def _is_fresh(tag: str, lifetime: timedelta, now: datetime) -> bool:
    """Whether this is a tag of ours that was given less than `lifetime` ago."""
    digest, _, rest = tag.partition("-")
    given = rest.partition("-")[0]
    try:
        at = datetime.fromtimestamp(int(given, 16), UTC)
    except (ValueError, OverflowError, OSError):
        return False
    return len(digest) == 24 and timedelta(0) <= now - at < lifetime
