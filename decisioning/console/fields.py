"""What a marketer typed in; a checked value, or a form error that points at the character, out."""

import json
from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from unfold.widgets import (
    UnfoldAdminExpandableTextareaWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from rules import rulebook
from rules.language import RuleError

from ..store import catalogue
from .tables import shown

EXACT = 2**53  # up to here every whole number is a double of its own
ROWS = {rulebook.Kind.RULE: 8, rulebook.Kind.CONDITION: 3}


class LanguageWidget(UnfoldAdminTextareaWidget):
    """A text area whose content is checked while it is typed, by the rules' `check` page."""

    template_name = "admin/language_editor.html"

    def __init__(self, kind: str, of: str = "") -> None:
        """`of` is what the text belongs to: a condition of a segment is asked of stored facts alone."""
        self.kind, self.of = kind, of
        attrs = {
            "rows": ROWS[rulebook.Kind(kind)],
            "spellcheck": "false",
            "autocapitalize": "off",
            "wrap": "off",
        }
        super().__init__(attrs={**attrs, "class": "language-editor-text"})

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """The text area, and where and as what its text is checked."""
        context = super().get_context(name, value, attrs)
        described_by = f"{context['widget']['attrs'].get('id', name)}_check"
        context["widget"]["attrs"]["aria-describedby"] = described_by
        context["widget"] |= {
            "kind": self.kind,
            "answer_id": described_by,
            "check_url": reverse("admin:rules_check") + (f"?of={self.of}" if self.of else ""),
        }
        return context

    class Media:
        js = ("decisioning/language.js",)


class LanguageField(forms.CharField):
    """A rule or a condition. Spaces are kept, so that line and column are those the marketer sees."""

    def __init__(self, *, kind: str, **options: Any) -> None:
        self.kind = kind
        super().__init__(strip=False, **options)

    def to_python(self, value: Any) -> str:
        """The text with one kind of line end; nothing but spaces is nothing."""
        text = str(super().to_python(value) or "").replace("\r\n", "\n")
        return text if text.strip() else ""

    def validate(self, value: str) -> None:
        """Refuse a text with an error, naming line and column."""
        super().validate(value)
        if value:
            rulebook.validate(value, catalogue.current(), self.kind)


class ScheduledForm(forms.ModelForm):
    """A row that is in force from `starts_at` to `ends_at`."""

    def clean(self) -> dict[str, Any]:
        """Refuse an end that is not after the start."""
        values = super().clean() or {}
        start, end = values.get("starts_at"), values.get("ends_at")
        if start and end and end <= start:
            self.add_error("ends_at", "The end must be after the start.")
        return values


class TemplateField(forms.CharField):
    """A Liquid template, refused with every problem that `problems` finds in it."""

    def __init__(self, *, problems: Callable[[str], list[str]], **options: Any) -> None:
        self.problems = problems
        super().__init__(**options)

    def validate(self, value: str) -> None:
        """Refuse a template that could not be rendered."""
        super().validate(value)
        if found := self.problems(value):
            raise ValidationError(found)


class TagsField(forms.CharField):
    """A list of tags, typed with commas between them."""

    widget = UnfoldAdminTextInputWidget

    def __init__(self, **options: Any) -> None:
        options.pop("encoder", None), options.pop("decoder", None)
        super().__init__(**{**options, "help_text": "Separated by commas: produce, eco"})

    def prepare_value(self, value: Any) -> Any:
        """Tags as they are typed."""
        return ", ".join(_as_typed(tag) for tag in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        """Each tag once, in the order typed."""
        typed = super().to_python(value) or ""
        return list(dict.fromkeys(tag.strip() for tag in typed.split(",") if tag.strip()))

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compared as lists: spaces around commas are no change."""
        return (initial or []) != self.to_python(data)

    def run_validators(self, value: Any) -> None:
        """Length and forbidden characters, for every tag."""
        for tag in value:
            super().run_validators(tag)


class ObjectField(forms.JSONField):
    """A JSON object that PostgreSQL can keep and a snapshot can carry: names once, numbers that every
    client reads alike, no NUL, at most `LIMIT` long and `LEVELS` deep.
    """

    LIMIT = 100_000
    LEVELS = 20
    widget = UnfoldAdminExpandableTextareaWidget

    def to_python(self, value: Any) -> Any:
        """The object; raises ValidationError that says what to change."""
        if not isinstance(value, str) or not value.strip():
            return value or {}
        if len(value) > self.LIMIT:
            raise ValidationError(f"At most {self.LIMIT:,} characters; this has {len(value):,}.")
        try:
            found = json.loads(
                value, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite, parse_int=_whole
            )
            if _deeper(found, self.LEVELS):
                raise ValidationError(self._too_deep())
            json.dumps(found, ensure_ascii=False).encode()
        except json.JSONDecodeError as error:
            raise ValidationError(
                f"Line {error.lineno}, column {error.colno}: {error.msg}.\n"
                f"{RuleError('', error.lineno, error.colno).caret(value)}"
            ) from None
        except UnicodeEncodeError:
            raise ValidationError(
                "Half of a surrogate pair (\\ud800 to \\udfff) is not a character; remove it."
            ) from None
        except RecursionError:
            raise ValidationError(self._too_deep()) from None
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return self._object(found)

    def prepare_value(self, value: Any) -> Any:
        """Indented, with letters of every language as they are; what was typed wrong stays as typed."""
        if isinstance(value, str):
            return value
        # What came in by another way may be too deep to be written out; cut, it is no JSON and cannot be saved.
        cut = shown(value) if _deeper(value, 5 * self.LEVELS) else None
        return cut or json.dumps(value, indent=2, ensure_ascii=False)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed comes back as typed."""
        return data

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compared as objects: spaces are no change."""
        return bool(self.to_python(data) != (initial or {}))

    def _too_deep(self) -> str:
        return f"Objects and lists go at most {self.LEVELS} levels deep; move what lies deeper to a level above."

    def _object(self, found: Any) -> dict[str, Any]:
        if not isinstance(found, dict):
            raise ValidationError('Write an object: { "name": "value" }.')
        if "\\u0000" in json.dumps(found):
            raise ValidationError("The character NUL (\\u0000) cannot be kept; remove it.")
        return found


def _as_typed(tag: Any) -> str:
    return shown(tag) if isinstance(tag, list | dict) else str(tag)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'The name "{twice}" stands twice in one object; keep one of them.')
    return found


def _whole(number: str) -> int:
    """Sources: RFC 8259, section 6 (beyond 2^53 readers disagree); MessagePack holds 64 bits."""
    if len(number) > len(str(-EXACT)) or abs(int(number)) > EXACT:
        raise ValueError(_too_large(number))
    return int(number)


def _too_large(number: str) -> str:
    short = number if len(number) <= 30 else f"{number[:27]}…"
    return f"The number {short} lies outside ±{EXACT:,}; write it as text, in quotes."


def _deeper(value: Any, levels: int) -> bool:
    """Whether objects and lists stand in one another more than so many times; counted without recursion."""
    here = [value]
    for _ in range(levels + 1):
        here = [each for each in here if isinstance(each, dict | list)]
        here = [part for each in here for part in (each.values() if isinstance(each, dict) else each)]
        if not here:
            return False
    return True


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON; write a number or null.")


def _finite(number: str) -> float:
    value = float(number)
    # PostgreSQL gives 1e30 back as a whole number of 31 digits.
    if abs(value) > EXACT:
        raise ValueError(_too_large(number))
    return value
