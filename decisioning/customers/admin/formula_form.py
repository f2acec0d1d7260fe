"""What somebody typed for a custom fact in; a checked draft, or a form error that points at the character, out."""

from dataclasses import replace
from typing import Any

from django.core.exceptions import ValidationError
from django.forms import ModelForm
from django.urls import reverse
from unfold.widgets import UnfoldAdminTextareaWidget

from decisioning.console.doubts import doubts_about
from decisioning.console.fields import LanguageWidget
from decisioning.store import catalogue as known
from rules import rulebook
from rules.language.fitting import SPOKEN
from rules.language.formula_check import Judged
from rules.language.formulas import formula_histories

from ..facts import defining
from ..models import CustomFact


class FormulaWidget(LanguageWidget):
    """A text area that is checked as a formula while it is typed."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """As for rules, with the formula's own check."""
        context = super().get_context(name, value, attrs)
        context["widget"]["check_url"] = reverse("admin:customers_customfact_check")
        return context


class CustomFactForm(ModelForm):
    """A draft: its text is parsed and checked as it will be when it is published."""

    class Meta:
        model = CustomFact
        fields = ["name", "label", "description", "unit", "text"]
        widgets = {
            "text": FormulaWidget(rulebook.Kind.CONDITION),
            "description": UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        }

    def clean_name(self) -> str:
        """Refuse a name that something else has, and another name for what is in use."""
        name = str(self.cleaned_data["name"])
        if self.instance.pk and self.instance.published_text and name != self.initial.get("name"):
            raise ValidationError("It is published under its name. Withdraw it first, or define another fact.")
        if problem := defining.name_problem(name, known.holder_of(name, self.instance.pk or 0)):
            raise ValidationError(problem)
        return name

    def clean_text(self) -> str:
        """Refuse a text with an error, naming line and column."""
        text = str(self.cleaned_data["text"]).replace("\r\n", "\n")
        found = judged(text, str(self.data.get("name") or self.instance.name))
        errors = [problem for problem in found.problems if problem.severity == "error"]
        if errors:
            raise ValidationError([ValidationError(rulebook.describe(problem, text)) for problem in errors])
        return text


def judged(text: str, name: str) -> Judged:
    """The problems and the type of a draft under the catalogue as it stands."""
    catalogue = known.for_formulas()
    found = defining.find(text, name, catalogue, known.of_the_moment(catalogue.facts))
    if not found.fine or found.formula is None:
        return found
    doubts = doubts_about(formula_histories(found.formula).values())
    return replace(found, problems=(*found.problems, *doubts))


def type_told(found: Judged) -> str:
    """The type as a sentence for the editor; empty where it is not known."""
    return f"This fact is {SPOKEN[found.type]}." if found.type else ""
