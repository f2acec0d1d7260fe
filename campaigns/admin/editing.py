"""Contents, placements and campaigns in; pages to edit them, live at once after a save, out."""

from functools import partial
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Field
from django.forms import Field as FormField
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from decisioning.console.fields import ObjectField, ScheduledForm, TagsField, TemplateField
from decisioning.console.pages import Publishing
from rules.rulebook import Kind

from ..models import Campaign, Content, Placement
from ..rendering import problems


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
        if values.get("trigger") == Campaign.Trigger.EXIT and not values.get("segment"):
            self.add_error("segment", "Choose the segment; whoever leaves it gets the message.")
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
        return campaign.event_name if campaign.trigger == Campaign.Trigger.EVENT else str(campaign.segment)

    @display(description="Messages")
    def messages_link(self, campaign: Campaign) -> str:
        """To the campaign's messages."""
        url = reverse("admin:campaigns_message_changelist")
        return format_html('<a class="console-link" href="{}?campaign__id__exact={}">show</a>', url, campaign.pk)
