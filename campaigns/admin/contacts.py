"""Limits on contacts in; kept by every sender from its next batch on, out."""

from django.contrib import admin
from django.db.models import Q
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display

from ..models import Campaign, ContactLimit, Message


@admin.register(ContactLimit)
class ContactLimitAdmin(ModelAdmin):
    """At most so many messages to one customer, by channel and over all."""

    fields = ["channel", ("count", "hours")]
    list_display = ["limit", "free", "held_back"]
    change_list_template = "admin/contacts/list.html"

    @display(description="Limit", ordering="channel")
    def limit(self, row: ContactLimit) -> str:
        """In words."""
        return row.sentence()

    @display(description="Campaigns that ignore it")
    def free(self, row: ContactLimit) -> str:
        """Their names, with commas."""
        ignoring = Campaign.objects.filter(Q(channel=row.channel) if row.channel else Q(), ignores_limits=True)
        return ", ".join(ignoring.order_by("name").values_list("name", flat=True)) or "–"

    @display(description="Messages not sent")
    def held_back(self, row: ContactLimit) -> SafeString:
        """To what was not sent on purpose, each with its reason."""
        url = reverse("admin:campaigns_message_changelist")
        state = Message.State.SUPPRESSED
        return format_html('<a class="console-link" href="{}?state__exact={}">show</a>', url, state)
