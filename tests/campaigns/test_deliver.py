"""The whole way of a message in one process: allowed or not, made or not, taken by the mail server or not."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from campaigns import outbox
from campaigns.models import Campaign, Content, Message, Placement
from decisioning.customers.models import Consent, Identity
from decisioning.flows import deliver as deliver_module
from decisioning.flows import message as message_module
from decisioning.flows.deliver import Delivered, deliver
from decisioning.flows.preparing import ChosenContents
from decisioning.models import Decision
from decisioning.store import snapshot

from .conftest import let_leases_run_out, let_waits_end, make_campaign, make_customer, owe, states
from .sink import Sink

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)
State = Message.State
DECISION = uuid4()


def choose(customer_key: str, placement_key: str, now: datetime) -> ChosenContents:
    return ChosenContents(DECISION, [{"title": f"{placement_key} for {customer_key} in {now:%Y}"}])


def run(limit: int = 100, **options: Any) -> Delivered:
    return deliver(NOW, choose, limit, **options)


def counts(delivered: Delivered) -> dict[str, int]:
    """The counts that are not zero."""
    found = {name: value for name, value in asdict(delivered).items() if name != "recovered"}
    return {name: value for name, value in found.items() if value}


def reason_of(name: str) -> str:
    return Message.objects.get(customer__key=name).reason


def test_it_sends_what_is_owed_once(sink: Sink, campaign: Campaign) -> None:
    messages = owe(campaign, "ann", "bob")
    assert counts(run()) == {"claimed": 2, "sent": 2}
    assert counts(run()) == {}
    assert sink.received == {message.pk: 1 for message in messages}
    assert [mail["Subject"] for mail in sink.mails] == ["Hello Ann", "Hello Bob"]
    assert Message.objects.filter(state=State.SENT, sent_at__isnull=False).count() == 2


def test_a_limit_is_a_limit(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "ann", "bob", "eve")
    assert counts(run(limit=2)) == {"claimed": 2, "sent": 2}
    assert states()["eve"] == State.PENDING


def test_contents_come_from_the_resolver_and_the_decision_is_kept(sink: Sink, db: None) -> None:
    placement = Placement.objects.create(key="mail-top", name="Top", policy="greedy")
    campaign = make_campaign(placement=placement, body="<p>{{ contents[0].title }}</p>")
    owe(campaign, "ann")
    assert run().sent == 1
    message = Message.objects.get()
    assert (message.decision_id, message.body) == (DECISION, "<p>mail-top for ann in 2018</p>")
    assert UUID(sink.mails[0]["X-Decision-Id"]) == DECISION


def test_the_products_own_resolver_chooses(
    sink: Sink, db: None, clean_redis: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    holder = snapshot.Holder(tmp_path / "state", snapshot.patient())
    monkeypatch.setattr(holder, "_thread", object())  # polled by hand
    monkeypatch.setattr(message_module, "holder", holder)
    placement = Placement.objects.create(key="mail-top", name="Top", policy="greedy", exploration=0)
    Content.objects.create(key="tea", name="Tea", body={"title": "Fresh tea"})
    owe(make_campaign(placement=placement, body="<p>{{ contents[0].title }}</p>"), "ann")
    assert counts(deliver(NOW, message_module.choose, 10)) == {"claimed": 1, "retried": 1}
    assert "NoSnapshot" in reason_of("ann")

    snapshot.build()
    holder.poll()
    let_waits_end()
    assert counts(deliver(NOW, message_module.choose, 10)) == {"claimed": 1, "sent": 1}
    message = Message.objects.get()
    assert message.body == "<p>Fresh tea</p>"
    decision = Decision.objects.get(pk=message.decision_id)
    assert (decision.source, decision.placement, decision.customer_key) == ("campaign", "mail-top", "ann")


def test_traits_and_facts_fill_the_template(sink: Sink, db: None) -> None:
    campaign = make_campaign(subject="{{ customer.name }}, {{ customer.visits }}, {{ customer.key }}")
    customer = make_customer("ann", "ann@mail.example", traits={"name": "Ann"}, facts={"visits": 3})
    outbox.owe([outbox.Owed(campaign.pk, customer.pk, "event 1")])
    run()
    assert sink.mails[0]["Subject"] == "Ann, 3, ann"


@pytest.mark.parametrize(
    ("granted", "email", "reason"),
    [
        (None, "ann@mail.example", "never consented to email"),
        (False, "ann@mail.example", "withdrew consent to email"),
        (True, None, "has no e-mail address"),
    ],
)
def test_it_sends_nothing_without_consent_and_address(
    sink: Sink, campaign: Campaign, granted: bool | None, email: str | None, reason: str
) -> None:
    customer = make_customer("ann", email, granted)
    outbox.owe([outbox.Owed(campaign.pk, customer.pk, "event 1")])
    assert counts(run()) == {"claimed": 1, "suppressed": 1}
    assert reason in reason_of("ann")
    assert sink.mails == []


def test_consent_to_something_else_is_no_consent(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "ann")
    Consent.objects.update(channel="push")
    assert counts(run()) == {"claimed": 1, "suppressed": 1}


def test_the_newest_address_counts(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "ann")
    customer = Message.objects.get().customer
    Identity.objects.create(customer=customer, kind=Identity.Kind.EMAIL, value="new@mail.example")
    run()
    assert sink.mails[0]["To"] == "new@mail.example"


def test_the_unsubscribe_link_of_a_mail_stops_the_next_one(sink: Sink, campaign: Campaign, settings: Any) -> None:
    owe(campaign, "ann")
    assert run().sent == 1
    link = sink.mails[0]["List-Unsubscribe"].strip(" <>")
    assert link.startswith(settings.PUBLIC_URL)
    assert Client().post(link.removeprefix(settings.PUBLIC_URL)).status_code == 200
    outbox.owe([outbox.Owed(campaign.pk, Message.objects.get().customer_id, "another event")])
    assert counts(run()) == {"claimed": 1, "suppressed": 1}


def test_a_paused_campaign_waits_and_goes_on(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "ann")
    Campaign.objects.update(active=False)
    assert counts(run()) == {}
    Campaign.objects.update(active=True)
    assert counts(run()) == {"claimed": 1, "sent": 1}


def test_a_pause_holds_what_was_claimed_before(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "ann", "bob")

    def pause(step: str, message: Message) -> None:
        if step == "rendered" and message.customer.key == "bob":
            Campaign.objects.update(active=False)

    assert counts(run(checkpoint=pause)) == {"claimed": 2, "sent": 1, "released": 1}
    assert set(Message.objects.values_list("customer__key", "state", "attempts")) == {
        ("ann", State.SENT, 1),
        ("bob", State.PENDING, 0),
    }


def test_a_broken_template_fails_its_messages_and_no_others(sink: Sink, campaign: Campaign) -> None:
    broken = make_campaign(key="broken", body="{{ contents | nofilter }}")
    first, second = make_customer("eve", "eve@mail.example"), make_customer("ivy", "ivy@mail.example")
    outbox.owe([outbox.Owed(broken.pk, first.pk, "a"), outbox.Owed(broken.pk, second.pk, "a")])
    owe(campaign, "ann")
    assert counts(run()) == {"claimed": 3, "failed": 2, "sent": 1}
    assert reason_of("eve") == "The body cannot be filled: unknown filter 'nofilter'"
    assert states() == {"eve": State.FAILED, "ivy": State.FAILED, "ann": State.SENT}


def test_a_customers_name_cannot_add_a_recipient(sink: Sink, campaign: Campaign) -> None:
    evil = {"name": "Ann\r\nBcc: all@mail.example\r\n\r\nBuy"}
    customer = make_customer("ann", "ann@mail.example", traits=evil)
    outbox.owe([outbox.Owed(campaign.pk, customer.pk, "event 1")])
    run()
    [mail] = sink.mails
    assert mail["Subject"] == "Hello Ann Bcc: all@mail.example Buy"
    assert mail["Bcc"] is None and mail["X-RcptTo"] is None and mail["To"] == "ann@mail.example"


def test_an_address_that_is_none_fails_before_anything_is_handed_over(sink: Sink, campaign: Campaign) -> None:
    customer = make_customer("ann", "ann@mail.example\r\nBcc: all@mail.example")
    outbox.owe([outbox.Owed(campaign.pk, customer.pk, "event 1")])
    assert counts(run()) == {"claimed": 1, "failed": 1}
    assert (reason_of("ann"), sink.mails) == (
        "The customer's e-mail address is not an address; correct it.",
        [],
    )


@pytest.mark.parametrize(
    ("name", "count", "state", "words"),
    [
        ("refused", "failed", State.FAILED, "550 5.1.1 No such mailbox"),
        ("spam", "failed", State.FAILED, "554 5.7.1 Not wanted"),
        ("greylisted", "retried", State.PENDING, "451 4.7.1 Come back later"),
        ("full", "retried", State.PENDING, "452 4.2.2 Mailbox full"),
        ("silent", "unknown", State.UNKNOWN, "Connection unexpectedly closed"),
        ("hangup", "unknown", State.UNKNOWN, "Connection unexpectedly closed"),
    ],
)
def test_what_one_recipient_gets_does_not_hold_up_the_next(
    sink: Sink, campaign: Campaign, settings: Any, name: str, count: str, state: str, words: str
) -> None:
    settings.EMAIL_TIMEOUT = 2 if name == "silent" else 10
    owe(campaign, "ann", name, "bob")
    assert counts(run()) == {"claimed": 3, "sent": 2, count: 1}
    assert states() == {"ann": State.SENT, name: state, "bob": State.SENT}
    assert words in reason_of(name)
    let_leases_run_out()
    assert counts(run()) == {}, "nothing is tried again before its time"
    assert all(number == 1 for number in sink.received.values())


def test_a_greylisted_message_gets_through_later(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "greylisted")
    assert counts(run()) == {"claimed": 1, "retried": 1}
    Identity.objects.update(value="ann@mail.example")
    assert counts(run()) == {}
    let_waits_end()
    assert counts(run()) == {"claimed": 1, "sent": 1}


def test_an_unknown_message_is_never_sent_again_by_itself(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "hangup")
    for _ in range(3):
        run()
        let_leases_run_out()
        let_waits_end()
    assert list(sink.received.values()) == [1]


def test_a_mail_server_that_is_away_costs_no_attempt(sink: Sink, campaign: Campaign, settings: Any) -> None:
    owe(campaign, "ann", "bob")
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    for _ in range(outbox.MOST_ATTEMPTS + 1):
        assert counts(run()) == {"claimed": 2, "unavailable": 1, "released": 1}
        assert counts(run()) == {}, "nobody tries for a while"
        let_waits_end()
    assert set(Message.objects.values_list("state", "attempts")) == {(State.PENDING, 0)}
    settings.EMAIL_PORT = port
    assert counts(run()) == {"claimed": 2, "sent": 2}


def test_a_connection_lost_between_two_messages_is_replaced(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "ann", "bob")

    def drop(step: str, message: Message) -> None:
        if step == "settled":
            sink.drop_connections()

    assert counts(run(checkpoint=drop)) == {"claimed": 2, "sent": 2}
    assert list(sink.received.values()) == [1, 1]


def test_a_resolver_that_fails_is_tried_again_and_holds_up_nobody(sink: Sink, campaign: Campaign) -> None:
    placement = Placement.objects.create(key="mail-top", name="Top", policy="greedy")
    choosy = make_campaign(key="choosy", placement=placement)
    customer = make_customer("eve", "eve@mail.example")
    outbox.owe([outbox.Owed(choosy.pk, customer.pk, "event 1")])
    owe(campaign, "ann")

    def fail(customer_key: str, placement_key: str, now: datetime) -> ChosenContents:
        raise LookupError("no snapshot yet")

    assert counts(deliver(NOW, fail, 100)) == {"claimed": 2, "retried": 1, "sent": 1}
    assert (states()["eve"], reason_of("eve")) == (State.PENDING, "LookupError: no snapshot yet")


def test_what_there_is_no_time_for_goes_back_uncounted(
    sink: Sink, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe(campaign, "ann", "bob", "eve")
    clock = [0.0]
    monkeypatch.setattr(deliver_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def take_long(step: str, message: Message) -> None:
        clock[0] += outbox.LEASE_SECONDS / 5 if step == "settled" else 0

    assert counts(run(checkpoint=take_long)) == {"claimed": 3, "sent": 3}
    owe(campaign, "fay", "gus", "ivy", "joe")
    assert counts(run(checkpoint=take_long)) == {"claimed": 4, "sent": 3, "released": 1}
    assert Message.objects.get(customer__key="joe").attempts == 0


def test_a_lease_that_ran_out_is_not_sent(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "ann", "bob")

    def stall(step: str, message: Message) -> None:
        if step == "rendered":
            let_leases_run_out()
            outbox.recover()

    assert counts(run(limit=2, checkpoint=stall)) == {"claimed": 2, "lost": 2}
    assert (sink.mails, states()) == ([], {"ann": State.PENDING, "bob": State.PENDING})


def test_an_error_in_between_gives_the_rest_back(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "ann", "bob", "eve")

    def interrupt(step: str, message: Message) -> None:
        if message.customer.key == "bob":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=interrupt)
    assert states() == {"ann": State.SENT, "bob": State.CLAIMED, "eve": State.PENDING}
    assert Message.objects.get(customer__key="eve").attempts == 0


@pytest.mark.django_db(transaction=True)
def test_a_row_that_the_database_refuses_takes_no_other_with_it(sink: Sink) -> None:
    campaign = make_campaign()
    owe(campaign, "ann", "bob", "eve")

    def spoil(step: str, message: Message) -> None:
        if step == "rendered" and message.customer.key == "bob":
            message.decision_id = "not an id"  # type: ignore[assignment]

    assert counts(run(checkpoint=spoil)) == {"claimed": 3, "sent": 2, "retried": 1}
    assert states() == {"ann": State.SENT, "bob": State.PENDING, "eve": State.SENT}


def test_a_deleted_customer_gets_nothing(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "ann")

    def delete(step: str, message: Message) -> None:
        if step == "rendered":
            message.customer.delete()

    assert counts(run(checkpoint=delete)) == {"claimed": 1, "lost": 1}
    assert sink.mails == []
