"""Rules in; pages where they are checked as typed, saved as drafts, published and rolled back, out."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.admin import TabularInline
from unfold.decorators import action, display

from decisioning.config import clock
from decisioning.console.analysis import warnings_about
from decisioning.console.counting import audience
from decisioning.console.doubts import with_doubts
from decisioning.console.fields import ScheduledForm
from decisioning.console.pages import Publishing, confirm, go_live
from decisioning.store import catalogue

from .. import rulebook
from ..models import Revision, Rule
from ..rulebook import Kind, State

COLOURS = {State.PUBLISHED: "success", State.CHANGED: "warning", State.DRAFT: "info", State.OFF: "danger"}


class RevisionInline(TabularInline):
    """What was published, newest first; each can be gone back to."""

    model = Revision
    extra = 0
    per_page = 10
    verbose_name_plural = "Published revisions"
    hide_title = True
    fields = readonly_fields = ["number", "said", "priority", "where", "published_at", "published_by", "back"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Revisions come from publishing."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A revision never changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A revision never goes."""
        return False

    @display(description="Text")
    def said(self, revision: Revision) -> str:
        """The text as it was published."""
        return format_html('<pre class="console-code">{}</pre>', revision.text)

    @display(description="Placements")
    def where(self, revision: Revision) -> str:
        """The placements it was for."""
        return ", ".join(revision.placements) or "every placement"

    @display(description="")
    def back(self, revision: Revision) -> str:
        """A link to the page that asks before going back."""
        url = reverse("admin:rules_rule_rollback", args=[revision.rule_id, revision.number])
        return format_html('<a class="console-link" href="{}">Roll back to this revision</a>', url)


