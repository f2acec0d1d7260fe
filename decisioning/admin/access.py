"""API keys, whose secret is shown once and never kept, and the accounts of the people who use these pages."""

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from decisioning.console.pages import Publishing
from decisioning.models import ApiKey
from decisioning.store import keys

MEANINGS = {
    "decide": "decide: ask for decisions",
    "track": "track: send events and outcomes",
    "read": "read: read customers and reports",
    "lists": "lists: change imported lists",
}


class ApiKeyForm(forms.ModelForm):
    """A key may do at least one thing."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, MEANINGS.get(scope, scope)) for scope in keys.SCOPES],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Give a key no more than its client needs.",
    )

    class Meta:
        model = ApiKey
        fields = ["name", "scopes", "active", "expires_at"]


@admin.register(ApiKey)
class ApiKeyAdmin(Publishing):
    """Keys for the REST API."""

    form = ApiKeyForm
    fields = ["name", "prefix", "scopes", "expires_at", "active"]
    readonly_fields = ["prefix"]
    fixed = ()
    list_display = ["name", "prefix", "may", "active", "created_at", "expires_at"]
    list_filter = ["active"]
    search_fields = ["name", "prefix"]
    ordering = ["-created_at"]

    @admin.display(description="May")
    def may(self, key: ApiKey) -> str:
        """The scopes, with commas."""
        return ", ".join(key.scopes)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        """A key that does not exist has no prefix."""
        return [name for name in self.fields if obj or name != "prefix"]

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        """A new key is drawn; its secret lives in this request alone."""
        if change:
            return super().save_model(request, obj, form, change)
        row, request.api_secret = keys.create(obj.name, obj.scopes)  # type: ignore[attr-defined]
        ApiKey.objects.filter(pk=row.pk).update(active=obj.active, expires_at=obj.expires_at)
        obj.pk, obj.prefix, obj.digest, obj.created_at = row.pk, row.prefix, row.digest, row.created_at
        obj._state.adding = False

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret in the answer itself, so that no cookie and no session ever holds it."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Copy the key now",
            "key": obj,
            "secret": request.api_secret,  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/decisioning/secret.html", context)


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
