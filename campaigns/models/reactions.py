"""What else follows when a customer enters or leaves a segment: a webhook called, a trait told."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from rules.models import Segment, key_format


class Webhook(models.Model):
    """Somebody else's address that is called with signed CloudEvents."""

    key = models.CharField(max_length=100, unique=True, validators=[key_format])
    name = models.CharField(max_length=200)
    url = models.CharField(max_length=1000)
    secret = models.CharField(max_length=100, editable=False, help_text="Signs every call.")
    former_secret = models.CharField(
        max_length=100, blank=True, editable=False, help_text="Signs too, for a while, after a new one was made."
    )
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    active = models.BooleanField(default=True, help_text="Untick to hold every call not yet made.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.name


class Receiver(models.Model):
    """How a webhook's receiver has answered lately: no row, or no failures, means well.

    Beside the webhook and not in it, so that a failure is no change of what is configured.
    """

    webhook = models.OneToOneField(Webhook, on_delete=models.CASCADE, primary_key=True, related_name="receiver")
    failures = models.PositiveIntegerField(default=0, help_text="Failed calls in a row.")
    pauses = models.PositiveIntegerField(default=0, help_text="Pauses in a row; each is twice as long.")
    failing_since = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)
    notice = models.CharField(max_length=300, blank=True, help_text="Why the webhook was switched off.")

    def __str__(self) -> str:
        return f"{self.webhook_id}: {self.failures} failures in a row"


class Reaction(models.Model):
    """What to do when a customer enters or leaves a segment."""

    class Moment(models.TextChoices):
        ENTRY = "entry", "a customer enters"
        EXIT = "exit", "a customer leaves"

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", "call a webhook"
        TRAIT = "trait", "set a trait"

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="reactions")
    moment = models.CharField(max_length=10, choices=Moment, default=Moment.ENTRY)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.WEBHOOK)
    webhook = models.ForeignKey(
        Webhook, on_delete=models.PROTECT, null=True, blank=True, related_name="reactions", help_text="To be called."
    )
    trait = models.CharField(max_length=100, blank=True, help_text="To be set.")
    value = models.JSONField(null=True, blank=True, help_text='What the trait is set to: true, 5, "gold"; empty: none.')
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} when {self.get_moment_display()} {self.segment}"


class Call(models.Model):
    """One obligation to call a webhook: unique by webhook, customer and occasion; its id is the CloudEvent's."""

    class State(models.TextChoices):
        PENDING = "pending", "to be called"
        CALLING = "calling", "being called"
        DONE = "done", "taken"
        DEAD = "dead", "given up"

    id = models.UUIDField(primary_key=True)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="calls")
    customer_id = models.BigIntegerField()
    type = models.CharField(max_length=100, help_text="The CloudEvent's type.")
    occasion = models.CharField(max_length=200)
    data = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now(), help_text="Real time, by the database's clock.")
    lease_until = models.DateTimeField(null=True, blank=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="What was last answered.")
    problem = models.CharField(max_length=500, blank=True)
    answer = models.TextField(blank=True, default="", db_default="", help_text="How the last answer began.")
    tried_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["webhook", "customer_id", "occasion"], name="call_once")]
        indexes = [
            # What may be called now, of each webhook: one with a million waiting holds up no other.
            models.Index(fields=["webhook", "due_at"], name="call_due", condition=Q(state="pending")),
            # Whose caller may have died.
            models.Index(fields=["lease_until"], name="call_leased", condition=Q(state="calling")),
        ]

    def __str__(self) -> str:
        return f"call {self.id} ({self.state})"
