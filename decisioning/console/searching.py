"""What searches of long logs share: filters of a form, some of them behind a click, and reading within a time."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, TypeVar

from django import forms
from django.db.models import Model, QuerySet
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from ..store.limiting import until

Row = TypeVar("Row", bound=Model)


def text(label: str, place: str, suggestions: str = "") -> forms.CharField:
    """A field to type in; `suggestions` is the id of a list in the page."""
    attrs = {"placeholder": place, "autocomplete": "off"} | ({"list": suggestions} if suggestions else {})
    return forms.CharField(label=label, required=False, max_length=300, widget=UnfoldAdminTextInputWidget(attrs))


def choice(label: str, choices: Iterable[tuple[str, str]]) -> forms.ChoiceField:
    """A field to choose in."""
    return forms.ChoiceField(label=label, required=False, choices=choices, widget=UnfoldAdminSelectWidget())


def moment(label: str) -> forms.DateTimeField:
    """A field for a moment, to the second."""
    widget = UnfoldAdminTextInputWidget({"type": "datetime-local", "step": "1"})
    return forms.DateTimeField(label=label, required=False, widget=widget)


class Filters(forms.Form):
    """A form whose fields named in `FIRST` are always open; the others wait behind a click."""

    FIRST: ClassVar[Sequence[str]] = ()

    def first(self) -> list[forms.BoundField]:
        """The filters that are always open."""
        return [self[name] for name in self.FIRST]

    def more(self) -> list[forms.BoundField]:
        """The filters that wait behind a click."""
        return [field for field in self if field.name not in self.FIRST]

    def more_asked(self) -> bool:
        """Whether one of those was used."""
        return any(field.data or field.errors for field in self.more())


def read(rows: QuerySet[Row], deadline: float) -> list[Row]:
    """The rows, or OutOfTime when the deadline (by `monotonic`) comes first."""
    with until(deadline):
        return list(rows)
