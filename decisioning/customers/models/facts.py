"""Facts that people define, how all facts are distributed, what is wrong with them, and when they next move."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now

from .people import Customer

fact_name = RegexValidator(
    r"^[a-z][a-z0-9_]{0,62}$", "Use lower-case letters, digits and underscores, starting with a letter."
)


class CustomFact(models.Model):
    """A fact that a person defined in the rule language. What is computed is the published text, not the draft."""

    name = models.CharField(max_length=63, unique=True, validators=[fact_name])
    label = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    unit = models.CharField(max_length=30, blank=True, help_text="For people: orders, EUR, days.")
    text = models.TextField(help_text='For example: COUNT("Order Completed" WHERE category = "Eco") IN LAST 30 DAYS')
    type = models.CharField(max_length=20, blank=True, editable=False)
    published_text = models.TextField(blank=True, editable=False)
    published_at = models.DateTimeField(null=True, blank=True, editable=False)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.label or self.name


class Distribution(models.Model):
    """How one fact's values are distributed over all customers, as last counted."""

    name = models.CharField(max_length=300, unique=True)
    type = models.CharField(max_length=20)
    coverage = models.FloatField(help_text="Share of customers who have it, 0 to 1.")
    customers = models.BigIntegerField(help_text="How many customers were counted.")
    figures = models.JSONField(default=dict, help_text="Quantiles and bars of numbers, the commonest texts.")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.coverage:.0%}"


class QualityPolicy(models.Model):
    """What learning does with one fact's outliers and gaps. Rules, segments and messages see what came in."""

    class Outliers(models.TextChoices):
        KEEP = "keep", "leave them"
        FLAG = "flag", "report them"
        CLIP = "clip", "clip them to the fence"

    class Method(models.TextChoices):
        IQR = "iqr", "interquartile range"
        Z = "z", "Z score"

    class Missing(models.TextChoices):
        KEEP = "keep", "leave them missing"
        MEDIAN = "median", "the median"
        MODE = "mode", "the commonest value"
        KNN = "knn", "from the nearest customers"
        MICE = "mice", "from the other facts, in turns (MICE)"

    fact = models.CharField(max_length=300, unique=True)
    outliers = models.CharField(max_length=10, choices=Outliers, default=Outliers.FLAG)
    method = models.CharField(max_length=10, choices=Method, default=Method.IQR)
    width = models.FloatField(
        default=3.0, help_text="Interquartile ranges beyond the quartiles, or standard deviations."
    )
    missing = models.CharField(max_length=10, choices=Missing, default=Missing.KEEP)
    note = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "quality policies"

    def __str__(self) -> str:
        return self.fact


class QualityReport(models.Model):
    """What was last found about one fact or one event: duplicates, outliers, gaps, what does not fit the plan."""

    class Kind(models.TextChoices):
        FACT = "fact", "fact"
        EVENT = "event", "event"

    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=300)
    findings = models.JSONField(default=dict)
    severity = models.PositiveSmallIntegerField(default=0, help_text="0 nothing, 1 look, 2 mend.")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="qualityreport_once")]
        verbose_name_plural = "data quality"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Due(models.Model):
    """When time alone next changes what published conditions say of a customer; found by index, not by a scan."""

    customer = models.OneToOneField(Customer, on_delete=models.CASCADE, primary_key=True, related_name="due")
    at = models.DateTimeField(help_text="By the product's clock.")

    class Meta:
        indexes = [
            # Who is due.
            models.Index(fields=["at"], name="due_at"),
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} at {self.at:%Y-%m-%d %H:%M}"
