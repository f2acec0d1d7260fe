"""Calls of webhooks in; pages that say what was sent and answered, and make a dead one again, out."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import action, display

from decisioning.console.pages import ReadOnly, confirm
from decisioning.customers.admin.letters import Capped, pretty
from decisioning.customers.models import Customer

from .. import calls
from ..models import Call
from ..webhooks import TYPES, event_of

STATE_COLOURS = {
    Call.State.PENDING: "info",
    Call.State.CALLING: "info",
    Call.State.DONE: "success",
    Call.State.DEAD: "danger",
}


def noun(number: int) -> str:
    """So many calls, in words."""
    return f"{number:,} call{'' if number == 1 else 's'}"


@admin.register(Call)
class CallAdmin(ReadOnly):
    """What webhooks were called with, what was answered, and what was given up."""

    change_form_template = "admin/webhooks/call.html"
    change_list_template = "admin/webhooks/calls.html"
    fieldsets: Any = [(None, {"fields": []})]
    list_display = ["about", "webhook", "moved", "shown_state", "attempts", "status", "problem", "tried", "due"]
    list_filter = ["state", "webhook"]
    list_select_related = ["webhook"]
    search_fields = ["=occasion", "=data__customer__id"]
    search_help_text = "A customer's key, or an occasion, whole"
    ordering = ["-id"]
    actions = ["call_selected_again"]
    actions_detail = ["call_again"]
    paginator = Capped
    list_per_page = 50

    def has_repeat_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change calls may have one made again."""
        return request.user.has_perm("campaigns.change_call")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        """Only a dead call can be made again."""
        call = self.get_object(request, str(object_id))
        possible = call is not None and call.state == Call.State.DEAD
        return super().get_actions_detail(request, object_id) if possible else []

    @display(description="About")
    def about(self, call: Call) -> str:
        """The customer's key, as it was."""
        return str(call.data.get("customer", {}).get("id") or call.customer_id)

    @display(description="What happened")
    def moved(self, call: Call) -> str:
        """The segment, entered or left."""
        return f"{TYPES.get(call.type, call.type)} {call.data.get('segment', {}).get('name', '')}".strip()

    @display(description="State", label=STATE_COLOURS, ordering="state")
    def shown_state(self, call: Call) -> tuple[str, str]:
        """The state as a badge."""
        return call.state, call.get_state_display()

    @display(description="Last tried (UTC)")
    def tried(self, call: Call) -> str:
        """To the second."""
        return f"{call.tried_at:%-d %b, %H:%M:%S}" if call.tried_at else "not yet"

    @display(description="Next (UTC)")
    def due(self, call: Call) -> str:
        """When it is tried again, if it is."""
        return f"{call.due_at:%-d %b, %H:%M:%S}" if call.state == Call.State.PENDING else "–"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """With what an empty list means."""
        return super().changelist_view(request, {**(extra_context or {}), "any_call": Call.objects.exists()})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The call with what is sent and what was answered."""
        call = self.get_object(request, object_id)
        shown: dict[str, Any] = {}
        if call is not None:
            body = event_of(str(call.pk), call.type, settings.PUBLIC_URL, call.data)
            customer = Customer.objects.filter(pk=call.customer_id).first()
            shown = {"body": pretty(body), "answer": pretty(call.answer.encode()), "customer": customer}
            shown |= {"state_colour": STATE_COLOURS[Call.State(call.state)], "moved": self.moved(call)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    @action(description="Call again (the id stays, so that receivers can drop repeats)", permissions=["repeat"])
    def call_selected_again(self, request: HttpRequest, queryset: QuerySet[Call]) -> None:
        """Owe the dead ones again and leave the others alone."""
        total, again = queryset.count(), calls.call_again(queryset)
        messages.success(request, f"{noun(again)} will be made now.")
        if total > again:
            messages.info(request, f"{total - again:,} left as they are: only what was given up can be called again.")

    @action(description="Call again", permissions=["repeat"], icon="redo")
    def call_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then owe one call again."""
        call = self.get_object(request, object_id)
        if call is None:
            raise Http404(f"There is no call {object_id}.")

        def do() -> str:
            if not calls.call_again(Call.objects.filter(pk=call.pk)):
                raise ValidationError("Nothing was changed: only what was given up can be called again.")
            self.log_change(request, call, "Called again.")
            return "The call will be made now."

        page = {
            "title": f"Call {call.webhook} again?",
            "text": "It is made with the id it had, so that its receiver can drop what it took before.",
            "button": "Call again",
        }
        return confirm(self, request, page, do, reverse("admin:campaigns_call_change", args=[call.pk]))
