"""Whatever is down, a decision is answered 200 and says what it lacked."""

import socket
import threading
import time
from types import SimpleNamespace
from uuid import uuid4

import pytest
import redis
from django.contrib.auth import get_user_model
from django.db import DatabaseError, OperationalError, transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from campaigns.models import Content, Placement
from decisioning.api import doors
from decisioning.flows import decide as deciding
from decisioning.flows import decide_many, rerun
from decisioning.flows.contract import Refused
from decisioning.flows.explain import explain_row
from decisioning.models import Artefact, Decision
from decisioning.store import ledger as ledgers
from decisioning.store import profiles, publishing, snapshot
from decisioning.store.connection import patient
from decisioning.store.signing import sign
from rules.models import Revision

from ..conftest import NOW


def client(address: tuple[str, int]) -> redis.Redis:
    """As `hot()`, aimed at another server."""
    host, port = address
    limits = {"socket_timeout": 0.03, "socket_connect_timeout": 0.03}
    return redis.Redis(host=host, port=port, retry=Retry(NoBackoff(), 0), **limits)


@pytest.fixture
def refusing() -> tuple[str, int]:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()


@pytest.fixture
def hanging():
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []
        thread = threading.Thread(target=lambda: [held.append(server.accept()) for _ in range(20)], daemon=True)
        thread.start()
        yield server.getsockname()


@pytest.mark.parametrize("fault", ["refusing", "hanging"])
def test_redis_away_costs_facts_and_not_the_answer(site, fault, request, monkeypatch):
    away = profiles.Profiles(client(request.getfixturevalue(fault)))
    away.breaker.pause = 3600
    monkeypatch.setattr(profiles, "_shared", [away])
    answers = [site.decide() for _ in range(50)]
    assert all(answer["placements"][0]["items"] for answer in answers)
    assert "profiles unreachable" in answers[0]["degraded"]
    assert not away.breaker.closed()


def test_an_open_breaker_does_not_ask_a_dead_server_again(site, refusing, monkeypatch):
    asked = []
    away = profiles.Profiles(client(refusing))
    away.breaker.pause = 3600
    real = away._read
    monkeypatch.setattr(away, "_read", lambda **words: asked.append(1) or real(**words))
    monkeypatch.setattr(profiles, "_shared", [away])
    for _ in range(10):
        site.decide()
    assert len(asked) == 2
    away.breaker._until = time.monotonic()
    for _ in range(3):
        site.decide()
    assert len(asked) == 3


def test_one_late_answer_costs_the_decision_that_waited_for_it_and_no_other(site, monkeypatch):
    own = profiles.Profiles(patient())
    real, late = own._read, iter([False, True, False, True, False, True, True, False])

    def read(**words):
        if next(late):
            raise redis.TimeoutError("late")
        return real(**words)

    monkeypatch.setattr(own, "_read", read)
    monkeypatch.setattr(profiles, "_shared", [own])
    own.breaker.pause = 3600.0
    told = ["profiles unreachable" in site.decide(mode="dry_run")["degraded"] for _ in range(9)]
    # The second failure in a row is the first for which nobody asks for a while.
    assert told == [False, True, False, True, False, True, True, True, True]


def test_redis_come_back_empty_makes_nobody_unknown(site, clean_redis):
    clean_redis.flushdb()
    answer = site.decide(customer_id="c-1")
    assert "profiles incomplete" in answer["degraded"]
    publishing.publish_all()
    assert "profiles incomplete" not in site.decide()["degraded"]


def test_a_process_without_any_snapshot_answers_with_nothing_and_says_so(site, monkeypatch, tmp_path):
    empty = snapshot.Holder(tmp_path / "none", snapshot.patient())
    monkeypatch.setattr(empty, "_thread", object())
    monkeypatch.setattr(doors, "holder", empty)
    answer = site.decide()
    assert (answer["rung"], answer["degraded"]) == ("default", ["no snapshot yet"])
    assert site.post("/v1/track", {"messageId": "m", "userId": "u", "event": "e"})[0] == 503


