"""`manage.py kafka`: topics in, events in the database out, until it is asked to stop (SIGTERM, Ctrl-C)."""

import os
import signal
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from decisioning.config import clock
from decisioning.config import environment as env

try:
    from confluent_kafka import KafkaException

    from decisioning.sources import kafka
except ImportError as error:
    if "confluent_kafka" not in str(error):
        raise
    raise SystemExit("Kafka needs one more package: pip install -r requirements/kafka.txt") from None

OPTION = "KAFKA_OPTION_"


class Command(BaseCommand):
    """Read the topics of KAFKA_TOPICS as the group KAFKA_GROUP."""

    help = "Take in events from Kafka (settings: docs/sources.md)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=1000, help="at most so many messages at once (1000)")
        parser.add_argument("--wait", type=float, default=0.5, help="seconds until a smaller batch is taken (0.5)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            reader = kafka.reader(terms(options["batch"], options["wait"]), clock.now)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: reader.stop())
            reader.run()
        except (KafkaException, ValueError, ImproperlyConfigured) as error:
            raise CommandError(f"Kafka: {error}") from None


def terms(batch: int, wait_seconds: float) -> "kafka.Terms":
    """What the environment says. `KAFKA_OPTION_SASL_MECHANISM` is librdkafka's option `sasl.mechanism`."""
    options = {
        name.removeprefix(OPTION).lower().replace("_", "."): value
        for name, value in os.environ.items()
        if name.startswith(OPTION)
    }
    brokers, topics = env.words("KAFKA_BROKERS"), env.words("KAFKA_TOPICS")
    if not brokers or not topics:
        raise ImproperlyConfigured("Set KAFKA_BROKERS and KAFKA_TOPICS; docs/sources.md says how.")
    return kafka.Terms(brokers, topics, env.text("KAFKA_GROUP", "decisioning"), options, batch, wait_seconds)
