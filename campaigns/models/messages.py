"""Campaigns and the messages they owe, as PostgreSQL keeps them."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from rules.models import Segment, key_format

from .content import Placement


class Campaign(models.Model):
    """An audience, a trigger and a message. What it owes is written to the outbox (`Message`)."""

    class Trigger(models.TextChoices):
        EVENT = "event", "when an event arrives"
        SEGMENT = "segment", "when a customer enters a segment"
        EXIT = "exit", "when a customer leaves a segment"

    class Channel(models.TextChoices):
        EMAIL = "email", "e-mail"

    key = models.CharField(max_length=100, unique=True, validators=[key_format])
    name = models.CharField(max_length=200)
    channel = models.CharField(max_length=10, choices=Channel, default=Channel.EMAIL)
    trigger = models.CharField(max_length=10, choices=Trigger)
    event_name = models.CharField(max_length=200, blank=True, help_text="For the event trigger.")
    segment = models.ForeignKey(
        Segment, on_delete=models.PROTECT, null=True, blank=True, help_text="For entry and exit."
    )
    audience = models.TextField(blank=True, help_text="A condition that must also hold.")
    placement = models.ForeignKey(
        Placement, on_delete=models.PROTECT, null=True, blank=True, help_text="Where the message's contents come from."
    )
    subject = models.CharField(max_length=300, help_text="Liquid: {{ customer.… }}, {{ contents[0].title }}")
    body = models.TextField(help_text="HTML with Liquid.")
    ignores_limits = models.BooleanField(
        "ignores contact limits",
        default=False,
        db_default=False,
        help_text="For what customers asked for or have to know, such as a receipt. It is sent whatever the contact "
        "limits say, and counts in them.",
    )
    active = models.BooleanField(default=True, help_text="Untick to hold every message not yet sent.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.name


class Message(models.Model):
    """One obligation to send: the outbox. At most one row for a campaign, customer, trigger and step."""

    class State(models.TextChoices):
        PENDING = "pending", "to be sent"
        CLAIMED = "claimed", "being prepared"
        SENDING = "sending", "handed to the mail server"
        SENT = "sent", "sent"
        UNKNOWN = "unknown", "may have been sent"
        SUPPRESSED = "suppressed", "not sent, on purpose"
        FAILED = "failed", "failed"

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="messages")
    customer = models.ForeignKey("customers.Customer", on_delete=models.CASCADE, related_name="messages")
    trigger_key = models.CharField(
        max_length=200, help_text="The event's message id, or the segment and time of entry."
    )
    step = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    reason = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(help_text="Real time, by the database's clock.", db_default=Now())
    lease_until = models.DateTimeField(null=True, blank=True)
    decision_id = models.UUIDField(null=True, blank=True)
    recipient = models.CharField(max_length=320, blank=True)
    subject = models.CharField(max_length=500, blank=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    sent_at = models.DateTimeField(null=True, blank=True)
    # Since when it counts as a contact, by the product's clock: from when it is about to be handed over, unless it is
    # known that the customer did not get it. `uncounted` is one that the ledger of contacts has not heard of yet.
    contacted_at = models.DateTimeField(null=True, blank=True)
    uncounted = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "customer", "trigger_key", "step"], name="message_once")
        ]
        indexes = [
            # What the outbox may claim now.
            models.Index(fields=["due_at"], name="message_due", condition=Q(state="pending")),
            # What was sent lately, to be told to the event log.
            models.Index(fields=["sent_at"], name="message_sent", condition=Q(state="sent")),
            # What Redis has to hear of.
            models.Index(fields=["id"], name="message_uncounted", condition=Q(uncounted=True)),
            # Whose holder may have died.
            models.Index(fields=["lease_until"], name="message_leased", condition=Q(state__in=["claimed", "sending"])),
        ]

    def __str__(self) -> str:
        return f"message {self.pk} ({self.state})"
