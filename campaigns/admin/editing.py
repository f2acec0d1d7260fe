"""Contents, placements and campaigns in; pages to edit them, live at once after a save, out."""

from difflib import get_close_matches
from functools import partial
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Field
from django.forms import Field as FormField
from django.forms import ModelForm, MultipleChoiceField
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from decisioning.console.fields import ObjectField, ScheduledForm, TagsField, TemplateField
from decisioning.console.pages import Publishing
from decisioning.models import Artefact
from decisioning.store import catalogue
from rules.rulebook import Kind

from ..models import Campaign, Content, Placement
from ..rendering import problems
from .holdout import told_effect
from .placements import DefaultsForm


class FactsField(TagsField):
    """Names of facts that are numbers or yes-or-no, typed with commas; a name nobody knows is refused."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.help_text = "Facts with commas between them, such as orders_30d, recency_days. Numbers only."

    def validate(self, value: list[str]) -> None:
        """Refuse what the catalogue does not have as a number."""
        super().validate(value)
        facts = catalogue.current().facts if value else {}
        for name in value:
            if name not in facts:
                near = get_close_matches(name, facts, n=1)
                hint = f'Did you mean "{near[0]}"?' if near else "See Facts for all there are."
                raise ValidationError(f'There is no fact "{name}". {hint}')
            if facts[name].type not in ("number", "boolean"):
                raise ValidationError(f'"{name}" is {facts[name].type}; name facts that are numbers or yes-or-no.')


class DialsForm(ModelForm):
    """A form in which a dial left empty stands where it stood at first."""

    def clean(self) -> dict[str, Any]:
        """Empty numbers that the database cannot keep become their defaults."""
        values = super().clean() or {}
        for field in self._meta.model._meta.concrete_fields:
            name, value = field.name, values.get(field.name, "")
            if value is None and not field.null and field.has_default() and name not in self.errors:
                values[name] = field.get_default()
        return values


class PlacementForm(DefaultsForm, DialsForm):
    """A policy needs what it reads."""

    candidate_lists = MultipleChoiceField(
        choices=Placement.CandidateList.choices,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="With none ticked all contents compete, as is right for up to some thousands.",
    )

    def clean(self) -> dict[str, Any]:
        """The linear policies learn from facts; a placement without any has nothing to learn from."""
        values = super().clean()
        linear = values.get("policy") in (Placement.Policy.LINUCB, Placement.Policy.LINEAR_THOMPSON)
        if linear and not values.get("bandit_facts") and "bandit_facts" not in self.errors:
            self.add_error("bandit_facts", "Name at least one fact to learn from, or choose another policy.")
        return values


class ContentForm(DialsForm, ScheduledForm):
    """A content with its dates."""


@admin.register(Placement)
class PlacementAdmin(Publishing):
    """Named slots with their objective and policy."""

    form = PlacementForm
    language = {"audience": Kind.CONDITION}
    fieldsets = [
        (None, {"fields": ["name", "key", "count", "audience", "default_contents", "active"]}),
        ("What counts as good", {"fields": ["objective", "freshness_half_life_days"]}),
        (
            "How long it counts",
            {
                "fields": [("impression_hours", "click_hours"), ("window_hours", "value_hours")],
                "description": "Of decisions made from now on. What comes later is kept, and credited to nothing.",
            },
        ),
        (
            "How slots are filled",
            {
                "fields": [
                    ("policy", "exploration"),
                    ("new_share", "new_showings"),
                    "temperature",
                    ("bandit_facts", "bandit_width"),
                    "bandit_shared",
                ],
                "description": "Every policy states the chance of what it chose, so that another can be judged by it.",
            },
        ),
        (
            "Which contents compete",
            {
                "fields": ["candidate_lists", "lists_learned"],
                "description": "Lists learned once a day choose at most 500 of any number of contents, by what the "
                "customer clicked, looks at or has in the basket. What a rule pins or shows competes in any case.",
            },
        ),
        ("What is kept", {"fields": ["ledger_share"]}),
        (
            "Holdout",
            {
                "fields": ["holdout_share", "effect"],
                "description": "Those held out of all placements (see Holdout), and more where the share is larger.",
            },
        ),
        (
            "Variety",
            {
                "fields": [("diversity_attribute", "diversity_most"), "diversity_weight"],
                "description": "Rules stand above it: what a rule pins or shows is shown, and counts.",
            },
        ),
    ]
    readonly_fields = ["effect", "lists_learned"]
    list_display = ["name", "key", "count", "objective", "policy", "exploration", "active"]
    list_filter = ["active", "policy", "objective"]
    search_fields = ["key", "name"]
    ordering = ["key"]

    def formfield_for_dbfield(self, db_field: Field, request: HttpRequest, **options: Any) -> FormField | None:
        """Facts typed with commas."""
        if db_field.name == "bandit_facts":
            options |= {"form_class": FactsField, "widget": FactsField.widget}
        return super().formfield_for_dbfield(db_field, request, **options)

    @display(description="Its effect")
    def effect(self, placement: Placement) -> str:
        """Held out against all others."""
        return told_effect(placement) if placement.pk else "Shown once the placement is saved."

    @display(description="The lists in use")
    def lists_learned(self, placement: Placement) -> str:
        """From how much they were learned, and when."""
        found = Artefact.objects.filter(kind=Artefact.Kind.RECALL, active=True).defer("data").first()
        if found is None:
            return "None yet: all contents compete. They are learned once a day, or by `manage.py learn recall`."
        told = f"{found.trained_at:%-d %B %Y, %H:%M} UTC, from {found.metrics.get('touches', 0):,} touches"
        url = reverse("admin:decisioning_artefact_change", args=[found.pk])
        return format_html('<a class="console-link" href="{}">{}</a>', url, told)


@admin.register(Content)
class ContentAdmin(Publishing):
    """Anything that can be shown or sent."""

    form = ContentForm
    fieldsets = [
        (None, {"fields": ["name", "key", "body", "attributes", "tags", "active"]}),
        ("Where and when", {"fields": ["placements", "default_for", "starts_at", "ends_at"]}),
        ("Worth", {"fields": [("value", "margin"), "boost"]}),
        ("To whom, and how often", {"fields": ["stock", "needs_consent", ("cap_count", "cap_hours")]}),
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
        "ignores_limits",
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
