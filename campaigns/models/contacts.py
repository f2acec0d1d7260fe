"""How often one customer may be written to, over all channels and on each, as PostgreSQL keeps it."""

from typing import Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

LONGEST: Final = 31 * 24  # hours; for so long messages are counted
MOST: Final = 1_000


class ContactLimit(models.Model):
    """At most so many messages to one customer within so many hours. Without a row there is no limit."""

    class Channel(models.TextChoices):
        ANY = "", "all channels together"
        EMAIL = "email", "e-mail"
        PUSH = "push", "push"
        WEBHOOK = "webhook", "webhook"

    channel = models.CharField(
        max_length=10,
        choices=Channel,
        blank=True,
        default=Channel.ANY,
        db_default="",
        help_text="What is counted, and what the limit holds for.",
    )
    count = models.PositiveIntegerField(
        "messages",
        validators=[MinValueValidator(1), MaxValueValidator(MOST)],
        help_text="At most so many to one customer. To send nothing at all, untick the campaigns.",
    )
    hours = models.FloatField(
        default=24.0,
        validators=[MinValueValidator(0.01), MaxValueValidator(LONGEST)],
        help_text=f"Within so many hours, counted back from each message: 168 is a week, {LONGEST} (31 days) the most.",
    )

    class Meta:
        verbose_name = "contact limit"
        ordering = ["channel", "hours"]
        constraints = [models.UniqueConstraint(fields=["channel", "hours"], name="contact_limit_once")]

    def __str__(self) -> str:
        where = "on all channels together" if not self.channel else f"by {self.get_channel_display()}"
        return f"at most {self.count} {'message' if self.count == 1 else 'messages'} {where} in {told(self.hours)}"

    def sentence(self) -> str:
        """In words, to begin with."""
        text = str(self)
        return text[0].upper() + text[1:]

    def holds_for(self, channel: str) -> bool:
        """Whether messages on this channel are counted and limited."""
        return self.channel in ("", channel)

    def clean(self) -> None:
        """Refuse a limit that another one makes idle, or that makes another one idle: one of them is a mistake."""
        if self.count is None or self.hours is None:
            return
        for other in ContactLimit.objects.exclude(pk=self.pk):
            for idle, first in ((self, other), (other, self)):
                if first.stops_before(idle):
                    text = f"“{idle.sentence()}” could never be reached, because of “{first}”. Change one of them."
                    raise ValidationError(text)

    def stops_before(self, other: "ContactLimit") -> bool:
        """Whether this one is reached first, whatever happens: it counts as much, for as long, up to fewer."""
        return self.holds_for(other.channel) and self.count <= other.count and self.hours >= other.hours


def limited() -> Q:
    """Messages that a limit holds for, as limits stand now."""
    channels = set(ContactLimit.objects.values_list("channel", flat=True))
    if not channels:
        return Q(pk__in=[])
    free = Q(campaign__ignores_limits=False)
    return free if "" in channels else free & Q(campaign__channel__in=channels)


def told(hours: float) -> str:
    """A window in the unit people would use."""
    number, unit = (hours / 24, "day") if hours and hours % 24 == 0 else (hours, "hour")
    return f"{number:g} {unit}" if number == 1 else f"{number:g} {unit}s"
