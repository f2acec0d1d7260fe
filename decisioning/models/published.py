"""What decisions are made with: artefacts, scores, snapshots, and the number of the last change."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Artefact(models.Model):
    """A learned thing with its metrics: text or arrays, signed, never a pickle. One of a kind is active."""

    class Kind(models.TextChoices):
        SCORER = "scorer", "scorer"
        CLUSTERING = "clustering", "clustering"
        RECALL = "recall", "candidate lists"
        CHURN = "churn", "churn"
        REPURCHASE = "repurchase", "repurchase"
        VALUE = "value", "lifetime value"

    kind = models.CharField(max_length=12, choices=Kind)
    data = models.BinaryField()
    signature = models.CharField(max_length=64)
    schema_hash = models.CharField(max_length=64, blank=True)
    metrics = models.JSONField(default=dict)
    active = models.BooleanField(default=False)
    trained_at = models.DateTimeField(help_text="By the product's clock.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    since = models.DateTimeField("learned from", null=True, help_text="The first moment it learned from.")
    until = models.DateTimeField("learned until", null=True, help_text="Nothing after this moment was learned from.")
    golden = models.JSONField(default=dict, db_default={}, help_text="Inputs, and the scores it gave them at first.")
    note = models.TextField(blank=True, default="", db_default="", help_text="Why a person put it to work.")
    parent = models.ForeignKey("self", models.SET_NULL, null=True, related_name="+", help_text="The champion it met.")
    former = models.ForeignKey("self", models.SET_NULL, null=True, related_name="+", help_text="What it replaced.")
    shadow_since = models.DateTimeField(
        "runs as shadow since", null=True, help_text="It scores live decisions beside the active one; nobody sees it."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind"], condition=Q(active=True), name="one_active_artefact_a_kind")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class ScoredContents(models.Model):
    """Which contents scores are of, in the order of their values. Kept once, not with every customer."""

    keys = ArrayField(models.CharField(max_length=100))
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the keys: too many for an index.")

    class Meta:
        verbose_name_plural = "scored contents"

    def __str__(self) -> str:
        return f"{len(self.keys)} contents"


class Score(models.Model):
    """A customer's score for every content, as the worker wrote them with one scorer."""

    customer = models.OneToOneField("customers.Customer", on_delete=models.CASCADE, primary_key=True)
    # Written for everybody at once: that both are there is looked at once, not with every row.
    artefact = models.ForeignKey(Artefact, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    contents = models.ForeignKey(ScoredContents, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    values = ArrayField(models.FloatField(), help_text="A chance for each of the contents, in their order.")
    at = models.DateTimeField(help_text="Of when the facts are that it stands on; others by now mean: score again.")

    def __str__(self) -> str:
        return f"{self.customer_id} by scorer {self.artefact_id}"

    @property
    def by_content(self) -> dict[str, float]:
        """{content key: chance}"""
        return dict(zip(self.contents.keys, self.values, strict=True))


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
