"""A small site in PostgreSQL and Redis, with a snapshot in this process and a key to ask with."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from campaigns.models import Content, Placement
from decisioning.api import doors
from decisioning.customers.models import Customer, Identity
from decisioning.store import keys, profiles, publishing, snapshot
from decisioning.store.connection import patient
from decisioning.store.ledger import Ledger
from rules import rulebook
from rules.language.facts import Catalogue, Fact
from rules.models import Rule


@dataclass
class Site:
    """What a test asks and changes."""

    key: str
    holder: snapshot.Holder
    ledger: Ledger

    def post(self, path: str, body: Any, key: str | None = None) -> tuple[int, Any]:
        """Through the same function as both doors; the status and the decoded body."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        reply = doors.answer(path, {"authorization": f"Bearer {self.key if key is None else key}"}, raw)
        return reply.status, json.loads(reply.body)

    def decide(self, **body: Any) -> Any:
        """A decision that must be answered with 200."""
        status, answer = self.post("/v1/decide", {"customer_id": "c-1", "placements": ["hero"], **body})
        assert status == 200, answer
        return answer

    def publish(self) -> None:
        """What the admin does after a commit, and what this process does half a second later."""
        snapshot.build()
        self.holder.poll()

    def rule(self, key: str, text: str) -> Rule:
        """A published rule."""
        rule, _ = Rule.objects.update_or_create(key=key, defaults={"name": key, "text": text})
        rulebook.publish(rule, None, Catalogue(facts={"age": Fact("age", "number")}))
        return rule


@pytest.fixture
def site(db, clean_redis, monkeypatch, settings, tmp_path) -> Site:
    """Two contents, one placement, one customer, a published snapshot."""
    hero = Placement.objects.create(key="hero", name="Hero", count=2, policy="greedy", exploration=0)
    for name in ("apple", "banana"):
        Content.objects.create(key=name, name=name.title(), body={"title": name}, tags=[name[0]])
    default = Content.objects.create(key="default", name="Default", active=True)
    default.default_for.set([hero])
    customer = Customer.objects.create(key="c-1", facts={"age": 30}, facts_version=1)
    Identity.objects.create(customer=customer, kind="anonymous_id", value="anon-1")
    _, whole = keys.create("test", keys.SCOPES)
    holder = snapshot.Holder(tmp_path / "state", snapshot.patient())
    monkeypatch.setattr(holder, "_thread", object())  # polled by hand
    ledger = Ledger()
    monkeypatch.setattr(ledger, "_thread", object())  # flushed by hand
    for name, thing in (("holder", holder), ("ledger", ledger)):
        monkeypatch.setattr(doors, name, thing)
    # The hot path's 30 ms are no matter of these tests; a busy machine may take longer.
    for reader in ("_shared", "_of_batches"):
        monkeypatch.setattr(profiles, reader, [profiles.Profiles(patient())])
    built = Site(whole, holder, ledger)
    built.publish()
    publishing.publish_all()
    return built


@pytest.fixture
def flush() -> Callable[[Site], int]:
    """Write what the ledger holds."""
    return lambda site: site.ledger.flush()
