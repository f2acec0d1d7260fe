"""Segments with their memberships, and rules with their published revisions, as PostgreSQL keeps them."""

from django.conf import settings
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
    active = models.BooleanField(default=True)
    size = models.PositiveIntegerField(default=0, editable=False)
    refreshed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One stay of a customer in a segment; `left_at` is empty while it lasts."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="memberships")
    customer = models.ForeignKey("customers.Customer", on_delete=models.CASCADE, related_name="memberships")
    entered_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["segment", "customer"], condition=Q(left_at__isnull=True), name="one_current_stay"
            )
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} in {self.segment_id} since {self.entered_at:%Y-%m-%d}"


class Rule(models.Model):
    """The rule a marketer edits. What decisions follow is its published revision, not this draft."""

    key = models.CharField(max_length=100, unique=True, validators=[key_format])
    name = models.CharField(max_length=200)
    text = models.TextField(help_text='For example: IF segments CONTAINS "lapsed" THEN BOOST TAGGED "produce" BY 1.5')
    priority = models.IntegerField(default=0, help_text="The highest goes first.")
    placements = models.ManyToManyField(
        "campaigns.Placement", blank=True, related_name="rules", help_text="None chosen means every placement."
    )
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    active = models.BooleanField(default=True, help_text="Untick to take the rule out of decisions at once.")
    published = models.ForeignKey(
        "Revision", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-priority", "created_at", "id"]

    def __str__(self) -> str:
        return self.name


class Revision(models.Model):
    """A rule as it was published. Rows are written once and never changed (a trigger in the database sees to it)."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    priority = models.IntegerField()
    placements = models.JSONField(default=list)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    published_at = models.DateTimeField(db_default=Now())
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["rule", "number"], name="revision_number_once")]

    def __str__(self) -> str:
        return f"revision {self.number}"
