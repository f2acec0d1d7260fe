"""Segments, who is in them since when and why, how large they were, and how their computing goes."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

key_format = RegexValidator(
    r"^[a-z0-9][a-z0-9-]{0,99}$", "Use lower-case letters, digits and hyphens, starting with a letter or digit."
)


class Segment(models.Model):
    """A named audience: everybody a condition matches, one cluster of a clustering, or an imported list."""

    class Kind(models.TextChoices):
        CONDITION = "condition", "by condition"
        CLUSTER = "cluster", "by clustering"
        LIST = "list", "imported list"

    key = models.CharField(max_length=100, unique=True, validators=[key_format])
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.CONDITION)
    condition = models.TextField(
        blank=True, help_text='For example: orders_30d >= 2 AND NOT favourite_department = "FUEL"'
    )
    description = models.TextField(blank=True)
    story = models.TextField(blank=True, help_text="Who these people are, as told to somebody new.")
    active = models.BooleanField(default=True)
    size = models.PositiveIntegerField(default=0, editable=False)
    refreshed_at = models.DateTimeField(null=True, editable=False)
    edited_at = models.DateTimeField(
        null=True, editable=False, help_text="When a person last wrote its name or story: no refit overwrites them."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.name


class How(models.TextChoices):
    """What made a customer enter or leave a segment."""

    EVENT = "event", "an event"
    TIME = "time", "time passed"
    EDIT = "edit", "the segment was edited"
    REFRESH = "refresh", "the facts of all were computed anew"
    CLUSTERING = "clustering", "a new clustering"
    IMPORT = "import", "an imported list"
    MERGE = "merge", "identities were joined or parted"


class Membership(models.Model):
    """One stay of a customer in a segment; `left_at` is empty while it lasts."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="memberships", db_index=False)
    customer = models.ForeignKey("customers.Customer", on_delete=models.CASCADE, related_name="memberships")
    entered_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True, blank=True)
    entered_how = models.CharField(max_length=10, choices=How, blank=True, default="", db_default="")
    entered_by = models.CharField(
        max_length=500, blank=True, default="", db_default="", help_text="The event's name and message id, and so on."
    )
    left_how = models.CharField(max_length=10, choices=How, blank=True, default="", db_default="")
    left_by = models.CharField(max_length=500, blank=True, default="", db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["segment", "customer"], condition=Q(left_at__isnull=True), name="one_current_stay"
            )
        ]
        indexes = [
            # Who entered a segment last, and who left it last.
            models.Index(fields=["segment", "-entered_at", "-id"], name="membership_of_segment"),
            models.Index(
                fields=["segment", "-left_at", "-id"], name="membership_gone", condition=Q(left_at__isnull=False)
            ),
            # The last hour, day or month of comings and goings.
            models.Index(fields=["entered_at"], name="membership_entered"),
            models.Index(fields=["left_at"], name="membership_left", condition=Q(left_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} in {self.segment_id} since {self.entered_at:%Y-%m-%d}"


class SegmentSize(models.Model):
    """How large a segment was at the end of an hour, and how many entered and left in it."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="sizes")
    hour = models.DateTimeField(help_text="Its beginning, by the product's clock.")
    size = models.PositiveIntegerField()
    entered = models.PositiveIntegerField(default=0)
    left = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["segment", "hour"], name="size_once_an_hour")]

    def __str__(self) -> str:
        return f"{self.size} in {self.segment_id} at {self.hour:%Y-%m-%d %H}:00"


class Recompute(models.Model):
    """One computing of a segment, or of all, for everybody: how far it is, how it ended. The last good result stays."""

    class State(models.TextChoices):
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    segment = models.ForeignKey(
        Segment, on_delete=models.CASCADE, null=True, blank=True, related_name="recomputes", help_text="None: all."
    )
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    reason = models.CharField(max_length=200, blank=True)
    holds = models.JSONField(default=dict, help_text="What everybody's facts hold once it is done.")
    parts = ArrayField(models.SmallIntegerField(), default=list, blank=True, help_text="Buckets that are done.")
    done = models.BigIntegerField(default=0, help_text="Customers so far.")
    total = models.BigIntegerField(default=0)
    entered = models.BigIntegerField(default=0)
    left = models.BigIntegerField(default=0)
    error = models.TextField(blank=True)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now(), help_text="When it last told how far it is; old means it died.")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # The newest of a segment.
            models.Index(fields=["segment", "-id"], name="recompute_of_segment"),
        ]

    def __str__(self) -> str:
        return f"{self.segment or 'all segments'}: {self.state}"


class ListEntry(models.Model):
    """One identifier on an imported list: whoever has it, now or later, is in the segment."""

    # Without a constraint: a list of a million is written a quarter faster.
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="entries", db_constraint=False)
    kind = models.CharField(max_length=20)
    value = models.CharField(max_length=200)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["segment", "kind", "value"], name="listentry_once")]
        indexes = [
            # The lists that an identifier is on.
            models.Index(fields=["kind", "value"], name="listentry_by_value"),
        ]
        verbose_name_plural = "list entries"

    def __str__(self) -> str:
        return f"{self.kind} {self.value} on {self.segment_id}"
