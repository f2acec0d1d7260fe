"""An entry of the tracking plan and what a person changed in its table of properties in; checked changes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from decisioning.config import clock

from ..models import PlannedEvent, PlanProblem
from ..plan.checking import DEFAULT, LONGEST_NAME, Property
from ..plan.kinds import ANY, TYPES

BLANKS: Final = 3
MONTHS: Final = (1, 2, 3, 6, 12, 13, 18, 24, 36, 60, 84, 120)
CHOICES: Final = [(name, label) for name, (label, _) in TYPES.items()]

Changes = dict[str, Property | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One property as the table shows it; `others` are types it was also seen with, most frequent first."""

    name: str
    type: str
    required: bool
    seen: int
    share: float | None
    others: str

    @property
    def times(self) -> str:
        """How often it was seen, for people."""
        return f"{self.seen:,}"


def rows_of(entry: PlannedEvent) -> list[Row]:
    """The properties of an entry by name; `share` is in percent of its events."""
    return [_row(name, held, entry.seen) for name, held in sorted(entry.properties.items())]


def _row(name: str, held: Mapping[str, Any], events: int) -> Row:
    type_, types = held.get("type", ANY), held.get("types") or {}
    others = sorted((item for item in types.items() if item[0] != type_), key=lambda item: (-item[1], item[0]))
    told = ", ".join(f"{_label(kind)} {times:,} times" for kind, times in others)
    seen = int(held.get("seen", 0))
    share = min(100.0, 100 * seen / events) if events else None
    return Row(name, type_, bool(held.get("required")), seen, share, told)


def _label(kind: str) -> str:
    return "empty" if kind == ANY else TYPES[kind][0] if kind in TYPES else kind


class PropertiesWidget(forms.Widget):
    """A table with a line for each property, and some blank lines for new ones."""

    template_name = "admin/plan/properties.html"
    rows: Sequence[Row] = ()

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """The lines, each with what was posted for it where that was refused."""
        posted = value or {}
        context = super().get_context(name, None, attrs)
        context["rows"] = [
            (row, self._line(name, index, posted.get(row.name), row)) for index, row in enumerate(self.rows)
        ]
        blanks = [item for item in posted.items() if item[0] not in {row.name for row in self.rows}]
        blanks += [("", None)] * (BLANKS if len(blanks) < BLANKS else 1)
        context["blanks"] = [self._blank(f"{name}-new-{index}", *item) for index, item in enumerate(blanks)]
        context["name"] = name
        return context

    def _line(self, name: str, index: int, posted: Mapping[str, Any] | None, row: Row) -> dict[str, Any]:
        prefix, said = f"{name}-{index}", posted or {"type": row.type, "required": row.required, "gone": False}
        out = UnfoldBooleanWidget({"aria-label": f"Take {row.name} out of the plan"})
        return {"prefix": prefix, "gone": out.render(f"{prefix}-gone", said["gone"]), **_inputs(prefix, row.name, said)}

    def _blank(self, prefix: str, name: str, posted: Mapping[str, Any] | None) -> dict[str, Any]:
        field = UnfoldAdminTextInputWidget({"maxlength": LONGEST_NAME, "aria-label": "Name of a new property"})
        said = posted or {"type": "text", "required": False}
        return {"field": field.render(f"{prefix}-name", name), **_inputs(prefix, "the new property", said)}

    def value_from_datadict(self, data: Any, files: Any, name: str) -> dict[str, dict[str, Any]]:
        """{property: what was posted for it}"""
        found = {}
        for prefix in self._prefixes(data, name):
            key = str(data.get(f"{prefix}-name", "")).strip()
            if key:
                found[key] = {
                    "type": data.get(f"{prefix}-type", ANY),
                    "required": bool(data.get(f"{prefix}-required")),
                    "gone": bool(data.get(f"{prefix}-gone")),
                }
        return found

    @staticmethod
    def _prefixes(data: Any, name: str) -> list[str]:
        return [key.removesuffix("-name") for key in data if key.startswith(f"{name}-") and key.endswith("-name")]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Unticked boxes are not sent, and mean no."""
        return False


def _inputs(prefix: str, name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    choose = UnfoldAdminSelectWidget({"aria-label": f"Type of {name}"}, CHOICES)
    tick = UnfoldBooleanWidget({"aria-label": f"Whether {name} is required"})
    return {
        "type": choose.render(f"{prefix}-type", said["type"]),
        "required": tick.render(f"{prefix}-required", said["required"]),
    }


class PropertiesField(forms.Field):
    """What was changed in the table: {property: `Property`, or None for one to go}."""

    widget = PropertiesWidget

    def show(self, rows: Sequence[Row]) -> None:
        """The lines the table begins with."""
        self.rows = {row.name: row for row in rows}
        self.widget.rows = rows

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether any line differs from what it began with."""
        return bool(self._changes(data))

    def clean(self, value: Mapping[str, Mapping[str, Any]]) -> Changes:
        """Refuse types that there are not, and names that no event can have."""
        for name, said in value.items():
            if said["type"] not in TYPES:
                raise ValidationError(f"There is no type “{said['type']}” for {name}; choose one from the list.")
            if len(name) > LONGEST_NAME or "\0" in name:
                raise ValidationError(f"“{name[:20]}…” is no name for a property: {LONGEST_NAME} characters at most.")
        return self._changes(value)

    def _changes(self, value: Mapping[str, Mapping[str, Any]]) -> Changes:
        changes: Changes = {}
        for name, said in value.items():
            row = self.rows.get(name)
            if said["gone"]:
                changes[name] = None
            elif row is None or (row.type, row.required) != (said["type"], said["required"]):
                changes[name] = Property(said["type"], said["required"])
        return changes


