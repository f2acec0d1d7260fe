"""What the ledger adds up to: statistics, traffic and tallies; what is not counted yet, and what was dropped."""

from django.db import models
from django.db.models.functions import Now

from .decisions import Decision


class Uncounted(models.Model):
    """A decision that is in the ledger and not in the statistics yet; a trigger adds it with the row itself."""

    decision_id = models.UUIDField(primary_key=True)

    def __str__(self) -> str:
        return f"decision {self.decision_id}"


class UncountedOutcome(models.Model):
    """An outcome that is not in the statistics yet; a trigger adds it with the row itself."""

    outcome_id = models.BigIntegerField(primary_key=True)

    def __str__(self) -> str:
        return f"outcome {self.outcome_id}"


class Statistic(models.Model):
    """What the ledger adds up to for one content in one placement, by the day it was decided on (UTC).

    A decision counts once for everybody, once for each of the customer's segments, each rule that matched and each arm.
    """

    class Part(models.TextChoices):
        ALL = "all", "everybody"
        SEGMENT = "segment", "segment"
        RULE = "rule", "rule"
        ARM = "arm", "arm"

    placement = models.CharField(max_length=100)
    content = models.CharField(max_length=100)
    part = models.CharField(max_length=10, choices=Part)
    name = models.CharField(max_length=200, blank=True, help_text="Key of the segment, rule or arm; nothing for all.")
    day = models.DateField()
    decisions = models.BigIntegerField(default=0, help_text="Decisions that chose the content.")
    impressions = models.BigIntegerField(default=0, help_text="Of those: seen.")
    shown = models.BigIntegerField(default=0, help_text="Of those: seen, clicked or converted.")
    clicks = models.BigIntegerField(default=0, help_text="Of those: clicked.")
    conversions = models.BigIntegerField(default=0, help_text="Of those: converted.")
    value = models.DecimalField(default=0, max_digits=30, decimal_places=6, help_text="Sum of what conversions told.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["placement", "day", "part", "name", "content"], name="one_statistic")
        ]

    def __str__(self) -> str:
        return f"{self.content} in {self.placement} on {self.day}"


class Traffic(models.Model):
    """How many decisions of an hour came to which end, by the product's clock (UTC)."""

    hour = models.DateTimeField()
    placement = models.CharField(max_length=100)
    source = models.CharField(max_length=10, choices=Decision.Source)
    rung = models.CharField(max_length=20)
    reason = models.CharField(max_length=20)
    decisions = models.BigIntegerField(default=0)
    whole = models.BigIntegerField(default=0, help_text="Of those: kept with everything they were decided from.")

    class Meta:
        verbose_name_plural = "traffic"
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "placement", "source", "rung", "reason"], name="one_traffic_an_hour"
            )
        ]

    def __str__(self) -> str:
        return f"{self.decisions} decisions at {self.rung} in {self.placement}"


class Tally(models.Model):
    """What one process counted in one hour that leaves no row elsewhere: drops, answers from the cache, waits.

    A process writes its count so far, never a difference, so that writing it twice changes nothing.
    """

    process = models.UUIDField()
    hour = models.DateTimeField()
    what = models.CharField(max_length=30)
    name = models.CharField(max_length=100, blank=True)
    count = models.BigIntegerField(default=0)
    most = models.FloatField(default=0, help_text="The largest single figure.")

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [
            models.UniqueConstraint(fields=["hour", "process", "what", "name"], name="one_tally_a_process_and_hour")
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.what} {self.name}"


class DroppedMonth(models.Model):
    """A month of the ledger that was older than it is kept. What it added up to stays."""

    month = models.DateField(primary_key=True)
    rows = models.BigIntegerField()
    last_day = models.DateField(null=True, help_text="Up to this day the statistics cannot be counted anew.")
    dropped_at = models.DateTimeField(db_default=Now())
    outcomes_gone = models.BooleanField(db_default=False, default=False)

    def __str__(self) -> str:
        return f"{self.month:%B %Y}"
