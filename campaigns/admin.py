"""Pages for contents, placements, campaigns and the messages they owe; what is saved is live at once."""

from functools import partial
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Field, QuerySet
from django.db.models.functions import Now
from django.forms import Field as FormField
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from decisioning.console.fields import ObjectField, ScheduledForm, TagsField, TemplateField
from decisioning.console.pages import Publishing, ReadOnly, confirm
from rules.rulebook import Kind

from .models import Campaign, Content, Message, Placement
from .rendering import problems

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


@admin.register(Placement)
class PlacementAdmin(Publishing):
    """Named slots with their objective and policy."""

    language = {"audience": Kind.CONDITION}
    fields = [
        "name",
        "key",
        "count",
        "audience",
        "objective",
        ("policy", "exploration"),
        "window_hours",
        "active",
    ]
    list_display = ["name", "key", "count", "objective", "policy", "exploration", "active"]
    list_filter = ["active", "policy", "objective"]
    search_fields = ["key", "name"]
    ordering = ["key"]


@admin.register(Content)
class ContentAdmin(Publishing):
    """Anything that can be shown or sent."""

    form = ScheduledForm
    fields = [
        "name",
        "key",
        "body",
        "attributes",
        "tags",
        "value",
        "placements",
        "default_for",
        "starts_at",
        "ends_at",
        "active",
    ]
    autocomplete_fields = ["placements", "default_for"]
    list_display = ["name", "key", "tagged", "value", "starts_at", "ends_at", "active"]
    list_filter = ["active", "placements"]
    search_fields = ["key", "name"]
    json_fields: ClassVar[dict[str, type[FormField]]] = {
        "body": ObjectField,
        "attributes": ObjectField,
        "tags": TagsField,
    }

    def formfield_for_dbfield(self, db_field: Field, request: HttpRequest, **options: Any) -> FormField | None:
        """JSON that PostgreSQL can keep, and tags typed with commas."""
        if kind := self.json_fields.get(db_field.name):
            options |= {"form_class": kind, "widget": kind.widget}
        return super().formfield_for_dbfield(db_field, request, **options)

    @display(description="Tags")
    def tagged(self, content: Content) -> str:
        """The tags, with commas."""
        return ", ".join(content.tags)


class CampaignForm(ModelForm):
    """Each trigger needs what it waits for; subject and body must be templates that can be filled."""

    subject = TemplateField(
        problems=partial(problems, subject=True),
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text="One line of Liquid, for example: {{ customer.first_name | default: 'Hello' }}!",
    )
    body = TemplateField(
        problems=problems,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 16, "class": "console-code"}),
        help_text="HTML with Liquid. {{ contents[0].title }} is the title of the first content chosen.",
    )

    def clean(self) -> dict[str, Any]:
        """An event trigger needs the event's name, a segment trigger its segment."""
        values = super().clean() or {}
        if values.get("trigger") == Campaign.Trigger.EVENT and not values.get("event_name"):
            self.add_error("event_name", "Name the event that triggers it, for example: Order Completed")
        if values.get("trigger") == Campaign.Trigger.SEGMENT and not values.get("segment"):
            self.add_error("segment", "Choose the segment whose new members get it.")
        return values


@admin.register(Campaign)
class CampaignAdmin(Publishing):
    """Audience, trigger and message."""

    form = CampaignForm
    language = {"audience": Kind.CONDITION}
    fields = [
        "name",
        "key",
        ("channel", "trigger"),
        ("event_name", "segment"),
        "audience",
        "placement",
        "subject",
        "body",
        "active",
    ]
    list_display = ["name", "key", "channel", "trigger", "waits_for", "placement", "active", "messages_link"]
    list_filter = ["active", "trigger", "channel"]
    list_select_related = ["segment", "placement"]
    search_fields = ["key", "name"]
    ordering = ["key"]

    @display(description="Waits for")
    def waits_for(self, campaign: Campaign) -> str:
        """The event or the segment."""
        return str(campaign.segment) if campaign.trigger == Campaign.Trigger.SEGMENT else campaign.event_name

    @display(description="Messages")
    def messages_link(self, campaign: Campaign) -> str:
        """To the campaign's messages."""
        url = reverse("admin:campaigns_message_changelist")
        return format_html('<a class="console-link" href="{}?campaign__id__exact={}">show</a>', url, campaign.pk)


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
