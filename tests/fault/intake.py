"""Comes in: how much to send, how often to kill. Goes out: how a disturbed run differs from a quiet one.

Four senders post a stream (`stream.py`) to two web processes, two consumers handle it, and all of them, PostgreSQL and
Valkey are killed with SIGKILL meanwhile. Then the same events are handled once more, in order and in peace, in a second
database, and both are written down and compared.
"""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from tests.bench.system import Running, System, system
from tests.fault.figure import Figure
from tests.fault.senders import Senders
from tests.fault.stream import Stream, batches, stream

# The product's clock begins here; both runs are written down as of two days later.
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
READ_AT = START + timedelta(days=2)
ALIVE_SECONDS = 3.0
INSIDE = "tests.fault.inside"
WAITING = b"SELECT count(*) FROM customers_pending WHERE problem = ''"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: items sent, processes of ours killed, PostgreSQL and Valkey killed, minutes at most for handling."""

    events: int = 1_000_000
    seed: int = 20260302
    kills: int = 24
    postgres: int = 2
    valkey: int = 1
    minutes: float = 20.0
    folder: Path | None = None


@dataclass(slots=True)
class Ran:
    """What happened on the way."""

    senders: Senders
    killed: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)


def run(plan: Plan) -> list[Figure]:
    """The whole run; figures of every invariant."""
    made = stream(plan.seed, plan.events, START)
    with system("fault-intake", plan.folder) as servers:
        offset = {"DECISIONING_CLOCK_OFFSET": str(int((START - datetime.now(UTC)).total_seconds()))}
        disturbed = servers.variables(servers.database("disturbed"), 0, **offset)
        key = servers.inside(INSIDE, "prepare", variables=disturbed)["key"]
        clean = servers.variables(servers.database("clean", like="disturbed"), 1, **offset)
        ran = _disturb(servers, disturbed, key, made, plan)
        folder = servers.place.folder
        found = _written(servers, disturbed, folder / "disturbed.jsonl")
        started = time.monotonic()
        lines = folder / "events.jsonl"
        lines.write_bytes(b"".join(event.raw + b"\n" for event in made.valid))
        servers.inside(INSIDE, "feed", str(lines), START.isoformat(), variables=clean)
        ran.seconds["clean"] = time.monotonic() - started
        _written(servers, clean, folder / "clean.jsonl")
        return list(_figures(plan, made, ran, found, folder))


def _written(servers: System, variables: dict[str, str], path: Path) -> dict[str, Any]:
    return dict(servers.inside(INSIDE, "write", str(path), READ_AT.isoformat(), variables=variables))


def _disturb(servers: System, variables: dict[str, str], key: str, made: Stream, plan: Plan) -> Ran:
    """Send everything while things are killed; return when all of it was handled."""
    webs = [servers.web(variables) for _ in range(2)]
    consumers = [servers.consumer(variables) for _ in range(2)]
    ran = Ran(Senders(list(batches(made.arriving)), [int(web.variables["PORT"]) for web in webs], key, plan.seed))
    started = time.monotonic()
    dice = random.Random(plan.seed)
    later = max(1, plan.kills // 5)
    _while_sending(servers, ran, webs, consumers, dice, [*_steps(dice, plan, later)])
    ran.seconds["sending"] = time.monotonic() - started
    _while_handling(ran, consumers, dice, later, variables["DATABASE_URL"], plan.minutes * 60)
    ran.seconds["handling"] = time.monotonic() - started
    for one in [*webs, *consumers]:
        one.stop()
    _note(f"killed {dict(ran.killed)}, retries {dict(ran.senders.retries)}, seconds {ran.seconds}")
    return ran


def _steps(dice: random.Random, plan: Plan, later: int) -> list[str]:
    ours = plan.kills - later
    steps = ["web"] * (ours // 2) + ["consumer"] * (ours - ours // 2)
    steps += ["postgres"] * plan.postgres + ["valkey"] * plan.valkey
    dice.shuffle(steps)
    return steps


def _while_sending(
    servers: System, ran: Ran, webs: list[Running], consumers: list[Running], dice: random.Random, steps: list[str]
) -> None:
    """One kill after each part of the bodies; the senders may be one part ahead of it, so it hits them at work."""
    part = len(ran.senders.bodies) / (len(steps) + 1)
    ran.senders.start(round(2 * part))
    for number, step in enumerate(steps, 1):
        while ran.senders.answered < number * part and ran.senders.sending:
            time.sleep(0.005)
        if step in ("web", "consumer"):
            _kill(dice.choice(webs if step == "web" else consumers), dice)
        else:
            time.sleep(dice.random() * 0.2)
            servers.kill_server(step, forget=step == "valkey")
            servers.start_servers()
        ran.killed[step] += 1
        ran.senders.allow(round((number + 2) * part) + 1)
    ran.senders.allow(len(ran.senders.bodies))
    while ran.senders.sending:
        time.sleep(0.05)


def _kill(one: Running, dice: random.Random) -> None:
    """Not before it has had time to get to work."""
    while time.monotonic() - one.since < ALIVE_SECONDS or ("PORT" in one.variables and not one.answers()):
        time.sleep(0.05)
    time.sleep(dice.random() * 0.2)
    one.kill()
    one.start()


def _while_handling(
    ran: Ran, consumers: Sequence[Running], dice: random.Random, kills: int, database: str, seconds: float
) -> None:
    """The last kills hit consumers that work off what is left."""
    deadline = time.monotonic() + seconds
    with psycopg.connect(database, autocommit=True) as connection:
        while waiting := _waiting(connection):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{waiting:,} events were not handled within {seconds / 60:.0f} minutes.")
            if kills:
                _kill(dice.choice(consumers), dice)
                ran.killed["consumer"] += 1
                kills -= 1
            time.sleep(0.1)
    for _ in range(kills):
        _kill(dice.choice(consumers), dice)
        ran.killed["consumer"] += 1


def _waiting(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(WAITING).fetchone()
    assert row is not None
    return int(row[0])


def _figures(plan: Plan, made: Stream, ran: Ran, found: dict[str, Any], folder: Path) -> Iterator[Figure]:
    def figure(invariant: str, value: float, holds: bool) -> Figure:
        return Figure("intake", plan.seed, invariant, value, holds)

    def none(invariant: str, value: float) -> Figure:
        return figure(invariant, value, value == 0)

    sent = len(made.arriving)
    disturbed, clean = _read(folder / "disturbed.jsonl"), _read(folder / "clean.jsonl")
    accepted = {event.message_id for event in made.valid}
    yield figure("items sent", sent, sent == plan.events)
    yield figure("processes killed", sum(ran.killed.values()), sum(ran.killed.values()) >= plan.kills)
    yield none("answers other than 200 and 503", len(ran.senders.unexpected))
    yield none("bodies without a 2xx", len(ran.senders.bodies) - ran.senders.answered)
    yield none("accepted − stored", len(accepted - disturbed["event"].keys()))
    yield none("stored more than once", found["events"] - found["ids"])
    yield none("stored, never sent", len(disturbed["event"].keys() - accepted))
    yield none("refused in answers − malformed sent", ran.senders.refused - len(made.malformed))
    letters = {f"{code} {raw.decode(errors='backslashreplace')}" for code, raw in made.malformed}
    yield none("malformed not in dead letters with the reason", len(letters - disturbed["letter"].keys()))
    yield none("dead letters of something else", len(disturbed["letter"].keys() - letters))
    yield none("events not handled", found["pending"])
    yield none("events set aside", found["set_aside"])
    yield none("links without a verdict", found["unjudged"])
    for name in COMPARED:
        yield none(f"{name}: unlike the clean run", _unlike(name, disturbed.get(name, {}), clean.get(name, {})))
    owed = disturbed.get("message", {})
    yield none("orders without a message", len(made.orders - owed.keys()))
    yield none("messages owed twice or for nothing", sum(owed.values()) - len(made.orders & owed.keys()))
    for name, seconds in ran.seconds.items():
        yield figure(f"seconds {name}", round(seconds, 1), True)


COMPARED = ("identity", "first seen", "counted", "facts", "traits", "unit", "stay", "verdict")


def _read(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    with path.open() as lines:
        for line in lines:
            name, key, value = json.loads(line)
            found.setdefault(name, {})[key] = value
    return found


def _unlike(name: str, disturbed: dict[str, Any], clean: dict[str, Any]) -> int:
    """How many keys are missing, too many or different; the first few are shown."""
    wrong = [key for key in disturbed.keys() | clean.keys() if disturbed.get(key) != clean.get(key)]
    for key in sorted(wrong)[:5]:
        _note(
            f"{name} {key}:\n    disturbed {_short(disturbed.get(key), clean.get(key))}\n"
            f"    clean     {_short(clean.get(key), disturbed.get(key))}"
        )
    return len(wrong)


def _short(value: Any, other: Any) -> Any:
    """Of a mapping only what differs."""
    if isinstance(value, dict) and isinstance(other, dict):
        return {key: held for key, held in value.items() if other.get(key) != held}
    return value


def _note(text: str) -> None:
    print(f"── {text}", file=sys.stderr, flush=True)
