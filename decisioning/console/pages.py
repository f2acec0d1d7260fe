"""Kinds of admin pages: read only, publishing (a save reaches decisions at once), and asking before doing."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import redis
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import JSONField, QuerySet, TextField
from django.db.models.functions import Cast, Left
from django.forms import Field, ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from kombu.exceptions import OperationalError
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminExpandableTextareaWidget

from ..config.celery import app
from ..engine.limits import Excess, sizes, worse
from ..models import Snapshot
from ..store import snapshot
from ..store.connection import patient
from ..store.freeze import shape
from .fields import LanguageField, LanguageWidget
from .uses import uses_of

log = logging.getLogger(__name__)

LATER = "Decisions go on as before; the worker tries again every second."


class ReadOnly(ModelAdmin):
    """Pages that show rows and change none, whatever is posted to them."""

    show_full_result_count = False
    actions_detail_hide_default = True

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """All rows; the second try of a list that could not be read leaves JSON to be read when asked for."""
        rows = super().get_queryset(request)
        return rows.defer(*self._objects()) if getattr(request, "without_json", False) else rows

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row; JSON nested too deeply for Python to read stands in it as the beginning of its text."""
        try:
            return super().get_object(request, object_id, from_field)
        except RecursionError:
            vars(request)["without_json"] = True
            row = super().get_object(request, object_id, from_field)
        for name in self._objects():
            try:
                getattr(row, name)
            except RecursionError:
                texts = self.model._default_manager.filter(pk=row.pk).annotate(text=Left(Cast(name, TextField()), 100))
                setattr(row, name, {"nested too deeply": f"{texts.values_list('text', flat=True).get()}…"})
        return row

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, also when a row's JSON cannot be read."""
        try:
            return super().changelist_view(request, extra_context)
        except RecursionError:
            vars(request)["without_json"] = True
            return super().changelist_view(request, extra_context)

    def _objects(self) -> list[str]:
        return [field.name for field in self.model._meta.concrete_fields if isinstance(field, JSONField)]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes."""
        return False


class TooMuch(Exception):
    """A save would publish more than the limits allow; the transaction it is raised in changes nothing."""

    def __init__(self, excess: Sequence[Excess]) -> None:
        super().__init__(*map(str, excess))
        self.excess = excess


def refusing(form: type[ModelForm], excess: Sequence[Excess]) -> type[ModelForm]:
    """The form that is shown again as it was typed, with each limit at the field that it is about, or above all."""

    class Refusing(form):  # type: ignore[misc, valid-type]
        def clean(self) -> Any:
            cleaned = super().clean()
            for each in excess:
                self.add_error(each.what if each.what in self.fields else None, f"Not saved. {each}")
            return cleaned

    return Refusing


class Publishing(ModelAdmin):
    """Pages whose saves and deletions go live: a snapshot is built after the commit, and the user is told."""

    # Text fields in the rule language, by field name: a whole rule or a condition.
    language: Mapping[str, str] = {}
    # Clients and rule texts name rows by key: it is chosen once.
    fixed: Sequence[str] = ("key",)
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminExpandableTextareaWidget}}

    def formfield_for_dbfield(self, db_field: models.Field, request: HttpRequest, **options: Any) -> Field | None:
        """Fields in the rule language are checked, as typed and as saved."""
        if kind := self.language.get(db_field.name):
            widget = LanguageWidget(kind, str(self.opts.model_name))
            options |= {"form_class": partial(LanguageField, kind=kind), "widget": widget}
        return super().formfield_for_dbfield(db_field, request, **options)

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """What was chosen once stays."""
        shown = list(super().get_readonly_fields(request, obj))
        return [*shown, *self.fixed] if obj else shown

    def get_form(
        self, request: HttpRequest, obj: models.Model | None = None, change: bool = False, **options: Any
    ) -> type[ModelForm]:
        """The form; after a save that was undone, one that is not valid and says why."""
        form = super().get_form(request, obj, change, **options)
        excess = getattr(request, "refused", ())
        return refusing(form, excess) if excess else form

    def goes_live(self, request: HttpRequest, form: ModelForm) -> bool:
        """Whether this save is one that decisions see at once."""
        return True

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        """After the row and its placements are written, publish when the transaction commits."""
        super().save_related(request, form, formsets, change)
        if self.goes_live(request, form):
            if excess := worse(getattr(request, "excess", ()), sizes(shape())):
                raise TooMuch(excess)
            go_live(request)

    def changeform_view(self, request: HttpRequest, *place: Any, **more: Any) -> HttpResponse:
        """The form; a save after which more is published than the limits allow is undone, and the form shown again."""
        if request.method == "POST":
            vars(request)["excess"] = sizes(shape())
        try:
            return super().changeform_view(request, *place, **more)
        except TooMuch as refusal:
            vars(request)["refused"] = refusal.excess
            return super().changeform_view(request, *place, **more)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, list[Any]]:
        """What else would go, and what stands against it: rows that others name in their texts stay."""
        going, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return going, counts, lacking, [*protected, *uses_of(list(objs))]

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        """What is gone must not be decided with."""
        super().delete_model(request, obj)
        go_live(request)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        """What is gone must not be decided with."""
        super().delete_queryset(request, queryset)
        go_live(request)


def go_live(request: HttpRequest) -> None:
    """Build a snapshot once the transaction has committed and say what became of it; never fails."""
    transaction.on_commit(partial(_build, request))


def _build(request: HttpRequest) -> None:
    try:
        snapshot.build()
        newest = Snapshot.objects.order_by("-number").only("number").first()
    except Exception as problem:
        # The rows are committed: whatever went wrong here must not look as if they were not.
        log.exception("snapshot was not built")
        messages.warning(request, f"Saved, but no snapshot could be built ({problem}). {LATER}")
        return
    if newest is None:
        return
    if _announced(newest.number):
        messages.success(request, f"Published as snapshot {newest.number}; live within a second.")
    else:
        messages.warning(request, f"Saved as snapshot {newest.number}, but Redis cannot be reached. {LATER}")


def _announced(number: int) -> bool:
    """Whether the serving processes can see this snapshot."""
    try:
        pointer = patient().get(snapshot.POINTER)
    except redis.RedisError:
        return False
    return pointer is not None and int(pointer) >= number


def enqueue(request: HttpRequest, task: str, row_id: int | str | dict[str, str] | None, what: str) -> None:
    """Ask the worker for a task about one row, or about everything, once the transaction has committed, and say so."""
    transaction.on_commit(partial(_send, request, task, row_id, what))


def _send(request: HttpRequest, task: str, row_id: int | str | dict[str, str] | None, what: str) -> None:
    try:
        # A connection of its own, tried once: the pool's would wait seconds for a dead Redis.
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
            arguments = [] if row_id is None else [row_id]
            app.send_task(f"decisioning.tasks.{task}", arguments, connection=connection)
    except (OperationalError, redis.RedisError, OSError):
        log.warning("%s of %s was not queued", task, row_id, exc_info=True)
        messages.warning(request, f"The worker could not be asked to {what}: Redis cannot be reached. Ask again later.")
    else:
        messages.info(request, f"The worker was asked to {what}; reload the page in a few seconds.")


def confirm(
    admin: ModelAdmin,
    request: HttpRequest,
    page: Mapping[str, Any],
    do: Callable[[], str],
    back: str,
) -> HttpResponse:
    """Ask on GET, do on POST, then go `back`; `do` returns what to tell the user or raises ValidationError.

    `page`: `title`, `text`, `button`, and optionally `before` and `after`, two texts to compare.
    """
    if request.method != "POST":
        context = {**admin.admin_site.each_context(request), "opts": admin.opts, "back": back, **page}
        return TemplateResponse(request, "admin/confirm.html", context)
    try:
        messages.success(request, do())
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    return redirect(back)
