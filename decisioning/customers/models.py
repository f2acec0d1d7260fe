"""Customers with their identities, consent and event log, as PostgreSQL keeps them."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Customer(models.Model):
    """A person, known or anonymous. `key` is the id that clients use; facts are what rules and scorers read."""

    key = models.CharField(max_length=200, unique=True)
    traits = models.JSONField(default=dict, blank=True)
    facts = models.JSONField(default=dict, blank=True)
    facts_at = models.DateTimeField(null=True, blank=True)
    facts_version = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            # The fact sweep asks for customers whose facts were never computed.
            models.Index(fields=["id"], name="customer_without_facts", condition=Q(facts_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.key


class Identity(models.Model):
    """One identifier of a customer: a user id, an anonymous id, an e-mail address."""

    class Kind(models.TextChoices):
        USER = "user_id", "user id"
        ANONYMOUS = "anonymous_id", "anonymous id"
        EMAIL = "email", "e-mail"

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="identities")
    kind = models.CharField(max_length=20, choices=Kind)
    value = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "identities"
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="identity_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


class Consent(models.Model):
    """What a customer allowed for one channel. No row means no."""

    class Channel(models.TextChoices):
        EMAIL = "email", "e-mail"

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="consents")
    channel = models.CharField(max_length=20, choices=Channel)
    granted = models.BooleanField()
    at = models.DateTimeField()
    source = models.CharField(max_length=100)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "channel"], name="consent_once")]

    def __str__(self) -> str:
        return f"{self.channel}: {'yes' if self.granted else 'no'}"


class Event(models.Model):
    """Something a customer did, in the Segment Spec's shape. The log is append-only, but for how handling it went.

    Source: https://segment.com/docs/connections/spec/
    """

    id = models.UUIDField(primary_key=True)
    message_id = models.CharField(max_length=100, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="events")
    type = models.CharField(max_length=10)
    name = models.CharField(max_length=200)
    properties = models.JSONField(default=dict)
    context = models.JSONField(default=dict)
    timestamp = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    handled_at = models.DateTimeField(null=True)
    problem = models.CharField(
        max_length=300, blank=True, help_text="Why it was set aside; it is tried again once an hour."
    )

    class Meta:
        indexes = [
            # One customer's history, for facts and the timeline.
            models.Index(fields=["customer", "timestamp"], name="event_of_customer"),
            # What the consumer of the log has yet to do.
            models.Index(
                fields=["customer", "id"], name="event_pending", condition=Q(handled_at__isnull=True, problem="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} at {self.timestamp:%Y-%m-%d %H:%M}"


class FactVocabulary(models.Model):
    """The departments, traits, event names and quintile edges that facts are cut by, learned from everybody."""

    data = models.JSONField()
    histories = models.JSONField(default=list, help_text="Names of the histories that everybody's facts hold.")
    learned_at = models.DateTimeField(help_text="By the product's clock.")

    class Meta:
        verbose_name_plural = "fact vocabularies"

    def __str__(self) -> str:
        return f"vocabulary of {self.learned_at:%Y-%m-%d %H:%M}"
