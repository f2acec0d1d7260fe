"""A fact's policy in; a form to set it, with fields that suit the fact, out."""

import math
from typing import Any, Final

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from decisioning.learning.policies import Policy

from ..models import QualityPolicy

READ: Final = ("number", "boolean", "text")
WIDEST: Final = 1_000.0


class PolicyForm(forms.ModelForm):
    """What learning does with one fact's outliers and gaps."""

    width = forms.FloatField(
        label="How far out",
        min_value=0.1,
        max_value=WIDEST,
        initial=3.0,
        required=False,
        help_text="Interquartile ranges beyond the quartiles, or standard deviations off the mean; 3 is common.",
        widget=UnfoldAdminTextInputWidget({"type": "number", "step": "any", "min": "0.1", "inputmode": "decimal"}),
    )

    class Meta:
        model = QualityPolicy
        fields = ["outliers", "method", "width", "missing", "note"]
        labels = {"method": "Outliers are told by", "missing": "Missing values"}
        help_texts = {"note": "Why; for those who come after."}
        widgets = {
            "outliers": UnfoldAdminSelectWidget(),
            "method": UnfoldAdminSelectWidget(),
            "missing": UnfoldAdminSelectWidget(),
            "note": UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        }

    def __init__(self, *args: Any, kind: str, **options: Any) -> None:
        super().__init__(*args, **options)
        if kind != "number":
            for name in ("outliers", "method", "width"):
                del self.fields[name]
            self.fields["missing"].choices = [  # type: ignore[attr-defined]
                pair for pair in QualityPolicy.Missing.choices if pair[0] not in _unsuited(kind)
            ]

    def clean_width(self) -> float:
        """Left empty, it is what is common."""
        width = self.cleaned_data.get("width")
        return 3.0 if width is None or not math.isfinite(width) else width

    def save(self, commit: bool = True) -> QualityPolicy:
        """A fact that is no number has no outliers, whatever a policy starts with."""
        if "outliers" not in self.fields:
            self.instance.outliers = QualityPolicy.Outliers.KEEP
        saved: QualityPolicy = super().save(commit)
        return saved

    @property
    def policy(self) -> Policy:
        """What was asked, as learning takes it; of a valid form."""
        said = self.cleaned_data
        return Policy(
            said.get("outliers") or QualityPolicy.Outliers.KEEP,
            said.get("method") or QualityPolicy.Method.IQR,
            said.get("width") or 3.0,
            said["missing"],
        )


def _unsuited(kind: str) -> tuple[str, ...]:
    """Ways to fill gaps that make no value of this kind."""
    missing = QualityPolicy.Missing
    return (missing.MEDIAN, missing.MICE) if kind == "text" else (missing.MEDIAN,)
