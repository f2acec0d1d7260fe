"""Messages in; pages that say what is owed, sent or stopped, and owe a stopped one again, out."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action, display

from decisioning.console.pages import ReadOnly, confirm

from ..models import Message

STATE_COLOURS = {
    Message.State.PENDING: "info",
    Message.State.CLAIMED: "info",
    Message.State.SENDING: "info",
    Message.State.SENT: "success",
    Message.State.UNKNOWN: "warning",
    Message.State.SUPPRESSED: "primary",
    Message.State.FAILED: "danger",
}
# Nothing in these states is sent by itself any more.
STOPPED = (Message.State.UNKNOWN, Message.State.FAILED)
# A message is shown as it was rendered, but nothing in it runs and nothing is fetched.
PREVIEW = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    'img-src data:">'
)


@admin.register(Message)
class MessageAdmin(ReadOnly):
    """The outbox: what is owed, what was sent, what was not and why."""

    fields = [
        "get_state_display",
        "reason",
        "campaign",
        "customer_link",
        "recipient",
        "decision_link",
        "trigger_key",
        "step",
        "attempts",
        "created_at",
        "due_at",
        "sent_at",
        "subject",
        "preview",
    ]
    list_display = [
        "number",
        "shown_state",
        "campaign",
        "customer_link",
        "reason",
        "attempts",
        "due_at",
        "sent_at",
    ]
    list_filter = ["state", "campaign"]
    list_select_related = ["campaign", "customer"]
    search_fields = ["=customer__key", "=recipient"]
    search_help_text = "A customer's key or an address, whole"
    ordering = ["-id"]
    actions = ["send_selected_again"]
    actions_detail = ["send_again"]

    def has_resend_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change messages may have one sent again."""
        return request.user.has_perm("campaigns.change_message")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        """Only what is possible with this message."""
        message = self.get_object(request, str(object_id))
        possible = message is not None and message.state in STOPPED
        return super().get_actions_detail(request, object_id) if possible else []

    @display(description="Message", ordering="id")
    def number(self, message: Message) -> str:
        """Its number in the outbox."""
        return f"message {message.pk}"

    @display(description="State", label=STATE_COLOURS, ordering="state")
    def shown_state(self, message: Message) -> tuple[str, str]:
        """The state as a badge."""
        return message.state, message.get_state_display()

    @display(description="Customer")
    def customer_link(self, message: Message) -> str:
        """To the customer."""
        url = reverse("admin:customers_customer_change", args=[message.customer_id])
        return format_html('<a class="console-link" href="{}">{}</a>', url, message.customer.key)

    @display(description="Decision")
    def decision_link(self, message: Message) -> str:
        """To the decision that chose the contents."""
        if message.decision_id is None:
            return "none yet"
        url = reverse("admin:decisioning_decision_change", args=[message.decision_id])
        return format_html('<a class="console-link" href="{}">{}</a>', url, message.decision_id)

    @display(description="Body")
    def preview(self, message: Message) -> str:
        """The rendered message in a frame of its own."""
        if not message.body:
            return "not rendered yet"
        return format_html(
            '<iframe class="console-preview" title="The message" sandbox srcdoc="{}"></iframe>',
            PREVIEW + message.body,
        )

    @action(description="Send again (an unknown one may arrive twice)", permissions=["resend"])
    def send_selected_again(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        """Owe the stopped ones again and leave the others alone."""
        count = owe_again(queryset)
        left = queryset.count() - count
        messages.success(request, f"{count} to be sent again.")
        if left:
            messages.info(request, f"{left} left as they are: only unknown and failed messages can be sent again.")

    @action(description="Send again", permissions=["resend"], icon="redo")
    def send_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then owe one message again."""
        message = self.get_object(request, object_id)
        if message is None:
            raise Http404(f"There is no message {object_id}.")

        def do() -> str:
            if not owe_again(Message.objects.filter(pk=message.pk)):
                raise ValidationError("Nothing was changed: only unknown and failed messages can be sent again.")
            return "The message is to be sent again."

        page = {
            "title": "Send this message again?",
            "text": "If the mail server had taken it already, the customer gets it twice.",
            "button": "Send again",
        }
        return confirm(self, request, page, do, reverse("admin:campaigns_message_change", args=[object_id]))


def owe_again(queryset: QuerySet[Message]) -> int:
    """Set stopped messages back to pending, due now; how many. One that moved on meanwhile is left alone."""
    stopped = Message.objects.filter(pk__in=queryset.values("pk"), state__in=STOPPED)
    return stopped.update(
        state=Message.State.PENDING, reason="", attempts=0, due_at=Now(), lease_until=None, sent_at=None
    )