def test_a_restart_with_everything_down_serves_the_snapshot_on_disk(site, refusing, monkeypatch, tmp_path):
    number = site.holder.current.number
    restarted = snapshot.Holder(site.holder.directory, client(refusing))
    restarted.start()
    assert (restarted.current.number, restarted.source) == (number, "disk")
    monkeypatch.setattr(doors, "holder", restarted)
    monkeypatch.setattr(profiles, "_shared", [profiles.Profiles(client(refusing))])
    assert site.decide()["snapshot"] == number


def test_a_cut_snapshot_file_is_passed_over_for_the_one_before(site, refusing):
    site.rule("one", 'IF age > 1 THEN HIDE "apple"')
    site.publish()
    newest, before = sorted(site.holder.directory.glob("*.bin"), reverse=True)[:2]
    newest.write_bytes(newest.read_bytes()[:-7])
    restarted = snapshot.Holder(site.holder.directory, client(refusing))
    restarted.start()
    assert restarted.current.number == int(before.stem.split("-")[1])


def test_a_snapshot_file_that_was_altered_but_still_reads_is_refused(site, refusing):
    for path in site.holder.directory.glob("*.bin"):
        path.write_bytes(path.read_bytes().replace(b"Apple", b"Bpple"))
    restarted = snapshot.Holder(site.holder.directory, client(refusing))
    restarted.start()
    assert restarted.current is None


def test_a_process_never_goes_back_to_an_older_snapshot(site, clean_redis):
    site.rule("one", 'IF age > 1 THEN HIDE "apple"')
    site.publish()
    number = site.holder.current.number
    clean_redis.set(snapshot.POINTER, number - 1)
    site.holder.poll()
    assert site.holder.current.number == number


def test_only_the_last_five_snapshots_stay_on_disk(site):
    for priority in range(7):
        site.rule("one", f'IF age > {priority} THEN HIDE "apple"')
        site.publish()
    assert len(list(site.holder.directory.glob("*.bin"))) == snapshot.KEPT


def test_nothing_changed_builds_nothing(site):
    assert snapshot.build() is None


def test_redis_that_lost_the_snapshot_gets_it_again(site, clean_redis):
    clean_redis.flushdb()
    snapshot.keep_announced()
    assert int(clean_redis.get(snapshot.POINTER)) == site.holder.current.number


def test_the_ledger_keeps_what_it_could_not_write_and_writes_it_later(site, monkeypatch):
    def away(*args, **words):
        raise OperationalError("away")

    site.decide(request_id="1")
    with monkeypatch.context() as broken:
        broken.setattr(ledgers, "copy_new", away)
        # The test's own transaction lives on this connection.
        broken.setattr(ledgers, "connection", SimpleNamespace(close=lambda: None))
        site.ledger._try()
    assert (site.ledger.waiting(), Decision.objects.count()) == (1, 0)
    site.ledger.flush()
    assert (site.ledger.waiting(), Decision.objects.count()) == (0, 1)


def test_a_decision_the_database_will_never_take_is_dropped_and_holds_up_no_other(site):
    site.decide(request_id="1")
    site.ledger.append(
        Decision(id=uuid4(), at=NOW, placement="hero", rung="x", reason="x", policy="x", context={"a": "\0"})
    )
    site.decide(context={"page": {"path": "/"}})
    site.ledger.flush()
    assert (site.ledger.waiting(), site.ledger.dropped, Decision.objects.count()) == (0, 1, 2)


def test_a_snapshot_that_cannot_be_prepared_leaves_the_former_one_in_place(site, monkeypatch):
    def broken(*parts):
        raise AttributeError("a field of another version")

    number = site.holder.current.number
    monkeypatch.setattr(snapshot, "prepare", broken)
    site.rule("one", 'IF age > 1 THEN HIDE "apple"')
    site.publish()
    assert site.holder.current.number == number
    assert site.decide()["snapshot"] == number


def test_a_content_that_bytes_cannot_carry_is_left_out_and_publishing_goes_on(site):
    Content.objects.filter(key="apple").update(attributes={"a": 10**30})
    site.publish()
    assert [item["id"] for item in site.decide()["placements"][0]["items"]] == ["banana"]


def test_somebody_who_cannot_be_looked_up_is_not_called_unknown(site, refusing, monkeypatch):
    monkeypatch.setattr(profiles, "_shared", [profiles.Profiles(client(refusing))])
    assert site.decide()["degraded"] == ["profiles unreachable", "no scorer"]
    site.ledger.flush()
    assert Decision.objects.get().customer_key == "c-1"


