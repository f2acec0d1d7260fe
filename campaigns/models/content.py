"""Contents and the placements that ask for them, as PostgreSQL keeps them."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from rules.models import key_format

from .holdout import holdout_share
from .windows import LONGEST


def window(what: str) -> models.FloatField:
    """A window of a placement's own."""
    return models.FloatField(
        f"{what.lower()} counts for",
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(LONGEST)],
        help_text="Hours after the decision; empty is as in all placements, see Windows.",
    )


class Placement(models.Model):
    """A named slot of a page, app or message that asks for a number of contents."""

    # The names and meanings of `decisioning.engine.policies.POLICIES`.
    class Policy(models.TextChoices):
        GREEDY = "greedy", "best first"
        EPSILON = "epsilon", "best first, with some exploration"
        SOFTMAX = "softmax", "by chance, the better the likelier (softmax)"
        THOMPSON = "thompson", "Thompson sampling of success rates"
        LINUCB = "linucb", "LinUCB: best by upper bound in the customer's context"
        LINEAR_THOMPSON = "linear-thompson", "linear Thompson sampling in the customer's context"

    # The names and meanings of `decisioning.learning.recall.LISTS`.
    class CandidateList(models.TextChoices):
        POPULAR = "popular", "popular: with everybody, and in the customer's segments"
        ANSWERS = "answers", "answers: fits what the customer answered or likes best"
        TASTES = "tastes", "tastes: chosen by customers with like tastes (matrix factors)"
        PEOPLE = "people", "people: chosen by those who chose the same"
        ALIKE = "alike", "alike: like what was clicked or is looked at, by its texts"
        TOGETHER = "together", "together: bought with what is looked at or in the basket"
        UPSELL = "upsell", "upsell: like what is looked at, and earns more"

    class Objective(models.TextChoices):
        CLICK = "click", "chance of a click"
        CONVERSION = "conversion", "chance of a conversion"
        VALUE = "value", "expected value (with margins)"

    key = models.CharField(max_length=100, unique=True, validators=[key_format])
    name = models.CharField(max_length=200)
    count = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(50)])
    audience = models.TextField(blank=True, help_text="A condition; others get the default contents.")
    objective = models.CharField(max_length=12, choices=Objective, default=Objective.CONVERSION)
    policy = models.CharField(max_length=20, choices=Policy, default=Policy.EPSILON)
    exploration = models.FloatField(
        default=0.1,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of slots filled at random, so that every content is tried. Best first alone has none.",
    )
    temperature = models.FloatField(
        default=0.2,
        db_default=0.2,
        blank=True,
        validators=[MinValueValidator(0.001), MaxValueValidator(100)],
        help_text="For softmax: a content this share of the best score below it is chosen e = 2.7 times less often.",
    )
    bandit_width = models.FloatField(
        default=1.0,
        db_default=1.0,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="For LinUCB and linear Thompson: how much what is not known counts; 0 believes the means.",
    )
    bandit_facts = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text="For LinUCB and linear Thompson: the numbers they learn from.",
    )
    bandit_shared = models.BooleanField(
        "learned together",
        default=False,
        db_default=False,
        help_text="For LinUCB and linear Thompson: contents with common tags learn from each other, new ones too.",
    )
    new_share = models.FloatField(
        default=0.0,
        db_default=0.0,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of slots given to contents that were hardly shown here, under every policy; 0 is none.",
    )
    new_showings = models.PositiveIntegerField(
        default=100,
        db_default=100,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="A content counts as new until it was shown so often.",
    )
    ledger_share = models.FloatField(
        default=1.0,
        db_default=1.0,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of decisions kept whole; of the others the ledger has what outcomes and learning need.",
    )
    diversity_attribute = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="An attribute of contents, such as brand; empty is no limit.",
    )
    diversity_most = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="So many contents with one value of that attribute are shown together at most.",
    )
    diversity_weight = models.FloatField(
        default=0.0,
        db_default=0.0,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="How much being unlike what is shown counts against the score: 0 not at all, 1 alone.",
    )
    freshness_half_life_days = models.FloatField(
        default=0.0,
        db_default=0.0,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(3660)],
        help_text="A content that starts today counts twice; half of that lead is gone after so many days; 0 is off.",
    )
    candidate_lists = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text="For thousands of contents: the lists that choose the 500 worth ranking. None: all contents compete.",
    )
    impression_hours = window("An impression")
    click_hours = window("A click")
    window_hours = window("A conversion")
    value_hours = window("Its value")
    holdout_share = holdout_share(
        "Of its customers: they get its default contents, to compare with. 0: as in all placements."
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
    margin = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="The share of its value that is earned, 0 to 1, where value is the objective; empty is all of it.",
    )
    boost = models.FloatField(
        default=1.0,
        db_default=1.0,
        blank=True,
        validators=[MinValueValidator(0.001), MaxValueValidator(1000)],
        help_text="The business's own factor on its score, everywhere: 2 is twice, 0.5 half.",
    )
    stock = models.IntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="How many there are; 0 is not shown, empty is no limit. An attribute named stock stands above it.",
    )
    needs_consent = models.CharField(
        max_length=20,
        blank=True,
        default="",
        db_default="",
        validators=[key_format],
        help_text="Shown only to customers who consented to this channel, such as email; empty needs none.",
    )
    cap_count = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="At most so many showings to one customer; empty is without limit.",
    )
    cap_hours = models.FloatField(
        default=24.0,
        db_default=24.0,
        blank=True,
        validators=[MinValueValidator(0.01), MaxValueValidator(366 * 24)],
        help_text="The window of that cap, in hours.",
    )
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
