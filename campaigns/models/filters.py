"""Named conditions on contents that a call may ask for, with values of its own."""

from typing import Final

from django.core.exceptions import ValidationError
from django.db import models

from rules.language import RuleError
from rules.language.placeholders import TYPES, WrongValue, names_in, tried
from rules.models import key_format

MOST_LINES: Final = 20


class Filter(models.Model):
    """A condition on contents; what stands in it as `$name` the caller gives, of the type that is said here."""

    key = models.CharField(max_length=100, unique=True, validators=[key_format])
    name = models.CharField(max_length=200)
    condition = models.TextField(
        help_text="On attributes of contents, such as: department = $department AND price < 20"
    )
    values = models.TextField(
        blank=True,
        help_text="A line for each $name with its type: text, number, boolean, date, text_list, number_list.",
    )
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.name

    @property
    def types(self) -> dict[str, str]:
        """The type of each value, by its name; lines that say nothing are left out."""
        pairs = (line.replace(":", " ").split() for line in self.values.splitlines())
        return {pair[0].removeprefix("$"): pair[1] for pair in pairs if len(pair) == 2}

    def clean(self) -> None:
        """Refuse what could not be used, with the line or the place at fault."""
        lines = [line for line in self.values.splitlines() if line.strip()]
        if len(lines) > MOST_LINES:
            raise ValidationError({"values": f"At most {MOST_LINES} values."})
        for line in lines:
            pair = line.replace(":", " ").split()
            if len(pair) != 2 or pair[1] not in TYPES:
                raise ValidationError({"values": f"“{line}”: write a name and a type, one of {', '.join(TYPES)}."})
        types = self.types
        if unused := sorted(types.keys() - set(names_in(self.condition))):
            raise ValidationError({"values": f"The condition has no ${unused[0]}; leave the line out, or use it."})
        try:
            tried(self.condition, types)
        except WrongValue as error:
            raise ValidationError({"values": str(error)}) from None
        except RuleError as error:
            raise ValidationError({"condition": str(error)}) from None
