"""Contents and the placements that ask for them, as PostgreSQL keeps them."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from rules.models import key_format


class Placement(models.Model):
    """A named slot of a page, app or message that asks for a number of contents."""

    class Policy(models.TextChoices):
        GREEDY = "greedy", "best first"
        EPSILON = "epsilon", "best first, with some exploration"

    class Objective(models.TextChoices):
        CONVERSION = "conversion", "chance of a conversion"
        VALUE = "value", "expected value"

    key = models.CharField(max_length=100, unique=True, validators=[key_format])
    name = models.CharField(max_length=200)
    count = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(50)])
    audience = models.TextField(blank=True, help_text="A condition; others get the default contents.")
    objective = models.CharField(max_length=12, choices=Objective, default=Objective.CONVERSION)
    policy = models.CharField(max_length=10, choices=Policy, default=Policy.EPSILON)
    exploration = models.FloatField(
        default=0.1,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of slots filled at random, so that every content is tried.",
    )
    window_hours = models.FloatField(
        default=24.0,
        validators=[MinValueValidator(0), MaxValueValidator(366 * 24)],
        help_text="A conversion counts for so long after the contents were shown.",
    )
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class Content(models.Model):
    """Anything that can be shown or sent. Rules aim at its key, tags and attributes."""

    key = models.CharField(max_length=100, unique=True, validators=[key_format])
    name = models.CharField(max_length=200)
    body = models.JSONField(default=dict, blank=True, help_text="What the app gets: title, text, url, image …")
    attributes = models.JSONField(default=dict, blank=True)
    tags = models.JSONField(default=list, blank=True, help_text='A list, such as ["produce", "eco"].')
    value = models.FloatField(default=1.0, validators=[MinValueValidator(0)], help_text="Worth of one conversion.")
    placements = models.ManyToManyField(
        Placement, blank=True, related_name="contents", help_text="None chosen means every placement."
    )
    default_for = models.ManyToManyField(
        Placement, blank=True, related_name="defaults", help_text="Shown there when nothing else may be."
    )
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.name
