"""Webhooks in; pages to make them, to see how their receivers answer, to try them and to change their secret, out."""

import secrets
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from decisioning.console.pages import confirm
from decisioning.flows.call import try_out

from .. import addresses, calls, signing
from ..models import Call, Receiver, Webhook
from .calls import noun
from .reactions import ReactionInline
from .receivers import COLOURS, counted, receiver_of, standing_of, told_of, use, uses

__all__ = ["ReactionInline", "WebhookAdmin", "WebhookForm"]


class WebhookForm(forms.ModelForm):
    """A webhook may only be one that would be called."""

    class Meta:
        model = Webhook
        fields = ["name", "key", "url", "active"]
        labels = {"url": "URL"}
        help_texts = {"url": "Where the calls go, for example https://crm.example.com/hooks/segments"}

    def clean_url(self) -> str:
        """Refuse an address that is none, or that is nobody's business to call; one that stays is not asked again."""
        url = str(self.cleaned_data["url"]).strip()
        if url != self.initial.get("url"):
            try:
                addresses.check(url, addresses.limits())
            except addresses.Refused as refusal:
                raise ValidationError(str(refusal)) from None
        return url


@admin.register(Webhook)
class WebhookAdmin(ModelAdmin):
    """Addresses that are called, and how that goes."""

    form = WebhookForm
    fields = ["name", "key", "url", "active"]
    change_form_template = "admin/webhooks/webhook.html"
    change_list_template = "admin/webhooks/list.html"
    list_display = ["name", "shown_state", "address", "last_hour", "waiting", "failing_since"]
    list_filter = ["active"]
    list_select_related = ["receiver"]
    search_fields = ["key", "name", "url"]
    ordering = ["key"]
    actions_detail = ["try_it", "call_dead_again", "rotate"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Webhook]:
        """With what the list tells of their calls."""
        lately = Call.objects.filter(pk__gte=calls.first_id_of_last_hour())
        return (
            super()
            .get_queryset(request)
            .annotate(
                taken=counted(lately.filter(state=Call.State.DONE)),
                failed=counted(lately.exclude(state=Call.State.DONE).filter(attempts__gt=0)),
                held=counted(Call.objects.filter(state=Call.State.PENDING)),
                dead=counted(Call.objects.filter(state=Call.State.DEAD)),
            )
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Webhook | None = None) -> list[str]:
        """The key is chosen once."""
        return ["key"] if obj else []

    @display(description="State", label=COLOURS)
    def shown_state(self, webhook: Webhook) -> tuple[str, str]:
        """The state as a badge."""
        return standing_of(webhook)

    @display(description="URL", ordering="url")
    def address(self, webhook: Webhook) -> str:
        """Where the calls go."""
        return webhook.url

    @display(description="Last hour")
    def last_hour(self, webhook: Any) -> str:
        """What became of the calls owed within it."""
        if not webhook.taken and not webhook.failed:
            return "no calls"
        return f"{webhook.taken:,} taken" + (f", {webhook.failed:,} failing" if webhook.failed else "")

    @display(description="Waiting")
    def waiting(self, webhook: Any) -> str:
        """How many calls wait, with a link to the dead."""
        url = reverse("admin:campaigns_call_changelist")
        if not webhook.dead:
            return f"{webhook.held:,}"
        link = '{} · <a class="console-link" href="{}?webhook__id__exact={}&state__exact=dead">{} dead</a>'
        return format_html(link, f"{webhook.held:,}", url, webhook.pk, f"{webhook.dead:,}")

    @display(description="Failing since (UTC)")
    def failing_since(self, webhook: Webhook) -> str:
        """Since when no call was taken; a dash where all is well."""
        found = receiver_of(webhook)
        return f"{found.failing_since:%-d %b, %H:%M}" if found and found.failing_since else "–"

    def save_model(self, request: HttpRequest, obj: Webhook, form: forms.ModelForm, change: bool) -> None:
        """A new webhook gets its secret; one that is switched on again starts with a clean sheet."""
        if not change:
            obj.secret = signing.new_secret(secrets.token_bytes)
        super().save_model(request, obj, form, change)
        if change and obj.active and "active" in form.changed_data:
            Receiver.objects.filter(webhook=obj).delete()

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, list[Any]]:
        """What would go, counted and not listed (calls may be a million), and which segments stand against it."""
        rows = list(objs)
        number = Call.objects.filter(webhook__in=rows).count()
        lacking = set() if self.has_delete_permission(request) else {"webhook"}
        return [str(row) for row in rows], {"webhooks": len(rows), "calls": number}, lacking, [*map(use, uses(rows))]

    def delete_model(self, request: HttpRequest, obj: Webhook) -> None:
        """Its calls go first, in one statement."""
        self.delete_queryset(request, Webhook.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        """Their calls go first, in one statement."""
        mine = Call.objects.filter(webhook__in=list(queryset))
        mine._raw_delete(mine.db)
        super().delete_queryset(request, queryset)

    def response_add(self, request: HttpRequest, obj: Webhook, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret in the answer itself, so that no cookie and no session ever holds it."""
        return self._secret(request, obj)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With how its receiver answers, its newest calls, and the segments that call it."""
        webhook = self.get_object(request, object_id)
        shown = told_of(webhook) if webhook else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    @action(description="Send a test call", permissions=["change"], icon="send")
    def try_it(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, call once, and tell the answer."""
        webhook = self._found(request, object_id)
        page = {
            "title": f"Send a test call to {webhook}?",
            "text": f"{webhook.url} gets one signed event of the type webhook.test, which is about nobody.",
            "button": "Send",
        }
        back = reverse("admin:campaigns_webhook_change", args=[webhook.pk])
        return confirm(self, request, page, lambda: self._tried(webhook), back)

    @action(description="Call dead ones again", permissions=["change"], icon="redo")
    def call_dead_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then owe all dead calls of this webhook again."""
        webhook = self._found(request, object_id)
        dead = Call.objects.filter(webhook=webhook, state=Call.State.DEAD)
        page = {
            "title": f"Call {webhook} again about all that was given up?",
            "text": f"{noun(dead.count())} will be made, with the ids they had, so that its receiver can drop repeats.",
            "button": "Call again",
        }

        def do() -> str:
            self.log_change(request, webhook, "Called all dead ones again.")
            return f"{noun(calls.call_again(dead))} will be made now."

        return confirm(self, request, page, do, reverse("admin:campaigns_webhook_change", args=[webhook.pk]))

    @action(description="Make a new secret", permissions=["change"], icon="key")
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then make a new secret and show it once."""
        webhook = self._found(request, object_id)
        if request.method == "POST":
            webhook.former_secret, webhook.secret = webhook.secret, signing.new_secret(secrets.token_bytes)
            webhook.rotated_at = datetime.now(UTC)
            webhook.save(update_fields=["secret", "former_secret", "rotated_at"])
            self.log_change(request, webhook, "Made a new secret.")
            return self._secret(request, webhook)
        page = {
            "title": f"Make a new secret for {webhook}?",
            "text": "Calls are signed with both for 24 hours, then with the new one alone. A secret older than the "
            "present one stops working at once.",
            "button": "Make a new secret",
        }
        back = reverse("admin:campaigns_webhook_change", args=[webhook.pk])
        return confirm(self, request, page, str, back)

    def _found(self, request: HttpRequest, object_id: str) -> Webhook:
        webhook: Webhook | None = self.get_object(request, object_id)
        if webhook is None:
            raise Http404(f"There is no webhook {object_id}.")
        return webhook

    def _secret(self, request: HttpRequest, webhook: Webhook) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": "Copy the secret now"}
        return TemplateResponse(request, "admin/webhooks/secret.html", {**context, "webhook": webhook})

    def _tried(self, webhook: Webhook) -> str:
        answer = try_out(webhook, datetime.now(UTC))
        told = f"Answered {answer.status}" if answer.status else answer.problem
        text = f": {answer.text[:200]}" if answer.text else ""
        sentence = f"{told} after {answer.seconds:.2f} s{text}"
        if answer.status is None or not 200 <= answer.status < 300:
            raise ValidationError(f"It was not taken. {sentence}")
        return f"It was taken. {sentence}"
