"""What is to be searched for clusters in: facts, algorithms, scales, numbers; words for the worker's task out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from decisioning.customers import profile
from decisioning.customers.admin.catalogue import OTHER, OWN, SOURCES
from decisioning.customers.facts import defining
from decisioning.customers.facts.catalogue import built_in_facts
from decisioning.customers.models import Distribution
from decisioning.learning.algorithms import NAMES
from decisioning.learning.clustering import DEFAULTS, NUMBERS
from decisioning.learning.judging import LIMITS, percent
from decisioning.learning.scaling import KINDS

MOST: Final = 12  # facts: with more, everybody is about as far from everybody else
FEWEST: Final = 2  # clusters
ALGORITHMS: Final[Mapping[str, str]] = {
    "k-means": "round clusters, each around its centre",
    "mini-batch k-means": "the same from small samples",
    "bisecting k-means": "divides everybody in two, then the larger part, and so on",
    "Ward": "joins the two nearest groups, again and again",
    "DBSCAN": "crowds of any shape; who is in none is unusual; finds the number itself",
    "HDBSCAN": "the same where some crowds are denser than others",
}
SCALES: Final[Mapping[str, str]] = {
    "log": "for money and counts: a few big values are no groups of their own",
    "standard": "for facts that are even already",
    "quantile": "ranks, for facts of any shape",
    "raw": "values as they are, for facts of one unit; big spenders look like clusters on it",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A number that customers could be clustered on; `coverage` is the share who have it, None if never counted."""

    name: str
    label: str
    theme: str
    description: str
    coverage: float | None

    @property
    def known(self) -> str:
        """Who has it, in words."""
        return "" if self.coverage is None else f"{percent(self.coverage)} have it"


def choices() -> dict[str, Choice]:
    """The numbers of the catalogue, by name; the task's words cannot carry names with commas."""
    counted = dict(Distribution.objects.values_list("name", "coverage"))
    found = {one.name: one for one in _numbers(counted)}
    return {name: one for name, one in found.items() if "," not in name and not name.startswith("-")}


def _numbers(counted: Mapping[str, float]) -> Iterator[Choice]:
    for fact in built_in_facts(profile.vocabulary()):
        if fact.type == "number":
            theme = SOURCES.get(fact.source.name, OTHER)[0]
            yield Choice(fact.name, fact.label or fact.name, theme, fact.description, counted.get(fact.name))
    for own in defining.published().facts:
        if own.type == "number":
            yield Choice(own.name, own.label or own.name, OWN, own.description, counted.get(own.name))


class AskForm(forms.Form):
    """What is tried; everything that is ticked is combined with everything else."""

    facts = forms.MultipleChoiceField(
        error_messages={
            "required": "Tick at least one fact to cluster on.",
            "invalid_choice": "There is no number fact “%(value)s” (any more); take it out.",
        }
    )
    algorithms = forms.MultipleChoiceField(
        choices=[(name, name) for name in NAMES],
        error_messages={"required": "Tick at least one algorithm.", "invalid_choice": "There is no “%(value)s”."},
    )
    scalings = forms.MultipleChoiceField(
        choices=[(name, name) for name in KINDS],
        error_messages={"required": "Tick at least one scale.", "invalid_choice": "There is no scale “%(value)s”."},
    )
    numbers = forms.TypedMultipleChoiceField(
        choices=[(number, str(number)) for number in range(FEWEST, LIMITS.most + 1)],
        coerce=int,
        error_messages={
            "required": "Tick at least one number of clusters.",
            "invalid_choice": f"%(value)s clusters cannot be asked for; {FEWEST} to {LIMITS.most} can.",
        },
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.known = choices()
        self.fields["facts"].choices = [(name, one.label) for name, one in self.known.items()]  # type: ignore[attr-defined]

    def clean_facts(self) -> list[str]:
        """Refuse more facts than distances make sense in, and facts that nobody has."""
        names = list(self.cleaned_data["facts"])
        if len(names) > MOST:
            raise ValidationError(
                f"With {len(names)} facts everybody is about as far from everybody else; tick at most {MOST}."
            )
        if nobody := [self.known[name].label for name in names if self.known[name].coverage == 0]:
            raise ValidationError(f"Nobody has {', '.join(f'“{label}”' for label in nobody)}; take it out.")
        return names

    def words(self) -> dict[str, str]:
        """Options of `manage.py learn compare`."""
        return {name: ",".join(map(str, values)) for name, values in self.cleaned_data.items()}

    # -- for the template

    def themes(self) -> list[tuple[str, list[tuple[Choice, bool]]]]:
        """The facts by theme, each with whether it is ticked; themes with ticks come first."""
        ticked = self._ticked("facts")
        found: dict[str, list[tuple[Choice, bool]]] = {}
        for one in self.known.values():
            found.setdefault(one.theme, []).append((one, one.name in ticked))
        return sorted(found.items(), key=lambda pair: not any(on for _, on in pair[1]))

    def algorithm_boxes(self) -> list[tuple[str, str, bool]]:
        """Name, what it is for, whether it is ticked."""
        return [(name, ALGORITHMS[name], name in self._ticked("algorithms")) for name in NAMES]

    def scale_boxes(self) -> list[tuple[str, str, bool]]:
        """The same of the scales."""
        return [(name, SCALES[name], name in self._ticked("scalings")) for name in KINDS]

    def number_boxes(self) -> list[tuple[int, bool]]:
        """Numbers of clusters, with whether each is ticked."""
        return [(number, str(number) in self._ticked("numbers")) for number in range(FEWEST, LIMITS.most + 1)]

    def _ticked(self, name: str) -> set[str]:
        return {str(value) for value in self[name].value() or ()}


def asked_before(metrics: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """What to begin with: what was searched the last time, where that is known; the defaults."""
    options = (metrics or {}).get("options") or {}
    defaults = {
        "facts": DEFAULTS.facts,
        "algorithms": DEFAULTS.algorithms,
        "scalings": DEFAULTS.scalings,
        "numbers": NUMBERS,
    }
    return {name: list(options.get(name) or values) for name, values in defaults.items()}
