"""What is typed about an API key in; checked scopes, origins, limits and ends, and its state in words, out."""

import json
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from decisioning.models import ApiKey
from decisioning.store import keys

MEANINGS = {
    "decide": "decide: ask for decisions",
    "track": "track: send events and outcomes",
    "read": "read: read segments, customers, and why decisions were made",
    "lists": "lists: change imported lists",
    "manage": "manage: ask for reports on everybody, change the configuration; may read and change lists, too",
}
OVERLAPS = {
    "0": "at once",
    "3600": "in an hour",
    "86400": "in a day",
    "604800": "in a week",
    "2592000": "in 30 days",
}
# The colours of states in the list.
COLOURS = {"active": "success", "ending": "warning", "unused": "info", "ended": "danger"}
SOON = timedelta(days=14)
UNUSED = timedelta(days=30)


class OriginsField(forms.CharField):
    """A list of origins, one a line."""

    widget = UnfoldAdminTextareaWidget

    def prepare_value(self, value: Any) -> Any:
        """Origins as they are typed."""
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        """Each origin once, as browsers send it; raises ValidationError that names those that are none."""
        found, problems = [], []
        for line in str(value or "").replace("\r\n", "\n").split("\n"):
            try:
                found += [keys.origin_of(line.strip(" "))] if line.strip(" ") else []
            except ValidationError as problem:
                problems += problem.messages
        if problems:
            raise ValidationError(problems)
        return list(dict.fromkeys(found))

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compared as lists: empty lines are no change."""
        try:
            return bool((initial or []) != self.to_python(data))
        except ValidationError:
            return True


class ApiKeyForm(forms.ModelForm):
    """A key may do at least one thing, and one that stands in pages no more than pages need."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, MEANINGS[scope]) for scope in keys.SCOPES],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Give a key no more than its client needs.",
    )
    origins = OriginsField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="For a key that stands in web pages: the sites that may use it, one a line, such as "
        "https://shop.example; * for all sites. Leave it empty for a key that only servers use.",
    )

    class Meta:
        model = ApiKey
        fields = ["name", "scopes", "origins", "decide_rate", "outcome_rate", "event_rate", "expires_at", "active"]

    def clean_expires_at(self) -> datetime | None:
        """An end that is over already is a mistake, unless it was there before."""
        end: datetime | None = self.cleaned_data["expires_at"]
        if end is not None and "expires_at" in self.changed_data and end <= datetime.now(UTC):
            raise ValidationError("This is over already. Choose a later moment, or switch the key off.")
        return end

    def clean(self) -> dict[str, Any]:
        """Scopes and origins must fit."""
        values = super().clean() or {}
        try:
            keys.refuse_settings(values.get("scopes") or (), values.get("origins") or ())
        except ValidationError as problem:
            self.add_error("origins", problem)
        return values


class RotateForm(forms.Form):
    """When the former key ends."""

    overlap = forms.ChoiceField(
        label="The present key ends",
        choices=list(OVERLAPS.items()),
        initial="604800",
        widget=UnfoldAdminSelectWidget,
        help_text="Until then both work: long enough to put the new key wherever the present one is.",
    )

    def seconds(self) -> timedelta:
        """How long both keys work."""
        return timedelta(seconds=int(self.cleaned_data["overlap"]))


def successor_of(key: ApiKey) -> ApiKey | None:
    """The key that was made when this one was rotated."""
    return getattr(key, "successor", None)


def state_of(key: ApiKey, now: datetime) -> tuple[str, str]:
    """A colour's name and the state in words."""
    if not key.active:
        return "ended", "switched off"
    if key.expires_at is not None and key.expires_at <= now:
        return "ended", "rotated, ended" if successor_of(key) else "expired"
    if key.expires_at is not None and successor_of(key):
        return "ending", f"rotated, ends {within(key.expires_at - now)}"
    if key.expires_at is not None and key.expires_at - now <= SOON:
        return "ending", f"expires {within(key.expires_at - now)}"
    last = key.last_used_on or key.created_at.date()
    if now.date() - last >= UNUSED:
        return "unused", f"unused for {(now.date() - last).days} days"
    return "active", f"active, expires {within(key.expires_at - now)}" if key.expires_at else "active"


def within(span: timedelta) -> str:
    """How far off, rounded to its largest unit."""
    for unit, seconds in (("day", 86400), ("hour", 3600)):
        if number := round(span.total_seconds() / seconds):
            return f"in {number} {unit}{'s' if number > 1 else ''}"
    return f"in {max(1, round(span.total_seconds() / 60))} min"


def first_call(whole: str, scopes: list[str], placement: str) -> str:
    """A line for the shell that tries the key out."""
    base, header = settings.PUBLIC_URL, f"Authorization: Bearer {whole}"
    if "decide" in scopes:
        return _post(f"{base}/v1/decide", header, {"anonymous_id": "visitor-1", "placements": [placement]})
    if "track" in scopes:
        event = {"anonymousId": "visitor-1", "event": "Key Tried", "messageId": "key-tried-1"}
        return _post(f"{base}/v1/track", header, event)
    return f"curl {shlex.quote(f'{base}/v1/segments')} -H {shlex.quote(header)}"


def _post(url: str, header: str, body: dict[str, Any]) -> str:
    words = ["curl", url, "-H", header, "-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return shlex.join(words)
