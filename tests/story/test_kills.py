"""A worker killed with SIGKILL in the middle of its work loses nothing and does nothing twice."""

from datetime import UTC, datetime

import numpy as np
import pytest

from campaigns import outbox
from campaigns.models import Campaign, Content, Message
from decisioning.customers.models import Consent, Customer, Identity
from decisioning.learning.features import design_matrix, learn_schema
from decisioning.learning.scorer import Trees
from decisioning.models import Artefact, Score
from decisioning.store import artefacts

from ..campaigns.sink import Sink

pytestmark = [pytest.mark.story, pytest.mark.django_db(transaction=True)]
LONG_AGO = datetime(2017, 1, 1, tzinfo=UTC)


def people(count: int) -> list[Customer]:
    rows = [Customer(key=f"c-{n}", facts={"age": n % 80}, facts_at=LONG_AGO, facts_version=1) for n in range(count)]
    return Customer.objects.bulk_create(rows)


def scorer() -> Artefact:
    """Older people convert more; trained here on rows made for it."""
    contents = [Content.objects.create(key=key, name=key, attributes={"size": n}) for n, key in enumerate("abc")]
    facts = [{"age": n % 80} for n in range(600)]
    schema = learn_schema({"age": "number"}, facts, contents, {})
    rows = design_matrix(schema, facts, contents)
    chance = np.random.default_rng(1).random(len(rows)) < rows[:, 0] / 80
    fitted = Trees(schema, trees=20).fit(rows, chance.astype(np.int8))
    kept = artefacts.keep(Artefact.Kind.SCORER, fitted.to_artefact(), schema.hash, {}, LONG_AGO)
    artefacts.activate(kept, tried=True)
    return kept


def test_a_worker_killed_in_the_middle_of_scoring_leaves_nobody_unscored(processes, until):
    people(6000)
    active = scorer()
    worker, _ = processes.worker(), processes.beat()
    until("first scores", Score.objects.exists)
    processes.kill(worker)
    scored = Score.objects.count()
    assert 0 < scored < 6000, "the kill came too late to be in the middle"
    # Batches of 500, and buckets of a sixteenth.
    assert scored % 125 == 0, "a batch is whole or not there"
    processes.worker()
    until("all scores", lambda: Score.objects.filter(artefact=active).count() == 6000)
    young, old = (Score.objects.get(customer__key=f"c-{n}").by_content["a"] for n in (5, 75))
    assert old > young + 0.3


def test_a_worker_killed_in_the_middle_of_sending_sends_nothing_twice_and_loses_nothing(processes, until):
    rows = people(120)
    Identity.objects.bulk_create(Identity(customer=c, kind="email", value=f"{c.key}@mail.example") for c in rows)
    Consent.objects.bulk_create(
        Consent(customer=c, channel="email", granted=True, at=LONG_AGO, source="t") for c in rows
    )
    campaign = Campaign.objects.create(
        key="hello", name="Hello", trigger="event", event_name="e", subject="Hi", body="x"
    )
    with Sink() as sink:
        sink.delay = 0.03
        processes.variables |= {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(sink.port)}
        assert outbox.owe(outbox.Owed(campaign.pk, c.pk, "occasion") for c in rows) == 120
        processes.beat()
        worker = processes.worker()
        until("some mail", lambda: Message.objects.filter(state="sent").count() >= 8)
        processes.kill(worker)
        assert Message.objects.filter(state__in=("pending", "claimed")).exists(), "the kill came too late"
        # As if the leases of the dead had run out.
        Message.objects.filter(lease_until__isnull=False).update(lease_until=LONG_AGO)
        sink.delay = 0
        processes.worker()
        open_states = ("pending", "claimed", "sending")
        until("an empty outbox", lambda: not Message.objects.filter(state__in=open_states).exists())
        received = sink.received
    states = dict(Message.objects.values_list("pk", "state"))
    assert set(states.values()) <= {"sent", "unknown"}
    assert max(received.values()) == 1, "somebody was mailed twice"
    assert all(received[pk] == 1 for pk, state in states.items() if state == "sent"), "marked sent, but never arrived"
    assert sum(state == "unknown" for state in states.values()) <= 2, "at most what each child had in hand"
