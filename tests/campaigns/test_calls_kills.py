"""Callers killed with SIGKILL at random: every call is made at least once, and its repeats have its id."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess as Caller

import pytest
from django.db import connection
from django.db.models import F

from campaigns.models import Call

from .caller import Job, work
from .conftest import forkserver
from .receiver import Receiver, Say
from .test_calls import make_webhook, owe

State = Call.State
pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def start() -> Iterator[Callable[[], Caller]]:
    """Starts processes that make calls from the test's database; ends those that are left."""
    started: list[Caller] = []

    def start_one() -> Caller:
        started.append(forkserver.Process(target=work, args=(Job(connection.settings_dict["NAME"]),), daemon=True))
        started[-1].start()
        return started[-1]

    yield start_one
    for caller in started:
        caller.kill()
        caller.join(10)


def let_leases_run_out() -> None:
    Call.objects.filter(lease_until__isnull=False).update(lease_until=F("created_at"))


def test_random_kills_lose_no_call_and_repeats_share_their_id(start: Callable[[], Caller]) -> None:
    dice, kills = random.Random(11), 0
    with Receiver() as receiver:
        for name in ("one", "two"):
            receiver.says(f"/{name}", Say(wait=0.01))
            owe(make_webhook(name, receiver.url(f"/{name}")), *range(100))
        for _ in range(6):
            caller = start()
            receiver.wait_for(min(len(receiver.got) + dice.randrange(5, 25), 200))
            time.sleep(dice.random() * 0.01)
            caller.kill()
            caller.join(10)
            kills += caller.exitcode == -signal.SIGKILL
            let_leases_run_out()
        last = start()
        last.join(60)
        assert last.exitcode == 0
        times = receiver.times()
        bodies = {(one.id, one.body) for one in receiver.got}
    assert kills >= 4, "too few kills to say anything"
    assert set(Call.objects.values_list("state", flat=True)) == {State.DONE}
    assert set(times) == {str(pk) for pk in Call.objects.values_list("pk", flat=True)}, "none is lost, none made up"
    assert len(bodies) == len(times) == 200, "whoever gets one twice can tell"
    assert sum(times.values()) > 200, "kills in flight repeat some"


def test_a_killed_caller_is_followed_when_its_lease_ends(start: Callable[[], Caller]) -> None:
    with Receiver() as receiver:
        receiver.says("/", Say(wait=2), Say())
        [call] = owe(make_webhook(url=receiver.url()), 1)
        caller = start()
        receiver.wait_for(1)
        caller.kill()
        caller.join(10)
        call.refresh_from_db()
        assert (call.state, call.attempts) == (State.CALLING, 1)
        early = start()
        early.join(30)
        assert len(receiver.got) == 1, "it may still be alive"
        let_leases_run_out()
        late = start()
        late.join(30)
        assert receiver.times() == {str(call.pk): 2}
    call.refresh_from_db()
    assert (call.state, call.attempts) == (State.DONE, 2)


def test_two_callers_share_the_work_and_make_no_call_twice(start: Callable[[], Caller]) -> None:
    with Receiver() as receiver:
        receiver.says("/", Say(wait=0.005))
        owe(make_webhook(url=receiver.url()), *range(200))
        callers = [start(), start()]
        for caller in callers:
            caller.join(60)
        assert [caller.exitcode for caller in callers] == [0, 0]
        rest = start()
        rest.join(60)
        assert set(receiver.times().values()) == {1}
    assert Call.objects.filter(state=State.DONE).count() == 200
