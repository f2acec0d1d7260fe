"""Rows about contents in; contents created or changed by their key, each through the model's own checks, out.

Only the columns of the file change anything, an empty cell leaves what is there, and nothing is ever deleted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from django.core.exceptions import ValidationError
from django.db import transaction

from campaigns.models import Content, Placement

from ..customers.intake import strict
from .handing import Done, Failure, Placed
from .mapping import did_you_mean
from .shapes import REST
from .values import Misfit

PLAIN: Final = ("name", "value", "starts_at", "ends_at", "active")
MANY: Final = ("placements", "default_for")
CODE: Final = "content"


def write(rows: Sequence[Placed[dict[str, Any]]], failures: Sequence[Failure], save: bool = True) -> Done:
    """Create or change these contents; with `save` false everything is checked and nothing written."""
    done = Done(Counter(), list(failures))
    existing = {content.key: content for content in Content.objects.filter(key__in=_keys(rows))}
    placements = dict(Placement.objects.values_list("key", "pk"))
    for row in rows:
        try:
            content = existing.get(str(row.what.get("key"))) or Content()
            # A row is written whole or not at all.
            with transaction.atomic():
                done.counts[_apply(content, row.what, placements, save)] += 1
            existing[content.key] = content
        except (Misfit, strict.Unfit) as error:
            done.failures.append(Failure(row.place, CODE, str(error)))
        except ValidationError as error:
            told = (f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
            done.failures.append(Failure(row.place, CODE, "; ".join(told)))
    return done


def _keys(rows: Iterable[Placed[dict[str, Any]]]) -> list[str]:
    return [str(row.what["key"]) for row in rows if "key" in row.what]


def _apply(content: Content, said: Mapping[str, Any], placements: Mapping[str, int], save: bool) -> str:
    """What became of the content: created, changed or unchanged."""
    if "key" not in said:
        raise Misfit("The row has no key; map a column to `key`.")
    new = content.pk is None
    wanted = {name: said[name] for name in PLAIN if name in said} | _objects(content, said)
    links = {name: _links(name, said[name], placements) for name in MANY if name in said}
    changed = [name for name, value in wanted.items() if getattr(content, name) != value]
    for name in changed:
        setattr(content, name, wanted[name])
    content.key = said["key"]
    _check(content)
    relinked = {name: pks for name, pks in links.items() if new or _linked(content, name) != pks}
    if save and (new or changed):
        content.save()
    if save:
        for name, pks in relinked.items():
            getattr(content, name).set(pks)
    return "created" if new else "changed" if changed or relinked else "unchanged"


def _objects(content: Content, said: Mapping[str, Any]) -> dict[str, Any]:
    """Body, attributes and tags: single attributes change, those of which the row says nothing stay."""
    found: dict[str, Any] = {}
    if "body" in said:
        found["body"] = content.body | said["body"]
    if more := said.get(REST, {}) | said.get("attributes", {}):
        found["attributes"] = content.attributes | more
    if "tags" in said:
        found["tags"] = [str(tag) for tag in said["tags"]]
    # As JSON, so that moments and decimals of a Parquet file become what PostgreSQL gives back.
    return {name: strict.read(msgspec.json.encode(value))[0] for name, value in found.items()}


def _links(name: str, keys: Sequence[Any], placements: Mapping[str, int]) -> set[int]:
    unknown = [str(key) for key in keys if key not in placements]
    if unknown:
        raise Misfit(f"{name}: there is no placement {unknown[0]}.{did_you_mean(unknown[0], list(placements))}")
    return {placements[key] for key in keys}


def _linked(content: Content, name: str) -> set[int]:
    return set(getattr(content, name).values_list("pk", flat=True))


def _check(content: Content) -> None:
    content.full_clean()
    if content.starts_at and content.ends_at and content.ends_at <= content.starts_at:
        raise Misfit("ends_at: The end must be after the start.")