@pytest.fixture
def failing(site, monkeypatch):
    """The placement hero, which has a default content, cannot be decided; side can."""
    Placement.objects.create(key="side", name="Side", count=1, policy="greedy")
    site.publish()
    real = deciding.resolve

    def resolve(prepared, ask, now):
        if ask.placement == "hero":
            raise RuntimeError("a defect")
        return real(prepared, ask, now)

    for module in (deciding, decide_many, rerun):
        monkeypatch.setattr(module, "resolve", resolve)
    monkeypatch.setattr(decide_many, "resolve_many", lambda site, asks, now: [resolve(site, one, now) for one in asks])
    return monkeypatch


def test_a_placement_that_cannot_be_decided_shows_its_defaults_and_spoils_no_other(site, failing):
    both = site.decide(placements=["hero", "side"])
    assert [(one["key"], one["reason"]) for one in both["placements"]] == [("hero", "ERROR"), ("side", "RANKED")]
    assert [item["id"] for item in both["placements"][0]["items"]] == ["default"]
    assert (both["errors"][0]["code"], both["errors"][0]["placement"]) == ("failed", "hero")
    again = site.decide()
    assert (again["rung"], again["cache"]) == ("default", "miss"), "a failure is not remembered"
    assert site.decide()["cache"] == "miss"


def test_what_could_not_be_decided_is_in_the_ledger_and_can_be_looked_at(site, failing):
    answer = site.decide()
    status, many = site.post("/v1/decide/batch", {"customer_ids": ["c-1"], "placements": ["hero"]})
    assert (status, [one["placements"][0]["reason"] for one in many["decisions"]]) == (200, ["ERROR"])
    assert [error["code"] for error in many["errors"]] == ["failed"]
    site.ledger.flush()
    assert set(Decision.objects.values_list("reason", flat=True)) == {"ERROR"}
    assert Decision.objects.count() == 2
    row = Decision.objects.get(pk=answer["placements"][0]["decision_id"])
    told = explain_row(row)
    assert told["items"][0]["key"] == "default"
    assert "could not be decided again" in told["decided_again"]["note"]
    for which in ("same", "current"):
        with pytest.raises(Refused, match="could not be decided again on snapshot") as refused:
            rerun.replay_of(row, which)
        assert refused.value.status == 409


def test_where_the_defaults_fail_too_the_placement_is_empty(site, failing):
    def broken(*terms):
        raise RuntimeError("another defect")

    failing.setattr("decisioning.engine.resolver.eligible", broken)
    assert site.decide()["placements"][0]["items"] == []


def test_a_full_ledger_drops_the_oldest_and_counts_them(site):
    site.ledger.limit = 3
    for number in range(5):
        site.decide(context={"page": {"path": str(number)}})
    assert (site.ledger.waiting(), site.ledger.dropped) == (3, 2)
    site.ledger.flush()
    assert Decision.objects.count() == 3


def test_a_batch_written_twice_adds_nothing(site):
    site.decide()
    rows = list(site.ledger._rows)
    site.ledger.flush()
    for row in rows:
        site.ledger.append(row)
    site.ledger.flush()
    assert Decision.objects.count() == 1


def test_a_scorer_that_cannot_be_read_is_left_out_and_decisions_go_on(site, now):
    Artefact.objects.create(
        kind="scorer", data=b"{}", signature=sign("artefact", b"{}").hex(), active=True, trained_at=now
    )
    site.rule("one", 'IF age > 1 THEN HIDE "apple"')
    site.publish()
    decision = site.decide()
    assert (decision["scorer"], decision["rung"]) == (None, "rules")
    assert decision["placements"][0]["rules"][0]["key"] == "one"


def test_a_published_revision_cannot_be_changed_in_the_database(site):
    rule = site.rule("one", 'IF age > 1 THEN HIDE "apple"')
    user = get_user_model().objects.create_user("somebody")
    for change in ({"text": "IF"}, {"text": "IF", "published_by": user}, {"published_by": user}, {"priority": 9}):
        with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
            Revision.objects.filter(rule=rule).update(**change)
