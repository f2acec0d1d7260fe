"""Customers, what they are known by, what ties that together and what they allowed, as PostgreSQL keeps it."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Customer(models.Model):
    """A person, known or anonymous. `key` is the id that clients use; facts are what rules and scorers read."""

    key = models.CharField(max_length=220, unique=True)
    traits = models.JSONField(default=dict, blank=True)
    facts = models.JSONField(default=dict, blank=True)
    facts_at = models.DateTimeField(null=True, blank=True)
    facts_version = models.BigIntegerField(default=0)
    unit = models.CharField(
        max_length=220,
        blank=True,
        help_text="What chances and experiments draw by where it is not the key: the first one survives a merge.",
    )
    merged_into = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="absorbed", editable=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            # No index may read what every event changes (facts, facts_at): its updates stay within their page (HOT).
            # Lists show the newest first, and nobody who was merged into somebody else.
            models.Index(fields=["-id"], name="customer_unmerged", condition=Q(merged_into__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.key


class Identity(models.Model):
    """One identifier of a customer. Events belong to identities; which customer an identity is of may change."""

    class Kind(models.TextChoices):
        USER = "user_id", "user id"
        LOYALTY = "loyalty_id", "loyalty id"
        EMAIL = "email", "e-mail"
        PHONE = "phone", "phone"
        DEVICE = "device_id", "device id"
        ANONYMOUS = "anonymous_id", "anonymous id"

    kind = models.CharField(max_length=20, choices=Kind)
    value = models.CharField(max_length=200)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="identities")
    home = models.ForeignKey(
        Customer,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="born",
        help_text="The customer that came into being with it; it returns there when a merge is undone.",
    )
    first_at = models.DateTimeField(null=True, blank=True, help_text="The earliest event it was in.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "identities"
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="identity_once")]
        indexes = [
            # Search by the beginning of any identifier, whatever its kind.
            models.Index(fields=["value"], name="identity_by_value", opclasses=["varchar_pattern_ops"]),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.value}"


class State(models.Model):
    """What one identity's events have added up to: `folding.State`, packed. Rebuilt from the log when lost."""

    identity = models.OneToOneField(Identity, on_delete=models.CASCADE, primary_key=True, related_name="state")
    data = models.BinaryField()
    schema = models.CharField(max_length=32, help_text="Digest of what was folded; another one means: rebuild.")
    events = models.BigIntegerField(default=0)
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.events} events of {self.identity_id}"


class Link(models.Model):
    """Evidence that two identifiers are one person: the first event in which they met, or a person's word."""

    class How(models.TextChoices):
        EVENT = "event", "met in one event"
        ALIAS = "alias", "an alias call"
        PERSON = "person", "joined by hand"
        IMPORT = "import", "an import"

    one = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="links")
    other = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="links_back")
    how = models.CharField(max_length=10, choices=How)
    at = models.DateTimeField(help_text="When the event happened.")
    message_id = models.CharField(max_length=300, blank=True)
    followed = models.BooleanField(default=False)
    code = models.CharField(max_length=30, blank=True)
    reason = models.TextField(blank=True, help_text="Why it was followed, or why not.")
    refused_at = models.DateTimeField(null=True, blank=True)
    refused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["one", "other", "how"], name="link_once")]
        indexes = [
            # What nobody could judge yet: it waited for a customer whom somebody else held.
            models.Index(fields=["id"], name="link_unjudged", condition=Q(code="")),
            # What asks for a person: the proposals made of conflicts.
            models.Index(fields=["id"], name="link_to_review", condition=Q(code__in=["two_user_ids", "conflict"])),
        ]

    def __str__(self) -> str:
        return f"{self.one_id} – {self.other_id}"


class Merge(models.Model):
    """One customer became part of another: which link did it, when, and whether it was undone."""

    winner = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="merges")
    loser = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="merged")
    link = models.ForeignKey(Link, on_delete=models.SET_NULL, null=True, blank=True, related_name="merges")
    reason = models.TextField(blank=True)
    at = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            # A customer is part of one other at a time.
            models.UniqueConstraint(fields=["loser"], name="merge_once", condition=Q(undone_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.loser} into {self.winner}"


class Proposal(models.Model):
    """Two customers who may be one person, for somebody to decide; nothing merges by itself."""

    class State(models.TextChoices):
        OPEN = "open", "open"
        ACCEPTED = "accepted", "merged"
        DISMISSED = "dismissed", "not the same"

    one = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="proposals")
    other = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="proposals_back")
    score = models.FloatField(help_text="0 to 1.")
    reasons = models.JSONField(default=list)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["one", "other"], name="proposal_once")]
        indexes = [
            # The list of what is to be decided, the surest first.
            models.Index(fields=["-score"], name="proposal_open", condition=Q(state="open")),
        ]

    def __str__(self) -> str:
        return f"{self.one} = {self.other}?"


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


class FactVocabulary(models.Model):
    """The departments, traits, event names and quintile edges that facts are cut by, learned from everybody."""

    data = models.JSONField()
    histories = models.JSONField(default=list, help_text="Names of the histories that everybody's facts hold.")
    asked = models.JSONField(default=list, help_text="What everybody's due moments were computed for.")
    learned_at = models.DateTimeField(help_text="By the product's clock.")

    class Meta:
        verbose_name_plural = "fact vocabularies"

    def __str__(self) -> str:
        return f"vocabulary of {self.learned_at:%Y-%m-%d %H:%M}"
