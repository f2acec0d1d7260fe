"""Decisions of a log without facts get those that the event log would have given just before, and nothing later."""

from datetime import UTC, datetime
from typing import Any

import pytest

from decisioning.customers.models import Customer, Pending
from decisioning.flows.past import Past
from decisioning.models import Decision

from .conftest import Write, import_

pytestmark = pytest.mark.django_db
EVENTS = "message_id,user_id,event,timestamp,total\n"
DECISIONS = "user_id,at,placement,content\n"
SHOWN = "2024-05-31T10:00:00Z"


def order(number: int, user: str, at: str, total: int = 10) -> str:
    return f"m-{number},{user},Order Completed,{at},{total}\n"


def facts_of(write: Write, events: str, decisions: str) -> dict[str, dict[str, Any]]:
    import_("events", write("events.csv", EVENTS + events))
    # As the consumer leaves it.
    Pending.objects.all().delete()
    import_("decisions", write("log.csv", DECISIONS + decisions))
    return {row.customer_key: row.facts for row in Decision.objects.all()}


def test_what_comes_after_a_decision_changes_nothing_about_its_facts(write: Write) -> None:
    known = [order(n, user, "2024-05-30T08:00:00Z") for n, user in enumerate(["honest", "poisoned"])]
    poison = [order(9, "poisoned", SHOWN, 700), order(10, "poisoned", "2024-05-31T10:00:01Z", 900)]
    facts = facts_of(
        write, "".join(known + poison), "".join(f"{user},{SHOWN},home,tea\n" for user in ("honest", "poisoned"))
    )
    assert facts["honest"]["orders_365d"] == 1 and facts["honest"]["spend_365d"] == 10
    assert facts["poisoned"] == facts["honest"]


def test_what_others_do_later_changes_no_quintile_of_before(write: Write) -> None:
    base = "".join(order(n, f"u-{n}", "2024-05-20T08:00:00Z", 10 * n) for n in range(1, 6))
    import_("events", write("base.csv", EVENTS + base))
    Pending.objects.all().delete()
    asked = [(Customer.objects.get(key="u-3").pk, datetime(2024, 5, 31, 10, tzinfo=UTC))]
    before = Past().facts(asked)
    assert before[asked[0]]["monetary_score"] == 3
    later = "".join(order(n, f"v-{n}", "2024-05-31T10:00:00Z", 1) for n in range(20, 60))
    import_("events", write("later.csv", EVENTS + later))
    Pending.objects.all().delete()
    assert Past().facts(asked) == before


def test_each_decision_has_the_facts_of_its_own_moment(write: Write) -> None:
    events = order(1, "u", "2024-05-01T08:00:00Z") + order(2, "u", "2024-05-20T08:00:00Z")
    moments = ("2024-05-02", "2024-05-21")
    facts_of(write, events, "".join(f"u,{at}T10:00:00Z,home,tea\n" for at in moments))
    found = Decision.objects.order_by("at").values_list("facts__orders_365d", flat=True)
    assert list(found) == [1, 2]


def test_of_whom_the_log_knows_nothing_nothing_is_said(write: Write) -> None:
    assert facts_of(write, order(1, "u", "2024-05-01T08:00:00Z"), f"v,{SHOWN},home,tea\n") == {"v": {}}


def test_facts_of_the_log_of_decisions_stand_alone(write: Write) -> None:
    import_("events", write("events.csv", EVENTS + order(1, "u", "2024-05-01T08:00:00Z")))
    Pending.objects.all().delete()
    import_("decisions", write("log.csv", f"user_id,at,placement,content,facts.town\nu,{SHOWN},home,tea,Ulm\n"))
    assert Decision.objects.get().facts == {"town": "Ulm"}
