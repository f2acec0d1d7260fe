"""Senders killed with SIGKILL, at each step and at random: what was promised of each message still holds.

Sent means received exactly once; nothing is received twice; what was not received is listed, as unknown where
the mail server might have had it.
"""

import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from itertools import cycle

import pytest

from campaigns import outbox
from campaigns.models import Campaign, Message

from .conftest import let_leases_run_out, make_campaign, make_customer, owe, states
from .sink import Sink

State = Message.State
Start = Callable[..., subprocess.Popen[str]]
pytestmark = [pytest.mark.django_db(transaction=True)]


def finish(child: subprocess.Popen[str]) -> None:
    assert child.wait(60) == 0


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
    sink: Sink, deliverer: Start, step: str, after_kill: str, received: int, in_the_end: str
) -> None:
    _, bob, _ = owe(make_campaign(), "ann", "bob", "eve")
    finish(deliverer("--once", "--crash-at", step, "--crash-on", str(bob.pk)))
    assert states() == {"ann": State.SENT, "bob": after_kill, "eve": State.CLAIMED}
    assert sink.received[bob.pk] == received

    finish(deliverer())
    assert states()["eve"] == State.CLAIMED, "a living sender's messages are left alone until the lease ends"
    let_leases_run_out()
    finish(deliverer())
    assert states() == {"ann": State.SENT, "bob": in_the_end, "eve": State.SENT}
    assert sink.received[bob.pk] == (1 if in_the_end == State.SENT else received)
    assert max(sink.received.values()) == 1


def test_a_message_that_kills_every_sender_takes_no_neighbour_with_it(sink: Sink, deliverer: Start) -> None:
    messages = owe(make_campaign(), "ann", "bob", "eve", "fay", "gus")
    poison = str(messages[0].pk)
    for _ in range(outbox.MOST_ATTEMPTS):
        finish(deliverer("--once", "--crash-at", "claimed", "--crash-on", poison))
        let_leases_run_out()
    finish(deliverer())
    assert states() == {"ann": State.FAILED, **dict.fromkeys(("bob", "eve", "fay", "gus"), State.SENT)}
    assert "stopped 5 times" in Message.objects.get(pk=poison).reason


def test_two_senders_at_once_share_the_work(sink: Sink, deliverer: Start) -> None:
    messages = owe_many(make_campaign(), 100)
    children = [deliverer("--limit", "10") for _ in range(2)]
    for child in children:
        finish(child)
    assert sink.received == dict.fromkeys(messages, 1)
    assert set(states().values()) == {State.SENT}
    assert sink.sessions > 2, "one of them did everything"


def test_random_kills_lose_nothing_silently_and_send_nothing_twice(sink: Sink, deliverer: Start) -> None:
    dice, kills = random.Random(7), 0
    messages = owe_many(make_campaign(), 200)
    sink.delay = 0.003
    children = [deliverer("--limit", "8", "--lease", "2") for _ in range(2)]
    for child in cycle(children):
        assert child.stdout is not None
        if child.stdout.readline():
            sink.wait_for_more(dice.randrange(1, 12))
            child.send_signal(signal.SIGUSR1)
            kills += child.poll() is None
        elif all(other.poll() is not None for other in children):
            break
    let_leases_run_out()
    finish(deliverer())

    assert kills >= 10, "too few kills to say anything"
    assert max(sink.received.values()) == 1
    found = dict(Message.objects.values_list("id", "state"))
    assert set(found.values()) <= {State.SENT, State.UNKNOWN, State.FAILED}
    assert all(sink.received[pk] == 1 for pk, state in found.items() if state == State.SENT)
    missing = [pk for pk in messages if not sink.received[pk]]
    given_up = Message.objects.filter(state=State.FAILED, reason__contains="sender stopped").count()
    tally = Counter(found.values())
    assert tally[State.FAILED] == given_up
    assert len(missing) <= tally[State.UNKNOWN] + given_up
    print(f"\n{kills} kills, {dict(tally)}, {len(missing)} not received")


def owe_many(campaign: Campaign, number: int) -> list[int]:
    for index in range(number):
        customer = make_customer(f"c{index}", f"c{index}@mail.example", traits={"name": "Ann"})
        outbox.owe([outbox.Owed(campaign.pk, customer.pk, "event 1")])
    return list(Message.objects.values_list("id", flat=True))
