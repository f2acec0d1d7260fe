"""Dead letters in; pages that say what was refused or set aside and why, and try it again, out."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse, reverse_lazy
from django.utils.text import Truncator
from unfold.decorators import action, display

from decisioning.config import clock
from decisioning.console.pages import ReadOnly, confirm
from decisioning.flows.replay import MOST, open_with, replay, still_dead

from ..intake.letters import KEPT_DAYS, SET_ASIDE, TOO_MANY
from ..models import DeadLetter

LONGEST_BODY: Final = 20_000
STAGES = {DeadLetter.Stage.INTAKE: "warning", DeadLetter.Stage.HANDLING: "danger"}
# Past this many rows a list's length says no more to people, and costs as much as the list.
MOST_COUNTED: Final = 10_000
MOST_TOLD: Final = 5
LONGEST_REASON: Final = 72
LIST: Final = reverse_lazy("admin:customers_deadletter_changelist")
# What replaying does, by stage.
ASKED: Final = {
    str(DeadLetter.Stage.INTAKE): "It goes through the same intake as when it was sent, with the time it was sent at. "
    "What is stored already is not stored twice.",
    str(DeadLetter.Stage.HANDLING): "The worker takes the event again, with all its tries. Mend the cause first.",
}


class Capped(Paginator):
    """Counts no further than `MOST_COUNTED`: letters may be a million."""

    @property
    def count(self) -> int:
        """Rows, or the cap."""
        rows = cast("QuerySet[DeadLetter]", self.object_list)
        return len(rows.order_by()[:MOST_COUNTED].values_list("pk", flat=True))


class StillDead(admin.SimpleListFilter):
    """Those still dead, unless others are asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What may be asked for beside those still dead."""
        return [("replayed", "Replayed"), ("all", "All")]

    def choices(self, changelist: Any) -> Any:
        """The first choice is no "All" here."""
        chosen = super().choices(changelist)
        yield {**next(chosen), "display": "Still dead"}
        yield from chosen

    def queryset(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> QuerySet[DeadLetter]:
        """The letters of the chosen state."""
        if self.value() == "all":
            return queryset
        return queryset.filter(replayed_at__isnull=self.value() != "replayed")


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnly):
    """What could not be taken in or handled; each can be tried again."""

    change_form_template = "admin/letters/letter.html"
    change_list_template = "admin/letters/list.html"
    fieldsets: Any = [(None, {"fields": []})]
    list_display = ["number", "shown_stage", "code", "told", "source", "times", "last_at"]
    list_display_links = ["number", "told"]
    list_filter = [StillDead, "stage", "code"]
    search_fields = ["=source", "=code", "reason"]
    search_help_text = "A source or code, whole, or words of a reason"
    ordering = ["-at", "-id"]
    actions = ["replay_selected"]
    actions_detail = ["replay_one", "replay_alike"]
    paginator = Capped
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        """Without the bodies, which no list needs."""
        return super().get_queryset(request).defer("body")

    def has_replay_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change dead letters may have them tried again."""
        return request.user.has_perm("customers.change_deadletter")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[Any]:
        """What was replayed is done with, and what was not kept cannot be sent again."""
        letter = self.get_object(request, str(object_id))
        if letter is None or letter.replayed_at is not None or not _is_replayable(letter):
            return []
        return super().get_actions_detail(request, object_id)

    @display(description="Letter", ordering="id")
    def number(self, letter: DeadLetter) -> str:
        """Its number."""
        return f"letter {letter.pk}"

    @display(description="Stage", label=STAGES, ordering="stage")
    def shown_stage(self, letter: DeadLetter) -> tuple[str, str]:
        """Where it stopped, as a badge."""
        return letter.stage, letter.get_stage_display()

    @display(description="Reason")
    def told(self, letter: DeadLetter) -> str:
        """The beginning of it."""
        return Truncator(letter.reason).chars(LONGEST_REASON)

    @display(description="Last (UTC)", ordering="at")
    def last_at(self, letter: DeadLetter) -> str:
        """To the second."""
        return f"{letter.at:%-d %b, %H:%M:%S}"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """With what an empty list means."""
        shown = {"kept_days": KEPT_DAYS, "any_letter": DeadLetter.objects.exists()}
        return super().changelist_view(request, {**(extra_context or {}), **shown})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The letter with its body."""
        letter = self.get_object(request, object_id)
        shown = {"body": pretty(bytes(letter.body)), "size": len(letter.body)} if letter else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    @action(description="Replay", permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """Try each again and say what became of them."""
        ids = list(queryset.order_by("at", "pk").values_list("pk", flat=True)[:MOST])
        messages.info(request, _told(self._replay(request, ids)))

    @action(description="Replay", permissions=["replay"], icon="replay")
    def replay_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then try this one again."""
        letter = self._found(request, object_id)
        page = {"title": f"Replay letter {letter.pk}?", "text": ASKED[letter.stage], "button": "Replay"}
        back = reverse("admin:customers_deadletter_change", args=[letter.pk])
        return confirm(self, request, page, lambda: self._replayed(request, [letter.pk]), back)

    @action(description="Replay all with this code", permissions=["replay"], icon="restart_alt")
    def replay_alike(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, then try all that are dead for the same reason."""
        letter = self._found(request, object_id)
        ids = open_with(letter)
        many = f"The {MOST:,} oldest are replayed; repeat it for the next ones." if len(ids) >= MOST else ""
        text = f"{len(ids):,} with the code “{letter.code}” are still dead. {many or ASKED[letter.stage]}"
        page = {"title": f"Replay all with the code “{letter.code}”?", "text": text, "button": "Replay all"}
        return confirm(self, request, page, lambda: self._replayed(request, ids), str(LIST))

    def _found(self, request: HttpRequest, object_id: str) -> DeadLetter:
        letter = self.get_object(request, object_id)
        if letter is None:
            raise Http404(f"There is no dead letter {object_id}.")
        return letter

    def _replayed(self, request: HttpRequest, ids: Sequence[int]) -> str:
        """What became of them; a refusal where none got through."""
        outcomes = self._replay(request, ids)
        if outcomes and all(map(still_dead, outcomes)):
            raise ValidationError(_told(outcomes))
        return _told(outcomes)

    def _replay(self, request: HttpRequest, ids: Sequence[int]) -> list[str]:
        """Try them again and note it in the admin's log; what each said."""
        outcomes = replay(ids, clock.now())
        for letter in DeadLetter.objects.filter(pk__in=outcomes).only("pk", "code", "source"):
            self.log_change(request, letter, f"Replayed: {outcomes[letter.pk]}")
        return list(outcomes.values())


def _told(outcomes: Sequence[str]) -> str:
    """How often each thing came out, the most frequent first."""
    said = Counter(outcomes).most_common()
    told = [f"{times:,} letter{'s' * (times > 1)}: {outcome}" for outcome, times in said[:MOST_TOLD]]
    if len(said) > MOST_TOLD:
        told.append(f"And {len(said) - MOST_TOLD} other outcomes; each letter tells its own.")
    return " ".join(told) or "There was nothing to replay."


def _is_replayable(letter: DeadLetter) -> bool:
    return letter.code != TOO_MANY and (letter.code == SET_ASIDE or bool(letter.body))


def pretty(body: bytes) -> str:
    """A body as people read it: JSON indented, control characters and bad bytes made visible, cut where it is long."""
    try:
        text = json.dumps(msgspec.json.decode(body), indent=2, ensure_ascii=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        text = body.decode(errors="backslashreplace")
    cut = text if len(text) <= LONGEST_BODY else f"{text[:LONGEST_BODY]}\n…"
    return "".join(letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1] for letter in cut)
