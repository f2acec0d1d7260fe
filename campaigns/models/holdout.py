"""Whom every placement holds out, so that all that is decided for the others can be compared with nothing."""

from typing import Final

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

MOST: Final = 0.5  # with more than half held out it is the treatment that is the exception


def holdout_share(what: str) -> models.FloatField:
    """A share of customers, 0 to 0.5."""
    return models.FloatField(
        "share held out",
        default=0.0,
        db_default=0.0,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(MOST)],
        help_text=what,
    )


class Holdout(models.Model):
    """One row: the holdout of all placements. A placement may hold out more, and those of all are among them."""

    share = holdout_share("Of all customers: everywhere the same people, who get default contents.")
    draw = models.CharField(
        max_length=50,
        default="1",
        db_default="1",
        help_text="Another word, such as 2027-q1, draws other customers, in every placement.",
    )

    class Meta:
        verbose_name = "holdout"

    def __str__(self) -> str:
        return f"{self.share:.1%} of all customers"


def of_all() -> tuple[float, str]:
    """The share and the draw of the holdout of all placements."""
    return Holdout.objects.order_by("pk").values_list("share", "draw").first() or (0.0, "1")
