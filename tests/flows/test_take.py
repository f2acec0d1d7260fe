"""Outcomes by `POST /v1/outcomes`: a retry counts once, a used id is refused; and dry runs take no events."""

import threading
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from django.test import Client

from decisioning.config import clock
from decisioning.customers.models import Event
from decisioning.flows.take import Duplicate, keep_outcome, row_of
from decisioning.models import ApiKey, Decision, Outcome
from decisioning.store import statistics, tokens

PATH = "/v1/outcomes"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def body(site) -> dict[str, object]:
    """A conversion of the first content of a decision that is in the ledger."""
    items = site.decide()["placements"][0]["items"]
    site.ledger.flush()
    return {
        "token": items[0]["token"],
        "type": "conversion",
        "value": 5,
        "message_id": "m-1",
        "other": items[1]["token"],
    }


def sent(site, body, **changed) -> tuple[int, dict[str, object]]:
    told = {**body, **changed}
    return site.post(PATH, {name: value for name, value in told.items() if name != "other"})


def test_the_same_outcome_again_is_answered_the_same_whenever_it_is_told(site, body):
    first = sent(site, body)
    assert first == (200, {"success": True, "attributed": True})
    assert sent(site, body) == first
    # By the row that is kept: the retry's own moment would lie before the decision.
    assert sent(site, body, timestamp="2020-01-01T00:00:00Z") == first
    assert Outcome.objects.count() == 1


def test_a_late_outcome_that_is_sent_again_stays_late(site, body):
    Decision.objects.update(windows=[0, 0, 0, 0])
    assert [sent(site, body)[1]["attributed"] for _ in range(2)] == [False, False]


@pytest.mark.parametrize("changed", [{"type": "click", "value": 0}, {"value": 6}, {"token": "other"}])
def test_an_id_that_another_outcome_has_is_refused_and_counted_and_the_first_stays(site, body, admin_client, changed):
    assert sent(site, body)[0] == 200
    status, answer = sent(site, body, **{name: body.get(value, value) for name, value in changed.items()})
    assert (status, answer["error"]["code"]) == (409, "duplicate")
    assert "an id of its own" in answer["error"]["message"]
    kept = Outcome.objects.get()
    assert (kept.kind, kept.value) == ("conversion", 5)
    site.ledger.tallies.write()
    prefix = ApiKey.objects.get().prefix
    assert statistics.tallies("tokens", clock.now().replace(minute=0, second=0, microsecond=0)) == {
        f"duplicate {prefix}": (1, 0)
    }
    page = admin_client.get("/admin/decisioning/traffic/").content.decode()
    assert "Their message_id is another outcome’s" in page


def test_the_contract_names_that_refusal(db):
    schema = Client().get("/v1/schema", headers={"accept": "application/json"}).json()
    assert "`duplicate`" in schema["paths"][PATH]["post"]["responses"]["409"]["description"]


@pytest.mark.django_db(transaction=True)
def test_of_two_that_come_at_once_the_second_is_told_of_the_first(settings):
    settings.INTAKE_DEADLINE_SECONDS = 60
    found: list[object] = []

    def second() -> None:
        try:
            found.append(keep_outcome(row_of(token, "click", "m-1", clock.now())))
        except Duplicate as error:
            found.append(error)
        finally:
            connection.close()

    decision = UUID(int=1)
    token = tokens.issue(decision, "apple")
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute(
            "INSERT INTO decisioning_outcome (decision_id, content, kind, value, at, message_id)"
            " VALUES (%s, 'apple', 'impression', 0, now(), 'm-1')",
            [decision],
        )
        waits = threading.Thread(target=second)
        waits.start()
        with connection.cursor() as cursor:
            waiting = 0
            while not waiting:
                cursor.execute(WAITING)
                (waiting,) = cursor.fetchone()
                assert waits.is_alive()
    waits.join()
    assert [type(one) for one in found] == [Duplicate]


def test_a_dry_run_takes_no_events_and_says_so(site):
    event = {"type": "track", "event": "Seen", "userId": "c-1", "messageId": "m-1"}
    status, answer = site.post(
        "/v1/decide", {"customer_id": "c-1", "placements": ["hero"], "mode": "dry_run", "events": [event]}
    )
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert "Leave 'events' out" in answer["error"]["message"]
    assert not Event.objects.exists()
