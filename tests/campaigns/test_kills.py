"""Senders killed with SIGKILL, at each step and at random: what was promised of each message still holds.

Sent means received exactly once; nothing is received twice; what was not received is listed, as unknown where
the mail server might have had it.
"""

import random
import signal
from collections import Counter
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess as Sender

import pytest

from campaigns import outbox
from campaigns.models import Campaign, Message

from .conftest import let_leases_run_out, make_campaign, make_customer, owe, states
from .sink import Sink

State = Message.State
Start = Callable[..., Sender]
KILLED = -signal.SIGKILL
pytestmark = [pytest.mark.django_db(transaction=True)]


def ended(sender: Sender) -> int | None:
    """The exit code, once there is one."""
    sender.join(60)
    return sender.exitcode


@pytest.mark.parametrize(
    ("step", "after_kill", "received", "in_the_end"),
    [
        ("claimed", State.CLAIMED, 0, State.SENT),
        ("rendered", State.CLAIMED, 0, State.SENT),
        ("sending", State.SENDING, 0, State.UNKNOWN),
        ("handed", State.SENDING, 1, State.UNKNOWN),
        ("settled", State.SENT, 1, State.SENT),
    ],
)
def test_a_kill_at_each_step(
    sink: Sink, start: Start, step: str, after_kill: str, received: int, in_the_end: str
) -> None:
    _, bob, _ = owe(make_campaign(), "ann", "bob", "eve")
    assert ended(start(crash_at=step, crash_on=bob.pk)) == KILLED
    assert states() == {"ann": State.SENT, "bob": after_kill, "eve": State.CLAIMED}
    assert sink.received[bob.pk] == received

    assert ended(start()) == 0
    assert states()["eve"] == State.CLAIMED, "the dead one's messages are left alone until the lease ends"
    let_leases_run_out()
    assert ended(start()) == 0
    assert states() == {"ann": State.SENT, "bob": in_the_end, "eve": State.SENT}
    assert sink.received[bob.pk] == (1 if in_the_end == State.SENT else received)
    assert max(sink.received.values()) == 1


def test_a_message_that_kills_every_sender_takes_no_neighbour_with_it(sink: Sink, start: Start) -> None:
    messages = owe(make_campaign(), "ann", "bob", "eve", "fay", "gus")
    poison = messages[0].pk
    for _ in range(outbox.MOST_ATTEMPTS):
        assert ended(start(crash_at="claimed", crash_on=poison)) == KILLED
        let_leases_run_out()
    assert ended(start()) == 0
    assert states() == {"ann": State.FAILED, **dict.fromkeys(("bob", "eve", "fay", "gus"), State.SENT)}
    assert "stopped 5 times" in Message.objects.get(pk=poison).reason


def test_two_senders_at_once_share_the_work(sink: Sink, start: Start) -> None:
    messages = owe_many(make_campaign(), 100)
    sink.delay = 0.002
    senders = [start(limit=10), start(limit=10)]
    assert [ended(sender) for sender in senders] == [0, 0]
    assert sink.received == dict.fromkeys(messages, 1)
    assert set(states().values()) == {State.SENT}


def test_random_kills_lose_nothing_silently_and_send_nothing_twice(sink: Sink, start: Start) -> None:
    dice, kills = random.Random(7), 0
    messages = owe_many(make_campaign(), 200)
    sink.delay = 0.002
    senders = [start(limit=8, lease=2), start(limit=8, lease=2)]
    for _ in range(15):
        sink.wait_for_more(dice.randrange(1, 12), seconds=0.3)
        victim = dice.randrange(2)
        senders[victim].kill()
        kills += ended(senders[victim]) == KILLED
        senders[victim] = start(limit=8, lease=2)
    assert [ended(sender) for sender in senders] == [0, 0]
    let_leases_run_out()
    assert ended(start()) == 0

    assert kills >= 10, "too few kills to say anything"
    assert max(sink.received.values()) == 1
    found = dict(Message.objects.values_list("id", "state"))
    assert set(found.values()) <= {State.SENT, State.UNKNOWN, State.FAILED}
    assert all(sink.received[pk] == 1 for pk, state in found.items() if state == State.SENT)
    # A message may have been in the hands of the dying five times; then it says so.
    given_up = Message.objects.filter(state=State.FAILED)
    assert all("sender stopped" in reason for reason in given_up.values_list("reason", flat=True))
    missing = [pk for pk in messages if not sink.received[pk]]
    assert {found[pk] for pk in missing} <= {State.UNKNOWN, State.FAILED}
    tally = Counter(found.values())
    assert tally[State.UNKNOWN] <= kills, "only the message in hand is unknown"
    print(f"\n{kills} kills, {dict(tally)}, {len(missing)} not received")


def owe_many(campaign: Campaign, number: int) -> list[int]:
    for index in range(number):
        customer = make_customer(f"c{index}", f"c{index}@mail.example", traits={"name": "Ann"})
        outbox.owe([outbox.Owed(campaign.pk, customer.pk, "event 1")])
    return list(Message.objects.values_list("id", flat=True))
