"""The event log and what stands around it: receipts, what is pending, what was refused, the plan, imports."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from .people import Identity


class Kept(models.JSONField):
    """A column of type `json`: kept as it was sent, which costs less to write and to read as text than `jsonb`."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """psycopg decodes `json` by itself; `jsonb` Django has told it not to."""
        return super().from_db_value(value, expression, connection) if isinstance(value, str) else value


class Event(models.Model):
    """Something a customer did, in the Segment Spec's shape. Append-only; dropped by whole months or not at all.

    The table is partitioned by `keep` and by the month of `id`, a UUID of version 7 (RFC 9562), so by arrival.
    Source: https://segment.com/docs/connections/spec/
    """

    id = models.UUIDField(primary_key=True)
    keep = models.SmallIntegerField(default=0, help_text="For how many months; 0 is for ever.")
    message_id = models.CharField(max_length=300)
    identity = models.ForeignKey(Identity, on_delete=models.DO_NOTHING, related_name="events", db_constraint=False)
    type = models.CharField(max_length=10)
    name = models.CharField(max_length=200)
    identifiers = Kept(default=list, help_text="[kind, value] pairs, the strongest first.")
    properties = Kept(default=dict, help_text="Of identify and group: the traits.")
    context = Kept(default=dict)
    timestamp = models.DateTimeField()
    received_at = models.DateTimeField()
    historical = models.BooleanField(default=False)
    bot = models.BooleanField(default=False)
    source = models.CharField(max_length=100, blank=True)

    class Meta:
        # The partitioned table and its indexes are written by hand in the migration that made them.
        db_table = "customers_event"

    def __str__(self) -> str:
        return f"{self.name} at {self.timestamp:%Y-%m-%d %H:%M}"


class Receipt(models.Model):
    """A message id that was taken in, as 128 bits of its SHA-256 (FIPS 180-4): kept for ever."""

    digest = models.UUIDField(primary_key=True)
    event_id = models.UUIDField(null=True, help_text="Its event; to find one by its message id.")

    def __str__(self) -> str:
        return str(self.digest)


class Pending(models.Model):
    """An event whose effects are not committed yet: the consumer's checkpoint, one row an event.

    Written with the event, deleted with what the event did, so that a kill anywhere repeats exactly what is missing.
    """

    event_id = models.UUIDField(primary_key=True)
    identity_id = models.BigIntegerField()
    attempts = models.SmallIntegerField(default=0)
    problem = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "pending events"
        indexes = [
            # Everything one customer has waiting.
            models.Index(fields=["identity_id"], name="pending_of_identity"),
        ]

    def __str__(self) -> str:
        return str(self.event_id)


class DeadLetter(models.Model):
    """What could not be taken in or handled, with the reason; it can be replayed."""

    class Stage(models.TextChoices):
        INTAKE = "intake", "refused at the door"
        HANDLING = "handling", "set aside while handling"

    stage = models.CharField(max_length=10, choices=Stage)
    source = models.CharField(max_length=200, help_text="Where it came from: a door, a file and line, a partition.")
    code = models.CharField(max_length=40)
    reason = models.TextField()
    body = models.BinaryField(help_text="As it was sent; empty where it was too large to keep.")
    event_id = models.UUIDField(null=True, blank=True)
    digest = models.UUIDField(unique=True, help_text="The same thing refused again for the same reason is one row.")
    times = models.IntegerField(default=1)
    at = models.DateTimeField(help_text="Last refused.")
    replayed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.TextField(blank=True, help_text="What the last replay said.")

    class Meta:
        indexes = [
            # The page of what is still dead, newest first.
            models.Index(fields=["-at"], name="deadletter_open", condition=Q(replayed_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.code} from {self.source}"


class PlannedEvent(models.Model):
    """An event's entry in the tracking plan: what it holds, as seen or as agreed."""

    class Policy(models.TextChoices):
        COUNT = "count", "count what does not fit"
        REFUSE = "refuse", "refuse what does not fit"

    name = models.CharField(max_length=200, unique=True)
    description = models.TextField(blank=True)
    properties = models.JSONField(
        default=dict, help_text='{property: {"type": …, "required": …, "seen": …, "types": {type: times}}}'
    )
    locked = models.BooleanField(default=False, help_text="Locked: nothing is inferred any more, the types hold.")
    policy = models.CharField(max_length=10, choices=Policy, default=Policy.COUNT)
    keep = models.SmallIntegerField("keep for (months)", default=0, help_text="0 keeps its events for ever.")
    seen = models.BigIntegerField(default=0)
    first_at = models.DateTimeField(null=True, blank=True)
    last_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "planned event"

    def __str__(self) -> str:
        return self.name


class PlanProblem(models.Model):
    """How often, on one day, something did not fit the plan."""

    event = models.CharField(max_length=200)
    property = models.CharField(max_length=200, blank=True)
    code = models.CharField(max_length=40)
    day = models.DateField()
    times = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    example = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "property", "code", "day"], name="planproblem_once")]

    def __str__(self) -> str:
        return f"{self.event}.{self.property}: {self.code}"


class ImportRun(models.Model):
    """One file being imported: how far it came, so that a killed import goes on where it was."""

    kind = models.CharField(max_length=20)
    path = models.TextField()
    digest = models.CharField(max_length=64, help_text="Of the file's name, size and beginning and the mapping.")
    row = models.BigIntegerField(default=0, help_text="The next row to read.")
    added = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True)

    class Meta:
        indexes = [
            # Whether this file was imported before.
            models.Index(fields=["digest"], name="importrun_by_digest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} from {self.path}"
