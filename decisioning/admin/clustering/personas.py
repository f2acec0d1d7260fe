"""A name and a story as a person wrote them, or the wish for the drafted ones, in; the persona's segment saved."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest
from django.utils.text import capfirst, get_text_list

from decisioning.config import clock
from decisioning.console.pages import go_live
from decisioning.console.uses import kind_and_page, naming
from rules.models import Segment


class PersonaForm(forms.ModelForm):
    """What people call a cluster, and what they tell of it."""

    class Meta:
        model = Segment
        fields = ["name", "story"]
        widgets = {
            "name": forms.TextInput({"class": "customers-input clustering-wide"}),
            "story": forms.Textarea({"class": "customers-input clustering-wide", "rows": 5}),
        }
        error_messages = {"name": {"required": "A persona needs a name; or use the drafted one."}}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.auto_id = f"persona-{self.instance.pk}-%s"
        self.former = self.instance.name

    def clean_name(self) -> str:
        """Refuse a name by which a rule could no longer tell who is meant."""
        name = str(self.cleaned_data["name"])
        if name != self.former:
            check_name(self.instance.pk, self.former, name)
        return name


def check_name(pk: int, former: str, name: str) -> None:
    """Raise ValidationError where another segment is called so, or a text names this one by what it was called."""
    other = Segment.objects.exclude(pk=pk).filter(Q(name__iexact=name) | Q(key__iexact=name)).first()
    if other is not None:
        raise ValidationError(
            f"The segment {other.key} is called so already, and rules could not tell them apart; take another name."
        )
    # As if its key were its name: only who names it by its name is found.
    named = naming([Segment(pk=pk, key=former, name=former)])
    by = [f"{one.said} of the {kind_and_page(one.row)[0].casefold()} “{one.row}”" for one, _ in named]
    if by:
        key = Segment.objects.values_list("key", flat=True).get(pk=pk)
        told = capfirst(get_text_list(list(dict.fromkeys(by)), "and"))
        raise ValidationError(f"{told} would lose it: write “{key}” there instead of “{former}”, then rename it.")


def save(request: HttpRequest, form: PersonaForm) -> bool:
    """Keep what a person wrote; no refit overwrites it. Whether anything was changed."""
    if not form.has_changed():
        return False
    segment = form.save(commit=False)
    segment.edited_at = clock.now()
    _keep(request, segment, form.changed_data)
    return True


def redraft(request: HttpRequest, segment: Segment, cluster: Mapping[str, Any]) -> None:
    """Back to what the clustering drafted; the next one may draft it anew. Raises ValidationError as `check_name`."""
    name = str(cluster.get("drafted_name") or cluster.get("name") or segment.name)[:200]
    if name != segment.name:
        check_name(segment.pk, segment.name, name)
    segment.name, segment.story, segment.edited_at = name, str(cluster.get("story") or ""), None
    _keep(request, segment, ["name", "story"])


def _keep(request: HttpRequest, segment: Segment, changed: list[str]) -> None:
    segment.save(update_fields=["name", "story", "edited_at"])
    admin.site.get_model_admin(Segment).log_change(request, segment, [{"changed": {"fields": changed}}])
    go_live(request)
