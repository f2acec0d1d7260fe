"""A segment's reactions in; rows of its page where they are written, and refused where they could not work, out."""

import json
import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.admin import TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from decisioning.config import clock
from decisioning.console.fields import ObjectField
from decisioning.customers.models import CustomFact
from decisioning.flows.tell import held_back
from rules.models import Segment

from .. import calls
from ..loops import circle_by_reaction
from ..models import Call, Reaction

# As conditions can read it.
TRAIT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# They say who somebody is: only the customer's own events may.
IDENTIFYING = frozenset(("email", "phone", "loyalty_id", "loyaltyid", "user_id", "userid", "id"))
Kind, Moment = Reaction.Kind, Reaction.Moment
# In the columns of a table there is no room for sentences.
SHORT: dict[str, Any] = {
    "moment": [(Moment.ENTRY, "enters"), (Moment.EXIT, "leaves")],
    "kind": [(Kind.WEBHOOK, "call"), (Kind.TRAIT, "set")],
}


class ValueField(ObjectField):
    """Any small JSON value in one line; nothing typed is none."""

    LIMIT = 2000
    LEVELS = 5
    widget = UnfoldAdminTextInputWidget

    def to_python(self, value: Any) -> Any:
        """The value; raises ValidationError that says what to change."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        try:
            return super().to_python(value)
        except ValidationError:
            if isinstance(value, str) and len(value) <= self.LIMIT and _is_bare(value.strip()):
                quoted = json.dumps(value.strip()[:60], ensure_ascii=False)
                raise ValidationError(f"Text needs quotes: {quoted}. Else write true, false or a number.") from None
            raise

    def prepare_value(self, value: Any) -> Any:
        """As it is typed, in one line."""
        return value if isinstance(value, str) and self.typed else self._line(value)

    typed = False

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed comes back as typed."""
        self.typed = True
        return data

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compared as values."""
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True

    def _line(self, value: Any) -> str:
        return "" if value is None else json.dumps(value, ensure_ascii=False)

    def _object(self, found: Any) -> Any:
        if "\\u0000" in json.dumps(found):
            raise ValidationError("The character NUL (\\u0000) cannot be kept; remove it.")
        return found


def _is_bare(text: str) -> bool:
    """Whether this is neither JSON nor begins like a text, a list or an object of it: words without quotes."""
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return text[0] not in '"[{'
    except (ValueError, RecursionError):
        return False
    return False


class ReactionForm(forms.ModelForm):
    """Each kind needs its own, and a trait must not move its customers for ever."""

    value = ValueField(required=False, help_text='true, 5, "gold"; empty: none.')

    class Meta:
        model = Reaction
        fields = ["moment", "kind", "webhook", "trait", "value", "active"]

    def __init__(self, *args: Any, segment: Segment, **options: Any) -> None:
        self.segment = segment
        super().__init__(*args, **options)
        for name, words in SHORT.items():
            if isinstance(field := self.fields.get(name), forms.ChoiceField):
                field.choices = words

    def has_changed(self) -> bool:
        """A row that was added is meant, also as it came: it must not vanish without a word."""
        return self.instance.pk is None or super().has_changed()

    def clean(self) -> dict[str, Any]:
        """What the other kind would need is dropped."""
        values = super().clean() or {}
        if values.get("kind") == Kind.WEBHOOK:
            values |= {"trait": "", "value": None}
            if not values.get("webhook"):
                self.add_error("webhook", "Choose the webhook to call; new ones are made on the page Webhooks.")
        elif values.get("kind") == Kind.TRAIT:
            values["webhook"] = None
            self._check_trait(values)
        if not self.errors and self._twice(values):
            self.add_error(None, "The segment does this already at this moment; change that reaction instead.")
        return values

    def _check_trait(self, values: dict[str, Any]) -> None:
        trait = str(values.get("trait") or "").strip()
        values["trait"] = trait
        if not trait:
            self.add_error("trait", "Name the trait to set, for example: stage")
        elif not TRAIT.fullmatch(trait):
            self.add_error("trait", "Use letters, digits and underscores, a letter first: so rules can read it.")
        elif trait.casefold() in IDENTIFYING:
            self.add_error("trait", f"“{trait}” says who a customer is, and no segment knows that; choose another.")
        elif CustomFact.objects.filter(name=trait).exists():
            self.add_error("trait", f"“{trait}” is a fact that is computed; choose another name for the trait.")
        elif values.get("active") and (circle := circle_by_reaction(self.segment, trait)):
            self.add_error("trait", circle)

    def _twice(self, values: dict[str, Any]) -> bool:
        if self.segment.pk is None or not values.get("kind"):
            return False
        same = {name: values.get(name) for name in ("moment", "kind", "webhook", "trait")}
        return Reaction.objects.filter(segment=self.segment, **same).exclude(pk=self.instance.pk).exists()


class ReactionFormSet(forms.BaseInlineFormSet):
    """The forms of one segment, which know it as it is about to be saved."""

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """With the segment."""
        return {**super().get_form_kwargs(index), "segment": self.instance}


class ReactionInline(TabularInline):
    """What follows when customers enter or leave this segment."""

    model = Reaction
    form = ReactionForm
    formset = ReactionFormSet
    extra = 0
    tab = False
    verbose_name_plural = "What follows when customers enter or leave"
    fields = ["moment", "kind", "webhook", "trait", "value", "active", "lately"]
    readonly_fields = ["lately"]

    @display(description="Last hour")
    def lately(self, reaction: Reaction) -> str:
        """Calls owed, or how often the trait was held back because somebody moved too often."""
        if reaction.pk is None:
            return "–"
        if reaction.kind == Kind.WEBHOOK:
            mine = Call.objects.filter(webhook=reaction.webhook_id, pk__gte=calls.first_id_of_last_hour())
            ending = "entered" if reaction.moment == Moment.ENTRY else "left"
            number = mine.filter(type__endswith=ending, data__segment__key=reaction.segment.key).count()
            return f"{number:,} call{'' if number == 1 else 's'}"
        held = held_back(reaction, clock.now())
        if not held.times:
            return "never held back"
        people = f"{held.customers:,} customer{'' if held.customers == 1 else 's'}"
        return f"held back {held.times:,} times: {people} moved too often"
