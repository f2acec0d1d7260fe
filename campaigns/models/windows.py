"""How long after a decision what follows is still credited to it: for all placements, or for one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

if TYPE_CHECKING:
    from .content import Placement

LONGEST: Final = 366 * 24  # hours
# Letters are opened days later; what somebody buys is owed to what they saw the same day.
USUAL: Final[Mapping[str, float]] = {"impression": 168.0, "click": 168.0, "conversion": 24.0, "value": 24.0}
# The placement's field that stands above it.
FIELDS: Final = {kind: "window_hours" if kind == "conversion" else f"{kind}_hours" for kind in USUAL}


class Window(models.Model):
    """The window of one kind of outcome in every placement that has none of its own."""

    class Kind(models.TextChoices):
        IMPRESSION = "impression", "impressions"
        CLICK = "click", "clicks"
        CONVERSION = "conversion", "conversions"
        VALUE = "value", "value of conversions"

    kind = models.CharField("what follows", max_length=10, choices=Kind, unique=True)
    hours = models.FloatField(
        validators=[MinValueValidator(0), MaxValueValidator(LONGEST)],
        help_text="It counts for so long after the decision; what comes later is kept, and credited to nothing.",
    )

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} within {self.hours:g} hours"


def usual() -> dict[str, float]:
    """{kind: hours} in placements that say nothing, in the order of `USUAL`."""
    kept = dict(Window.objects.values_list("kind", "hours"))
    return {kind: kept.get(kind, hours) for kind, hours in USUAL.items()}


def windows_of(placement: "Placement", for_all: Mapping[str, float]) -> tuple[float, float, float, float]:
    """Hours for impressions, clicks, conversions and value in a placement."""
    own = {kind: getattr(placement, name) for kind, name in FIELDS.items()}
    impression, click, conversion, value = (for_all[kind] if own[kind] is None else own[kind] for kind in USUAL)
    return impression, click, conversion, value