def _author(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def _to_rule(rule: Rule) -> HttpResponse:
    return redirect("admin:rules_rule_change", rule.pk)


def _analyse(request: HttpRequest, rules: Sequence[Rule]) -> None:
    """Once they are saved and live, tell what is doubtful about these rules; holds nothing up and no lock."""
    transaction.on_commit(partial(_tell, request, rules))


def _tell(request: HttpRequest, rules: Sequence[Rule]) -> None:
    for warning in warnings_about(rules, clock.now()):
        messages.warning(request, warning)


@admin.register(Rule)
class RuleAdmin(Publishing):
    """Rules: a draft to edit, the revision that decisions follow, and the way back."""

    form = ScheduledForm
    language = {"text": Kind.RULE}
    inlines = [RevisionInline]
    fields = ["standing", "name", "key", "text", "priority", "placements", "starts_at", "ends_at", "active", "room"]
    fields = [*fields, "earned"]
    readonly_fields = ["standing", "room", "earned"]
    autocomplete_fields = ["placements"]
    list_display = ["name", "key", "shown_state", "priority", "where", "revision"]
    list_filter = ["active", ("published", admin.EmptyFieldListFilter), "placements"]
    list_select_related = ["published"]
    search_fields = ["key", "name", "text"]
    actions = ["publish_selected"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        """With the placements, which the state is read from."""
        return super().get_queryset(request).prefetch_related("placements")

    def get_custom_urls(self) -> tuple[Any, ...]:
        """The check while typing, and going back."""
        return (
            ("check/", "rules_check", require_POST(self.check_text)),
            ("<int:pk>/rollback/<int:number>/", "rules_rule_rollback", self.roll_back),
        )

    @display(description="State", label=COLOURS)
    def shown_state(self, rule: Rule) -> tuple[str, str]:
        """The badge of the list."""
        state = rulebook.state(rule)
        return state, state.label

    @display(description="Placements")
    def where(self, rule: Rule) -> str:
        """The placements it is for."""
        return ", ".join(placement.key for placement in rule.placements.all()) or "every placement"

    @display(description="Decisions follow")
    def revision(self, rule: Rule) -> str:
        """The revision that decisions follow."""
        return str(rule.published) if rule.published and rule.active else "nothing of it"

    @display(description="Status")
    def standing(self, rule: Rule) -> str:
        """One sentence on what decisions follow and how the draft differs."""
        if rule.pk is None:
            return "A new rule. Save it as a draft, or save and publish."
        if rule.published is None:
            return "Never published: decisions do not know this rule."
        revision = rule.published
        who = f" by {revision.published_by}" if revision.published_by else ""
        published = f"{revision}, published {revision.published_at:%-d %B %Y, %H:%M} UTC{who}"
        return {
            State.OFF: f"Off: decisions ignore it. Last: {published}.",
            State.CHANGED: f"The draft below differs from what decisions follow: {published}.",
        }.get(rulebook.state(rule), f"Decisions follow this text: {published}.")

    @display(description="Used of its limits")
    def room(self, rule: Rule) -> str:
        """What the saved draft has of what it may have; publishing more is refused."""
        if rule.pk is None:
            return "Shown once the rule is saved."
        used = [f"{use.number:,} of {use.most:,} {use.what}" for use in rulebook.room(rule)]
        return ", ".join(used) or "The text cannot be read yet."

    @display(description="What if?")
    def earned(self, rule: Rule) -> str:
        """A link to what the saved draft would have earned."""
        if rule.pk is None:
            return "Once the rule is saved: what it would have earned."
        placement = rule.placements.values_list("key", flat=True).first()
        query = {"policy": f"draft:{rule.key}", "placement": placement or ""}
        url = f"{reverse('admin:decisioning_decision_earned')}?{urlencode(query)}"
        return format_html('<a class="console-link" href="{}">What would this draft have earned?</a>', url)

    def goes_live(self, request: HttpRequest, form: ModelForm) -> bool:
        """A draft changes nothing; publishing does, and so do the switch and the name of a published rule."""
        seen_at_once = {"active", "name"} & set(form.changed_data)
        return "_publish" in request.POST or bool(seen_at_once and form.instance.published_id)

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        """Save the draft with its placements, then publish it where that was the button."""
        super().save_related(request, form, formsets, change)
        if "_publish" in request.POST:
            self._publish(request, form.instance)
        elif rulebook.state(form.instance) in (State.CHANGED, State.DRAFT):
            messages.info(request, "Saved as a draft; decisions do not follow it until it is published.")
        _analyse(request, [form.instance])

    def response_post_save_add(self, request: HttpRequest, obj: Rule) -> HttpResponse:
        """After publishing, to the rule, where its new revision is seen."""
        return _to_rule(obj) if "_publish" in request.POST else super().response_post_save_add(request, obj)

    def response_post_save_change(self, request: HttpRequest, obj: Rule) -> HttpResponse:
        """After publishing, to the rule, where its new revision is seen."""
        return _to_rule(obj) if "_publish" in request.POST else super().response_post_save_change(request, obj)

    def _publish(self, request: HttpRequest, rule: Rule) -> bool:
        """Publish one rule and say what became of it."""
        before = rule.published_id
        try:
            revision = rulebook.publish(rule, _author(request), catalogue.current())
        except ValidationError as refusal:
            messages.error(request, f"{rule} was not published. {' '.join(refusal.messages)}")
            return False
        if revision.pk == before:
            messages.info(request, f"{rule}: nothing to publish, {revision} already says this.")
            return False
        self.log_change(request, rule, f"Published {revision}.")
        messages.success(request, f"{rule}: published as {revision}.")
        return True

    @action(description="Publish the drafts of selected rules", permissions=["change"])
    def publish_selected(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        """Publish each; those with an error stay as they are and are named."""
        published = [rule for rule in queryset if self._publish(request, rule)]
        if published:
            go_live(request)
            _analyse(request, published)

    def roll_back(self, request: HttpRequest, model_admin: Any, pk: int, number: int) -> HttpResponse:
        """Show both texts and ask; then publish the former one as a new revision."""
        rule = get_object_or_404(Rule, pk=pk)
        revision = get_object_or_404(rule.revisions, number=number)
        if not self.has_change_permission(request, rule):
            raise PermissionDenied

        def do() -> str:
            current = rulebook.rollback(rule, revision, _author(request))
            self.log_change(request, rule, f"Rolled back to revision {number}, as {current}.")
            go_live(request)
            _analyse(request, [rule])
            return f"{rule}: decisions follow {current}, which says what revision {number} said."

        page = {
            "title": f"Roll back “{rule}” to revision {number}?",
            "text": "Its text, priority, placements and schedule are published as a new revision. "
            "The draft becomes the same; what was changed in it and not published is lost.",
            "button": f"Roll back to revision {number}",
            "before": rule.text,
            "after": revision.text,
        }
        return confirm(self, request, page, do, reverse("admin:rules_rule_change", args=[pk]))

    def check_text(self, request: HttpRequest, model_admin: Any) -> JsonResponse:
        """What is wrong with a posted `text` of a `kind` (rule or condition), and how many customers it is for."""
        kind = request.POST.get("kind", Kind.RULE)
        text = request.POST.get("text", "").replace("\r\n", "\n")
        if kind not in Kind.values:
            return JsonResponse({"detail": f"kind must be one of {', '.join(Kind.values)}."}, status=400)
        found = rulebook.find_problems(text, catalogue.current(), kind)
        problems = with_doubts(text, found, request.GET.get("of", ""))
        fit = not any(problem.severity == "error" for problem in problems)
        return JsonResponse(
            {
                "problems": [rulebook.as_data(problem, text) for problem in problems],
                "audience": audience(text, clock.now()) if fit else "",
            }
        )
