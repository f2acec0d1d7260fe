"""What decisions are made with: artefacts, scores, snapshots, and the number of the last change."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Artefact(models.Model):
    """A learned thing with its metrics: text or arrays, signed, never a pickle. One of a kind is active."""

    class Kind(models.TextChoices):
        SCORER = "scorer", "scorer"
        CLUSTERING = "clustering", "clustering"

    kind = models.CharField(max_length=12, choices=Kind)
    data = models.BinaryField()
    signature = models.CharField(max_length=64)
    schema_hash = models.CharField(max_length=64, blank=True)
    metrics = models.JSONField(default=dict)
    active = models.BooleanField(default=False)
    trained_at = models.DateTimeField(help_text="By the product's clock.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind"], condition=Q(active=True), name="one_active_artefact_a_kind")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class Score(models.Model):
    """A customer's score for every content, as the worker wrote them with one scorer."""

    customer = models.OneToOneField("customers.Customer", on_delete=models.CASCADE, primary_key=True)
    artefact = models.ForeignKey(Artefact, on_delete=models.CASCADE, related_name="+")
    values = models.JSONField(help_text="Content key to probability.")
    at = models.DateTimeField(help_text="By the product's clock; older than the facts means: score again.")

    def __str__(self) -> str:
        return f"{self.customer_id} by scorer {self.artefact_id}"


class Snapshot(models.Model):
    """A frozen, numbered copy of everything a decision needs, as handed to the serving processes."""

    number = models.BigAutoField(primary_key=True)
    digest = models.CharField(max_length=64)
    data = models.BinaryField()
    built_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"snapshot {self.number}"


class Change(models.Model):
    """One row whose number the database raises with every change of what a snapshot is made of."""

    number = models.BigIntegerField(default=0)
    built = models.BigIntegerField(default=-1)

    def __str__(self) -> str:
        return f"change {self.number}"
