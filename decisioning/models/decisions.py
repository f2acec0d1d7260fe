"""The ledger: decisions, what came of them, and which events tell it."""

from datetime import datetime, timedelta
from typing import Final

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

# Clients' clocks differ from ours: so long before its decision an outcome may be dated, `decisioning_in_time` says too.
TOLERANCE: Final = timedelta(minutes=5)


class Decision(models.Model):
    """The ledger: what was decided for one customer and placement, and everything it was decided from."""

    class Source(models.TextChoices):
        API = "api", "API"
        CAMPAIGN = "campaign", "campaign"
        IMPORT = "import", "import"

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField()
    customer_id = models.BigIntegerField(null=True)
    customer_key = models.CharField(max_length=200, blank=True)
    placement = models.CharField(max_length=100)
    source = models.CharField(max_length=10, choices=Source, default=Source.API)
    request_id = models.CharField(max_length=100, blank=True)
    snapshot = models.BigIntegerField(null=True)
    scorer = models.BigIntegerField(null=True)
    rung = models.CharField(max_length=20)
    reason = models.CharField(max_length=20)
    policy = models.CharField(max_length=20)
    items = models.JSONField(default=list)
    explanation = models.JSONField(default=dict)
    facts = models.JSONField(default=dict)
    context = models.JSONField(default=dict)
    asked = models.JSONField(default=dict, help_text="What else was asked; enough to decide it once more.")
    whole = models.BooleanField(
        db_default=True, default=True, help_text="It is kept with everything; no: without reasons, drops and question."
    )
    windows = ArrayField(
        models.FloatField(),
        null=True,
        help_text="Hours for which impressions, clicks, conversions and their value count; nothing: for ever.",
    )

    class Meta:
        indexes = [
            # A customer's decisions, newest first.
            models.Index(fields=["customer_id", "-at"], name="decision_of_customer"),
            # Search by content, by rule and by customer.
            GinIndex(fields=["items"], opclasses=["jsonb_path_ops"], name="decision_items"),
            GinIndex(fields=["explanation"], opclasses=["jsonb_path_ops"], name="decision_explanation"),
            models.Index(fields=["customer_key", "-at"], name="decision_of_key"),
            # The training window.
            models.Index(fields=["at"], name="decision_at"),
        ]

    def __str__(self) -> str:
        return f"{self.placement} for {self.customer_key or 'somebody'}"

    def in_time(self, kind: str, at: datetime) -> bool:
        """Whether an outcome of a kind counts for it, as `decisioning_in_time` says in the database."""
        kinds = (*Outcome.Kind.values, "value")
        late = self.windows is not None and at - self.at > timedelta(hours=self.windows[kinds.index(kind)])
        return not late and not self.precedes(at)

    def precedes(self, at: datetime) -> bool:
        """Whether what is dated so cannot have come of it: it lies before, by more than clocks differ."""
        return at - self.at < -TOLERANCE


class Outcome(models.Model):
    """What followed a decision: an impression, click or conversion of one of its contents, counted once.

    No foreign key: an outcome may reach the database before the ledger's bulk write does; its token was signed.
    """

    class Kind(models.TextChoices):
        IMPRESSION = "impression", "impression"
        CLICK = "click", "click"
        CONVERSION = "conversion", "conversion"

    decision_id = models.UUIDField()
    content = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind)
    value = models.FloatField(default=0)
    at = models.DateTimeField()
    message_id = models.CharField(max_length=100, unique=True)
    told = models.BooleanField(
        db_default=False, default=False, help_text="It is in the event log too, or never will be."
    )

    class Meta:
        indexes = [
            models.Index(fields=["decision_id"], name="outcome_of_decision"),
            # Reports of a span of time.
            models.Index(fields=["at"], name="outcome_by_moment"),
            # What the event log does not know yet.
            models.Index(fields=["id"], name="outcome_untold", condition=Q(told=False)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.content}"


class EventOutcome(models.Model):
    """What an event means for the decision whose token it carries, where that differs from what is usual."""

    class Kind(models.TextChoices):
        NONE = "", "nothing"
        IMPRESSION = "impression", "impression"
        CLICK = "click", "click"
        CONVERSION = "conversion", "conversion"

    event = models.CharField(max_length=200, unique=True, help_text="The event's name, such as Order Completed.")
    kind = models.CharField("counts as", max_length=10, choices=Kind, blank=True, default="")

    class Meta:
        verbose_name = "event as outcome"
        verbose_name_plural = "events as outcomes"

    def __str__(self) -> str:
        return f"{self.event}: {self.get_kind_display()}"
