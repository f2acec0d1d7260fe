"""A segment and a choice of columns in; a CSV file of its members, streamed and written into the admin's log, out."""

from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelect2MultipleWidget,
    UnfoldBooleanWidget,
)

from decisioning.config import clock
from decisioning.customers.models import Identity
from decisioning.store import catalogue

from .. import roster
from ..language import RuleError, parse
from ..language.facts import built_in
from ..language.terms import asked_facts
from ..models import Membership, Segment

BASIC: Final = [("entered_at", "When they entered"), ("entered_why", "Why they entered")]


class ExportForm(forms.Form):
    """Which columns; the customer's key is always the first."""

    basic = forms.MultipleChoiceField(
        label="About the stay", choices=BASIC, required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget
    )
    identifiers = forms.MultipleChoiceField(
        label="Identifiers",
        choices=Identity.Kind.choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Of each kind the newest.",
    )
    facts = forms.MultipleChoiceField(
        required=False, widget=UnfoldAdminSelect2MultipleWidget, help_text="As they are stored now."
    )
    mark = forms.BooleanField(
        label="For Excel",
        required=False,
        initial=True,
        widget=UnfoldBooleanWidget,
        help_text="A mark at the beginning tells Excel that the file is UTF-8; other programs may not expect it.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["facts"].choices = fact_choices()  # type: ignore[attr-defined]

    def columns(self) -> list[roster.Column]:
        """What was chosen, in the form's order."""
        chosen = self.cleaned_data
        return [
            *(column for column in roster.BASIC if column.name in ("key", *chosen["basic"])),
            *map(roster.identifier, chosen["identifiers"]),
            *map(roster.fact, chosen["facts"]),
        ]


def fact_choices() -> list[tuple[str, str]]:
    """The facts that are stored with customers, by name."""
    moment = {*catalogue.CONTEXT_FACTS, *built_in()}
    known = catalogue.current().facts
    return sorted((name, f"{one.label or name} ({name})") for name, one in known.items() if name not in moment)


def export_view(request: HttpRequest, model_admin: Any, pk: int) -> HttpResponseBase:
    """GET asks for the columns; POST sends the file. Who exports may change segments and see customers."""
    may_export(request)
    segment = get_object_or_404(Segment, pk=pk)
    if request.method == "POST":
        form = ExportForm(request.POST)
        if form.is_valid():
            return _file(request, segment, form)
    else:
        form = ExportForm(initial={"basic": ["entered_at"], "facts": _read_by(segment), "mark": True})
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "original": segment,
        "title": f"Export the members of {segment}",
        "form": form,
        "media": model_admin.media + form.media,
        "number": Membership.objects.filter(segment=segment, left_at__isnull=True).count(),
        "back": reverse("admin:rules_segment_change", args=[pk]),
    }
    return TemplateResponse(request, "admin/segments/export.html", context)


def may_export(request: HttpRequest) -> None:
    """Raise PermissionDenied for who may not take customers out of here."""
    sees = any(request.user.has_perm(f"customers.{verb}_customer") for verb in ("view", "change"))
    if not sees or not request.user.has_perm("rules.change_segment"):
        raise PermissionDenied


def note(request: HttpRequest, segment: Segment, what: str) -> None:
    """Write what somebody did with a segment into the admin's log."""
    if request.user.pk is None:
        raise PermissionDenied
    LogEntry.objects.log_actions(user_id=request.user.pk, queryset=[segment], action_flag=CHANGE, change_message=what)


def _read_by(segment: Segment) -> list[str]:
    """The facts that the condition reads: they are what people want to see first."""
    try:
        return sorted(asked_facts(parse(segment.condition))) if segment.condition.strip() else []
    except RuleError:
        return []


def _file(request: HttpRequest, segment: Segment, form: ExportForm) -> StreamingHttpResponse:
    columns = form.columns()
    header = [column.name for column in columns]
    number = Membership.objects.filter(segment=segment, left_at__isnull=True).count()
    note(request, segment, f"Exported {number:,} members with {', '.join(header)}.")
    body = roster.lines(header, roster.rows(segment.pk, columns), mark=form.cleaned_data["mark"])
    name = f"{segment.key}-{clock.now():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return StreamingHttpResponse(body, content_type="text/csv; charset=utf-8", headers=headers)


URLS: Final[tuple[tuple[str, str, Callable[..., HttpResponseBase]], ...]] = (
    ("<int:pk>/export/", "rules_segment_export", export_view),
)


def urls(model_admin: Any) -> list[Any]:
    """For an admin's `get_urls`, where its `get_custom_urls` (which takes `URLS`) is not used."""

    def bound(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponse]:
        wrapped: Callable[..., HttpResponse] = model_admin.admin_site.admin_view(
            lambda request, **words: view(request, model_admin, **words)
        )
        return wrapped

    return [path(address, bound(view), name=name) for address, name, view in URLS]
