"""API keys, whose secret is shown once and never kept, and the accounts of the people who use these pages."""

from datetime import UTC, datetime

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from campaigns.models import Placement
from decisioning.console.pages import Publishing, confirm, go_live
from decisioning.models import ApiKey
from decisioning.store import keys

from .key_forms import COLOURS, ApiKeyForm, RotateForm, first_call, state_of, successor_of

LIMITS = "Each is held by every web process on its own: with two of them twice as much may pass."


@admin.register(ApiKey)
class ApiKeyAdmin(Publishing):
    """Keys for the REST API."""

    form = ApiKeyForm
    readonly_fields = ["prefix", "standing", "last_use", "rotation"]
    fixed = ()
    list_display = ["name", "prefix", "state", "may", "pages", "last_use", "created_at"]
    list_filter = ["active"]
    list_select_related = ["successor", "predecessor"]
    search_fields = ["name", "prefix"]
    ordering = ["-created_at"]
    actions_detail = ["rotate", "switch_off"]
    change_list_template = "admin/keys/list.html"

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None) -> list[tuple[str | None, dict]]:
        """A key that does not exist has no prefix, no state and no past."""
        past = ["prefix", "standing", "last_use", "rotation"] if obj else []
        rates = {"fields": ["decide_rate", "outcome_rate", "event_rate"], "description": LIMITS}
        return [
            (None, {"fields": ["name", *past, "scopes", "origins"]}),
            ("How much", rates),
            ("How long", {"fields": ["expires_at", "active"]}),
        ]

    @display(description="State", label=COLOURS)
    def state(self, key: ApiKey) -> tuple[str, str]:
        """What has become of it, as a badge."""
        return state_of(key, datetime.now(UTC))

    @admin.display(description="State")
    def standing(self, key: ApiKey) -> str:
        """The same in words."""
        return state_of(key, datetime.now(UTC))[1]

    @admin.display(description="May")
    def may(self, key: ApiKey) -> str:
        """The scopes, with commas."""
        return ", ".join(key.scopes)

    @admin.display(description="Pages of")
    def pages(self, key: ApiKey) -> str:
        """The first sites whose pages may use it, and how many more."""
        shown = ", ".join(key.origins[:2]) or "–"
        return f"{shown} and {len(key.origins) - 2} more" if len(key.origins) > 2 else shown

    @admin.display(description="Last used", ordering="last_used_on")
    def last_use(self, key: ApiKey) -> str:
        """The day, in UTC."""
        return f"{key.last_used_on:%-d %b %Y}" if key.last_used_on else "never"

    @admin.display(description="Rotation")
    def rotation(self, key: ApiKey) -> str:
        """Which key it follows and which follows it, with links."""
        told = [("Follows", key.predecessor), ("Followed by", successor_of(key))]
        rows = [(word, _page_of(one), one) for word, one in told if one]
        return format_html_join(" · ", '{} <a class="console-link" href="{}">{}</a>', rows) or "not rotated"

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        """A new key is drawn; its secret lives in this request alone."""
        if change:
            return super().save_model(request, obj, form, change)
        typed = {name: form.cleaned_data[name] for name in ApiKeyForm.Meta.fields}
        row, request.api_secret = keys.create(**typed)  # type: ignore[attr-defined]
        obj.pk, obj.prefix, obj.digest, obj.created_at = row.pk, row.prefix, row.digest, row.created_at
        obj._state.adding = False

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret in the answer itself, so that no cookie and no session ever holds it."""
        return self._secret(request, obj, request.api_secret)  # type: ignore[attr-defined]

    @action(description="Rotate", permissions=["change"], icon="autorenew")
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask how long both shall work, then make the successor and show its secret once."""
        key = self._found(request, object_id)
        form = RotateForm(request.POST or None)
        if request.method != "POST" or not form.is_valid():
            context = {**self.admin_site.each_context(request), "opts": self.opts, "title": f"Rotate {key.name}?"}
            page = {"key": key, "form": form, "back": _page_of(key), "last_use": self.last_use(key)}
            return TemplateResponse(request, "admin/keys/rotate.html", {**context, **page})
        try:
            with transaction.atomic():
                new, whole = keys.rotate(key.pk, form.seconds(), datetime.now(UTC))
                self.log_addition(request, new, f"Made to follow {key.prefix}.")
                when = dict(form.fields["overlap"].choices)[form.cleaned_data["overlap"]]  # type: ignore[attr-defined]
                self.log_change(request, key, f"Rotated: followed by {new.prefix}, ends {when}.")
                go_live(request)
        except ValidationError as refusal:
            self.message_user(request, " ".join(refusal.messages), "error")
            return redirect(_page_of(key))
        return self._secret(request, new, whole)

    @action(description="Switch off", permissions=["change"], icon="block")
    def switch_off(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then refuse the key everywhere within a second."""
        key = self._found(request, object_id)
        page = {
            "title": f"Switch {key.name} off?",
            "text": f"Whoever sends {key.prefix}… is refused within a second. It was last used: {self.last_use(key)}. "
            "To change a key without an interruption, rotate it instead.",
            "button": "Switch off",
        }

        def do() -> str:
            with transaction.atomic():
                ApiKey.objects.filter(pk=key.pk).update(active=False)
                self.log_change(request, key, "Switched off.")
                go_live(request)
            return f"{key.name} is switched off."

        return confirm(self, request, page, do, _page_of(key))

    def _found(self, request: HttpRequest, object_id: str) -> ApiKey:
        key: ApiKey | None = self.get_object(request, object_id)
        if key is None:
            raise Http404(f"There is no API key {object_id}.")
        return key

    def _secret(self, request: HttpRequest, key: ApiKey, whole: str) -> HttpResponse:
        placement = Placement.objects.filter(active=True).order_by("key").values_list("key", flat=True).first()
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Copy the key now",
            "key": key,
            "secret": whole,
            "call": first_call(whole, key.scopes, placement or "home"),
        }
        return TemplateResponse(request, "admin/decisioning/secret.html", context)


def _page_of(key: ApiKey) -> str:
    return reverse("admin:decisioning_apikey_change", args=[key.pk])


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """The people who use these pages."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """What groups of people may do."""

    fields = ["name", "permissions"]
