"""Topics of Kafka in; their items, stored by the one intake function, out. Needs `requirements/kafka.txt`.

A batch is committed to the database, and then its offsets to Kafka. Killed in between, the batch comes once more and
is known; nothing is lost and nothing counts twice. While the database is away partitions are paused and the batch is
tried again: no offset moves over what is not stored.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from django.db import DatabaseError, InterfaceError, OperationalError

from ..customers.plan import planning
from ..store.deadline import bounded
from .handing import Done, Failure, Placed, hand_over
from .items import Item
from .messages import items_of

log = logging.getLogger(__name__)

AWAY: Final = (OperationalError, InterfaceError)
PIECE: Final = 2_000
# How long the database may take for one piece before it counts as away.
DATABASE_SECONDS: Final = 30.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
# Ours to set: they carry the promise that offsets follow the database.
OURS: Final = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
}
KEPT_KILOBYTES: Final = 16_384

Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Terms:
    """What to read: brokers and topics (both at least one), the group, further options of librdkafka, batch sizes."""

    brokers: Sequence[str]
    topics: Sequence[str]
    group: str
    options: dict[str, str]
    batch: int = 1_000
    wait_seconds: float = 0.5

    def configuration(self) -> dict[str, object]:
        """librdkafka's. Raises ValueError for options that are not the user's to set.

        Source: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
        """
        taken = {"bootstrap.servers": ",".join(self.brokers), "group.id": self.group}
        if forbidden := sorted(self.options.keys() & (OURS.keys() - {"auto.offset.reset"} | taken.keys())):
            raise ValueError(f"The option {forbidden[0]} is set by the product; take it out.")
        return {"queued.max.messages.kbytes": KEPT_KILOBYTES, **OURS, **self.options, **taken}


class Reader:
    """Reads a consumer's topics until told to stop. One thread; the consumer's callbacks come from inside its calls."""

    def __init__(self, consumer: Consumer, terms: Terms, now: Callable[[], datetime]) -> None:
        self._consumer, self._terms, self._now = consumer, terms, now
        self._stop = threading.Event()
        self._mine: set[Partition] = set()
        # Read and not stored; what a partition that is given up left here is its next owner's.
        self._batch: list[Message] = []
        # Stored, and not yet committed to Kafka: the next offset of each partition.
        self._owed: dict[Partition, int] = {}

    def stop(self) -> None:
        """End after the batch in work."""
        self._stop.set()

    def run(self) -> None:
        """Read, store, commit, until `stop`. Raises KafkaException for what no later try can cure."""
        self._consumer.subscribe(
            list(self._terms.topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )
        try:
            while not self._stop.is_set():
                self._batch = self._read()
                if not self._store():
                    break
                self._commit()
            planning.flush(self._now())
        finally:
            self._consumer.close()

    def _read(self) -> list[Message]:
        found = self._consumer.consume(self._terms.batch, self._terms.wait_seconds)
        # Messages may come together with the news that their partition went to somebody else.
        return [message for message in found if self._sound(message) and _place(message) in self._mine]

    def _sound(self, message: Message) -> bool:
        error = message.error()
        if error is not None and error.fatal():
            raise KafkaException(error)
        if error is not None:
            log.warning("Kafka: %s", error.str())
        return error is None

    def _store(self) -> bool:
        """Store the batch, however long the database is away; False when told to stop before that."""
        pause = FIRST_PAUSE_SECONDS
        paused: list[TopicPartition] = []
        while self._batch:
            try:
                for topic, messages in groupby(sorted(self._batch, key=_topic), _topic):
                    self._hand_over(f"kafka {topic}", list(messages))
                break
            except AWAY as error:
                log.error("the database is away, trying again in %.1f s: %s", pause, error)
                paused = self._pause()
                if not self._waited(pause):
                    return False
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        self._owed |= {_place(one): int(one.offset() or 0) + 1 for one in self._batch}
        self._batch = []
        if paused:
            self._consumer.resume(self._consumer.assignment())
        return True

    def _hand_over(self, source: str, messages: Sequence[Message]) -> None:
        for items in _pieces([item for message in messages for item in items_of(message)]):
            with bounded(DATABASE_SECONDS):
                done = self._stored(items, source)
            for failed in done.failures:
                log.warning("%s, %s: %s", source, failed.place, failed.reason)

    def _stored(self, items: Sequence[Placed[Item]], source: str) -> Done:
        """Store them together; where the database refuses that, one by one, so that only the cause is set aside."""
        try:
            return hand_over(items, [], source, self._now())
        except AWAY:
            raise
        except DatabaseError:
            if len(items) > 1:
                done = Done()
                for item in items:
                    one = self._stored([item], source)
                    done.counts += one.counts
                    done.failures += one.failures
                return done
            log.exception("an item of %s cannot be stored", source)
            failure = Failure(
                items[0].place, "cannot_be_stored", "PostgreSQL refuses it; see the log.", items[0].what.raw
            )
            return hand_over([], [failure], source, self._now())

    def _pause(self) -> list[TopicPartition]:
        partitions = self._consumer.assignment()
        self._consumer.pause(partitions)
        return partitions

    def _waited(self, seconds: float) -> bool:
        """Stay a member of the group for so long; what comes from partitions just gained is kept for this batch."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop.is_set():
                return False
            message = self._consumer.poll(min(left, 0.2))
            if message is not None and self._sound(message):
                self._batch.append(message)
                self._pause()
        return True

    def _commit(self) -> None:
        """Tell Kafka what is stored. Where it will not hear it now, it is told again, and at worst sends it again."""
        if not self._owed:
            return
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._owed.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            if error.args[0].fatal():
                raise
            log.warning("Kafka did not take the offsets: %s", error)
            if error.args[0].code() in NOT_OURS:
                self._owed.clear()
        else:
            self._owed.clear()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        log.info("reads %s", _named(partitions))
        self._mine |= {(one.topic, one.partition) for one in partitions}

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Others take over: what is stored is said before, what is not stored is theirs."""
        log.info("gives up %s", _named(partitions))
        self._commit()
        self._forget(partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        log.warning("lost %s; their next owner reads again what was not committed", _named(partitions))
        self._forget(partitions)

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        self._mine -= {(one.topic, one.partition) for one in partitions}
        self._batch = [one for one in self._batch if _place(one) in self._mine]
        self._owed = {place: offset for place, offset in self._owed.items() if place in self._mine}


# The group went on without us: the offsets are no longer ours to commit.
NOT_OURS: Final = (KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID)


def reader(terms: Terms, now: Callable[[], datetime]) -> Reader:
    """A reader with a consumer of its own. Raises KafkaException for options that librdkafka does not know."""
    return Reader(Consumer(terms.configuration(), logger=log), terms, now)


def _pieces(items: Sequence[Placed[Item]]) -> Iterator[Sequence[Placed[Item]]]:
    return (items[start : start + PIECE] for start in range(0, len(items), PIECE))


def _topic(message: Message) -> str:
    return str(message.topic())


def _place(message: Message) -> Partition:
    return _topic(message), int(message.partition() or 0)


def _named(partitions: Sequence[TopicPartition]) -> str:
    return ", ".join(f"{one.topic}[{one.partition}]" for one in partitions) or "nothing"