class EntryForm(forms.ModelForm):
    """An entry: words and rules about the event, and its properties."""

    changes = PropertiesField(label="Properties", required=False)

    class Meta:
        model = PlannedEvent
        fields = ["name", "description", "locked", "policy", "keep"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if isinstance(field := self.fields.get("changes"), PropertiesField):
            field.show(rows_of(self.instance))
        if "keep" in self.fields:
            self.fields["keep"] = _months(self.instance.keep)

    def clean(self) -> dict[str, Any]:
        """Types hold when locked; before that the event itself tells them."""
        values = super().clean() or {}
        if DEFAULT in (self.instance.name, values.get("name")):
            # It stands for names; there is nothing it could hold.
            values["changes"] = {}
        known = {row.name: row for row in rows_of(self.instance)}
        if not values.get("locked"):
            for name, wanted in (values.get("changes") or {}).items():
                if wanted and name in known and known[name].seen and wanted.type != known[name].type:
                    told = f"Unlocked, “{name}” has the type it was seen with most."
                    self.add_error("changes", f"{told} Lock the event for your types to hold.")
        return values


def _months(now: int) -> forms.TypedChoiceField:
    """A choice of months; one that was imported is among them."""
    choices = [(n, f"{n} month{'s' * (n > 1)}") for n in sorted({*MONTHS, now} - {0})]
    return forms.TypedChoiceField(
        label="Keep for",
        choices=[(0, "ever"), *choices],
        coerce=int,
        widget=UnfoldAdminSelectWidget,
        help_text=kept(now, clock.now()),
    )


def kept(months: int, now: datetime) -> str:
    """What is deleted when, in a sentence."""
    index = now.year * 12 + now.month + months
    then = datetime(index // 12, index % 12 + 1, 1)
    rule = (
        f"What arrives in {now:%B %Y} is deleted on 1 {then:%B %Y}, a whole month at a time."
        if months
        else "Nothing is deleted. With 6 months, for example, what arrives in January is deleted on 1 August."
    )
    return (
        f"{rule} A change is for events that arrive from now on; those already there go when they would have gone. "
        "Facts and segments computed from them stay as they are."
    )


def problems_of(entry: PlannedEvent, since: datetime) -> list[PlanProblem]:
    """What did not fit an entry lately, the newest and most frequent first."""
    rows = PlanProblem.objects.filter(event=entry.name, day__gte=since.date())
    return list(rows.order_by("-day", "-times", "property")[:100])
