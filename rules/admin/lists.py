"""An imported list in; pages that take a file, show what it would do, ask, and have it done or taken back, out."""

from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminRadioSelectWidget, UnfoldAdminSelectWidget

from decisioning.console.pages import confirm, enqueue
from decisioning.customers.intake.identifiers import KINDS
from decisioning.customers.intake.listing import CUSTOMER, Unreadable
from decisioning.customers.models import Identity
from decisioning.flows import enlist
from decisioning.store import uploads

from .. import lists
from ..lists import Mode
from ..models import Segment
from .export import note

LARGEST: Final = 200 * 1024 * 1024
ALL: Final = (*KINDS, CUSTOMER)
LABELS: Final = {**dict(Identity.Kind.choices), CUSTOMER: "customer's key, as our exports have it"}


class UploadForm(forms.Form):
    """A file, what it does to the list, and what its lines are where it has no header."""

    file = forms.FileField(
        widget=UnfoldAdminFileFieldWidget({"accept": ".csv,.txt,.tsv,text/csv,text/plain"}),
        help_text="CSV or plain text in UTF-8, up to 200 MB.",
    )
    mode = forms.ChoiceField(
        label="What it does", choices=Mode.choices, initial=Mode.ADD, widget=UnfoldAdminRadioSelectWidget
    )
    kind = forms.ChoiceField(
        label="Its columns",
        required=False,
        choices=[
            ("", "The first line names them"),
            *((kind, f"No header: each line is a {LABELS[kind]}") for kind in ALL),
        ],
        widget=UnfoldAdminSelectWidget,
        help_text=f"Names that are understood: {', '.join(ALL)}, and what other programs call them.",
    )

    def clean_file(self) -> UploadedFile:
        """Refuse what nobody can have meant."""
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > LARGEST:
            raise ValidationError("The file is larger than 200 MB; split it, and add the second part to the first.")
        return file


def list_view(request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
    """Ask for a file; one that can be read is kept and looked at on the next page."""
    segment = _segment(request, pk)
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        token = _kept(request, segment, form)
        try:
            enlist.begun(token)
        except Unreadable as error:
            uploads.drop(token)
            form.add_error("file", str(error))
        else:
            return redirect("admin:rules_segment_list_look", pk, token)
    last = enlist.last_import(pk)
    page = {"form": form, "entries": lists.count(pk), "last": last, "title": f"Import identifiers into {segment}"}
    return _page(request, model_admin, "list", segment, page)


def _kept(request: HttpRequest, segment: Segment, form: UploadForm) -> str:
    file, chosen = form.cleaned_data["file"], form.cleaned_data
    name = str(file.name).replace("\0", "")[:200]
    about = uploads.About(segment.pk, chosen["mode"], chosen["kind"], name, request.user.pk or 0)
    return uploads.keep(file.chunks(), about)


def look_view(request: HttpRequest, model_admin: Any, pk: int, token: str) -> HttpResponse:
    """What the file would do; the button asks the worker to do it."""
    segment = _segment(request, pk)
    try:
        about = uploads.about(token)
        if about.segment != pk:
            raise uploads.Gone("This file was uploaded for another list; upload it again.")
        if request.method == "POST":
            return _asked(request, segment, about, token)
        seen = enlist.preview(token)
    except (uploads.Gone, Unreadable) as error:
        messages.error(request, str(error))
        return redirect("admin:rules_segment_list", pk)
    page = {
        "seen": seen,
        "about": about,
        "mode": Mode(about.mode).label.partition(":")[0],
        "columns": [LABELS[kind] for kind in seen.report.columns.values()],
        "more": seen.report.bad - len(seen.report.troubles),
        "nothing": not (seen.foreseen.added or seen.foreseen.removed),
        "title": f"Import {about.name} into {segment}?",
    }
    return _page(request, model_admin, "look", segment, page)


def _asked(request: HttpRequest, segment: Segment, about: uploads.About, token: str) -> HttpResponse:
    if "cancel" in request.POST:
        uploads.drop(token)
        return redirect("admin:rules_segment_list", segment.pk)
    note(request, segment, f"Asked to import {about.name} ({about.mode}).")
    enqueue(request, "import_list", token, f"import {about.name}")
    return redirect("admin:rules_segment_change", segment.pk)


def back_view(request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
    """Ask, and have the last import taken back."""
    segment = _segment(request, pk)
    last = enlist.last_import(pk)
    if not last:
        messages.info(request, "There is no import to take back; only the last one can be, and only once.")
        return redirect("admin:rules_segment_list", pk)

    def do() -> str:
        note(request, segment, f"Asked to take back the {last}.")
        enqueue(request, "take_back_list", pk, f"take back the {last}")
        return "It will be as if it had not been."

    told = f"The list becomes what it was before the {last}. Who entered by it leaves, and who left by it enters again."
    page = {"title": "Take the last import back?", "text": told, "button": "Take it back"}
    return confirm(model_admin, request, page, do, reverse("admin:rules_segment_change", args=[pk]))


def _segment(request: HttpRequest, pk: int) -> Segment:
    """The list, for somebody who may change it. Raises PermissionDenied and Http404."""
    if not request.user.has_perm("rules.change_segment"):
        raise PermissionDenied
    return get_object_or_404(Segment, pk=pk, kind=Segment.Kind.LIST)


def _page(request: HttpRequest, model_admin: Any, name: str, segment: Segment, page: dict[str, Any]) -> HttpResponse:
    base = {**model_admin.admin_site.each_context(request), "opts": model_admin.opts, "original": segment}
    media = {"media": model_admin.media + page["form"].media} if "form" in page else {}
    back = {"back": reverse("admin:rules_segment_change", args=[segment.pk])}
    return TemplateResponse(request, f"admin/segments/{name}.html", {**base, **media, **back, **page})


URLS: Final[tuple[tuple[str, str, Callable[..., HttpResponse]], ...]] = (
    ("<int:pk>/list/", "rules_segment_list", list_view),
    ("<int:pk>/list/back/", "rules_segment_list_back", back_view),
    ("<int:pk>/list/<str:token>/", "rules_segment_list_look", look_view),
)
