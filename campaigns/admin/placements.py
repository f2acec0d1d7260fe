"""Keys of contents typed on a placement's page in; the placement's default contents out."""

from difflib import get_close_matches
from typing import Any

from django.core.exceptions import ValidationError
from django.forms import ModelForm

from decisioning.console.fields import TagsField

from ..models import Content

MOST_COMPARED = 5_000  # keys among which a misspelt one is looked for


class ContentsField(TagsField):
    """Contents by their keys, typed with commas; one that nobody knows is refused."""

    def __init__(self, **options: Any) -> None:
        help_text = options.pop("help_text", "")
        super().__init__(**options)
        self.help_text = help_text

    def validate(self, value: list[str]) -> None:
        """Refuse keys of no content, with the nearest there is."""
        super().validate(value)
        known = set(Content.objects.filter(key__in=value).values_list("key", flat=True))
        for key in value:
            if key not in known:
                near = get_close_matches(key, Content.objects.values_list("key", flat=True)[:MOST_COMPARED], n=1)
                hint = f'Did you mean "{near[0]}"?' if near else "See Contents for all there are."
                raise ValidationError(f'There is no content "{key}". {hint}')


class DefaultsForm(ModelForm):
    """A placement with its default contents, which are kept at the contents."""

    default_contents = ContentsField(
        required=False,
        help_text="Keys of contents, with commas between them: shown here, in the order of their keys, when nothing "
        "else may be. A content's own page has the same under Default for.",
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.instance.pk:
            self.initial.setdefault("default_contents", [content.key for content in self.instance.defaults.all()])

    def _save_m2m(self) -> None:
        super()._save_m2m()  # type: ignore[misc]  # Django's, which its stubs leave out
        self.instance.defaults.set(Content.objects.filter(key__in=self.cleaned_data.get("default_contents") or ()))
