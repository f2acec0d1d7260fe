"""Rules with their published revisions, as PostgreSQL keeps them."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from .segments import key_format


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
