"""Rows about contents in; contents created or changed by their key, each through the model's own checks, out.

Only the columns of the file change anything, an empty cell leaves what is there, and nothing is ever deleted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Batch:
    """What a chunk changes: contents to be made and to be saved by key, and the placements they get by name."""

    known: dict[str, Content]
    placements: Mapping[str, int]
    new: dict[str, Content] = field(default_factory=dict)
    changed: dict[str, Content] = field(default_factory=dict)
    links: dict[tuple[str, str], set[int]] = field(default_factory=dict)

    def save(self) -> None:
        """Write all of it."""
        made = Content.objects.bulk_create(self.new.values())
        for content in self.changed.values():
            content.save()
        pks = {content.key: content.pk for content in (*made, *self.known.values())}
        for name in MANY:
            wanted = {pks[key]: places for (key, of), places in self.links.items() if of == name}
            through = getattr(Content, name).through._default_manager
            through.filter(content_id__in=list(wanted)).delete()
            links = [through.model(content_id=pk, placement_id=one) for pk, ones in wanted.items() for one in ones]
            through.bulk_create(links)


def write(rows: Sequence[Placed[dict[str, Any]]], failures: Sequence[Failure], save: bool = True) -> Done:
    """Create or change these contents; with `save` false everything is checked and nothing written."""
    done = Done(Counter(), list(failures))
    known = {content.key: content for content in Content.objects.filter(key__in=_keys(rows))}
    batch = Batch(known, dict(Placement.objects.values_list("key", "pk")))
    for row in rows:
        try:
            done.counts[_apply(batch, row.what)] += 1
        except (Misfit, strict.Unfit) as error:
            done.failures.append(Failure(row.place, CODE, str(error)))
        except ValidationError as error:
            told = (f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
            done.failures.append(Failure(row.place, CODE, "; ".join(told)))
    if save:
        with transaction.atomic():
            batch.save()
    return done


def _keys(rows: Iterable[Placed[dict[str, Any]]]) -> list[str]:
    return [str(row.what["key"]) for row in rows if "key" in row.what]


def _apply(batch: Batch, said: Mapping[str, Any]) -> str:
    """What will become of the content: created, changed or unchanged. A row counts whole or not at all."""
    if "key" not in said:
        raise Misfit("The row has no key; map a column to `key`.")
    key = str(said["key"])
    before = batch.new.get(key) or batch.known.get(key)
    content = copy(before) if before else Content(key=key)
    wanted = {name: said[name] for name in PLAIN if name in said} | _objects(content, said)
    links = {name: _links(name, said[name], batch.placements) for name in MANY if name in said}
    changed = [name for name, value in wanted.items() if getattr(content, name) != value]
    for name in changed:
        setattr(content, name, wanted[name])
    _check(content)
    relinked = {name: pks for name, pks in links.items() if _linked(batch, content, name) != pks}
    batch.links |= {(key, name): pks for name, pks in relinked.items()}
    if before is None or key in batch.new:
        batch.new[key] = content
    elif changed:
        batch.known[key] = batch.changed[key] = content
    return "created" if before is None else "changed" if changed or relinked else "unchanged"


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


def _linked(batch: Batch, content: Content, name: str) -> set[int]:
    if (content.key, name) in batch.links:
        return batch.links[content.key, name]
    return set(getattr(content, name).values_list("pk", flat=True)) if content.pk else set()


def _check(content: Content) -> None:
    # Who has the key was asked for the whole chunk.
    content.full_clean(validate_unique=False)
    if content.starts_at and content.ends_at and content.ends_at <= content.starts_at:
        raise Misfit("ends_at: The end must be after the start.")
