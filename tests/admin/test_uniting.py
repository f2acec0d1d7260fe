"""Merging, undoing and deciding ask first, say what moves, are done by the product's own flow, and are logged."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from redis.backoff import NoBackoff
from redis.retry import Retry

from decisioning.customers.models import Consent, Customer, Merge, Proposal
from decisioning.store import publishing

from .crowd import NOW, a_customer, merged

pytestmark = pytest.mark.django_db

LIST = "/admin/customers/customer/"
PROPOSALS = "/admin/customers/proposal/"


def page_of(customer: Customer) -> str:
    return f"{LIST}{customer.pk}/change/"


@pytest.fixture
def anna() -> Customer:
    return a_customer("u-1", ("user_id", "u-1"), ("email", "anna.smith@example.com"), ("phone", "+4917012345678"))


@pytest.fixture
def ghost() -> Customer:
    return a_customer("anonymous:a-1", ("anonymous_id", "a-1"))


@pytest.fixture
def looker(db: None) -> Client:
    """Somebody who may look at customers and events, and change nothing."""
    user = User.objects.create(username="lou", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_customer", "view_event", "view_proposal"]))
    client = Client()
    client.force_login(user)
    return client


def merge_url(customer: Customer, other: Customer) -> str:
    return f"{LIST}{customer.pk}/merge/?with={other.pk}"


def test_merging_looks_for_the_other_and_shows_both_first(browser: Client, anna: Customer, ghost: Customer) -> None:
    found = browser.get(f"{LIST}{anna.pk}/merge/", {"q": "a-"}).context["found"]
    assert [row.pk for row in found] == [ghost.pk]
    page = browser.get(merge_url(anna, ghost)).content.decode()
    assert "anna.smith@example.com" in page and "a-1" in page and 'id="typed"' not in page
    assert not Merge.objects.exists()


def test_merging_makes_them_one_and_is_logged_at_both(
    browser: Client, anna: Customer, ghost: Customer, committing: Callable[[], Any]
) -> None:
    with committing():
        answer = browser.post(f"{LIST}{anna.pk}/merge/", {"with": ghost.pk}, follow=True)
    assert "are one customer now: u-1" in answer.content.decode()
    assert set(anna.identities.values_list("value", flat=True)) >= {"u-1", "a-1"}
    logged = LogEntry.objects.values_list("object_id", "user__username", "change_message")
    assert set(logged) == {(str(row.pk), "mia", "Merged u-1 and anonymous:a-1.") for row in (anna, ghost)}


def test_two_user_ids_merge_only_when_the_key_is_typed(browser: Client, anna: Customer) -> None:
    other = a_customer("u-2", ("user_id", "u-2"))
    page = browser.get(merge_url(anna, other)).content.decode()
    assert "Both have a user id: u-1 and u-2." in page and 'id="typed"' in page
    refused = browser.post(f"{LIST}{anna.pk}/merge/", {"with": other.pk, "typed": "u-1"})
    assert "this is not u-2" in refused.content.decode()
    assert not Merge.objects.exists()
    browser.post(f"{LIST}{anna.pk}/merge/", {"with": other.pk, "typed": "u-2"})
    assert Merge.objects.get().loser == other


def test_traits_and_consents_that_differ_are_pointed_out(browser: Client) -> None:
    one = a_customer("u-1", ("user_id", "u-1"), traits={"city": "Berlin", "plan": "gold"})
    other = a_customer("email:b", ("email", "b@example.com"), traits={"city": "Bern", "plan": "gold"})
    for customer, granted in ((one, True), (other, False)):
        Consent.objects.create(customer=customer, channel="email", granted=granted, at=NOW, source="form")
    warnings = browser.get(merge_url(one, other)).context["plan"].warnings
    assert warnings == [
        "Traits that differ: city. Of each, what was told last holds.",
        "Consent to e-mail differs; the latest word holds.",
    ]


def test_undoing_says_what_leaves_and_does_just_that(browser: Client, anna: Customer, ghost: Customer) -> None:
    browser.post(f"{LIST}{anna.pk}/merge/", {"with": ghost.pk})
    undo = reverse("admin:customers_customer_undo", args=[Merge.objects.get().pk])
    plan = browser.get(undo).context["plan"]
    assert [row.value for row in plan.leaving] == ["a-1"]
    assert {row.value for row in plan.staying} == {"u-1", "anna.smith@example.com", "+4917012345678"}
    assert Merge.objects.get().undone_at is None
    page = browser.post(undo, follow=True).content.decode()
    assert "are two customers again" in page
    assert list(ghost.identities.values_list("value", flat=True)) == ["a-1"]
    assert Customer.objects.get(pk=ghost.pk).merged_into is None
    assert "was undone already" in browser.post(undo, follow=True).content.decode()
    assert LogEntry.objects.filter(change_message__startswith="Undid the merge").count() == 2


def test_nothing_changes_where_redis_is_away(
    browser: Client, anna: Customer, ghost: Customer, proposal: Proposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = redis.Redis(unix_socket_path="/nowhere/valkey.sock", retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(publishing, "patient", lambda: away)
    for address, sent in ((f"{LIST}{anna.pk}/merge/", {"with": ghost.pk}), (answer_to(proposal), {"answer": "accept"})):
        page = browser.post(address, sent, follow=True).content.decode()
        assert "Nothing was changed: Redis cannot be reached." in page
    assert not Merge.objects.exists() and not LogEntry.objects.exists()
    assert ghost.identities.count() == 1 and Proposal.objects.get().state == "open"


def test_a_merge_that_nothing_tells_apart_any_more_cannot_be_undone(
    browser: Client, anna: Customer, ghost: Customer
) -> None:
    merge = merged(anna, ghost)
    ghost.born.all().delete()
    undo = reverse("admin:customers_customer_undo", args=[merge.pk])
    assert "This cannot be undone" in browser.get(undo).content.decode()
    assert "Nothing was changed" in browser.post(undo, follow=True).content.decode()


def test_looking_is_not_enough_for_merging_undoing_and_deciding(
    looker: Client, anna: Customer, ghost: Customer
) -> None:
    merge, proposal = merged(anna, ghost), Proposal.objects.create(one=anna, other=ghost, score=1, at=NOW)
    page = looker.get(page_of(anna))
    assert page.status_code == 200 and "Undo …" not in page.content.decode()
    for address in (
        f"{LIST}{anna.pk}/merge/",
        reverse("admin:customers_customer_undo", args=[merge.pk]),
        reverse("admin:customers_proposal_decide", args=[proposal.pk]),
    ):
        assert looker.post(address, {"with": ghost.pk, "answer": "dismiss"}).status_code == 403
    assert Merge.objects.get().undone_at is None


def test_a_forged_request_without_a_token_does_nothing(marketer: User, anna: Customer, ghost: Customer) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(marketer)
    assert client.post(f"{LIST}{anna.pk}/merge/", {"with": ghost.pk}).status_code == 403
    assert not Merge.objects.exists()


@pytest.fixture
def proposal(anna: Customer) -> Proposal:
    other = a_customer("email:a", ("email", "annasmith@example.com"))
    reasons = ["The e-mails differ by a dot.", "The names are the same."]
    return Proposal.objects.create(one=anna, other=other, score=0.93, reasons=reasons, at=NOW)


def answer_to(proposal: Proposal) -> str:
    return reverse("admin:customers_proposal_decide", args=[proposal.pk])


def test_proposals_stand_side_by_side_the_surest_first(browser: Client, anna: Customer, proposal: Proposal) -> None:
    surer = Proposal.objects.create(one=anna, other=a_customer("x", ("email", "x@y.z")), score=0.99, at=NOW)
    page = browser.get(PROPOSALS)
    assert [row["row"].pk for row in page.context["proposals"]] == [surer.pk, proposal.pk]
    for words in ("93 %", "The e-mails differ by a dot.", "annasmith@example.com", "anna.smith@example.com"):
        assert words in page.content.decode()


def test_one_click_accepts(browser: Client, anna: Customer, proposal: Proposal) -> None:
    assert (
        "are one customer now" in browser.post(answer_to(proposal), {"answer": "accept"}, follow=True).content.decode()
    )
    proposal.refresh_from_db()
    assert (proposal.state, proposal.decided_by.username) == ("accepted", "mia")
    assert anna.identities.filter(value="annasmith@example.com").exists()
    assert browser.get(PROPOSALS, {"show": "decided"}).context["history"] == [proposal]


def test_one_click_dismisses_and_nothing_is_asked_twice(browser: Client, proposal: Proposal) -> None:
    browser.post(answer_to(proposal), {"answer": "dismiss"})
    proposal.refresh_from_db()
    assert proposal.state == "dismissed" and not Merge.objects.exists()
    assert "decided already" in browser.post(answer_to(proposal), {"answer": "accept"}, follow=True).content.decode()
    assert "Nobody looks like somebody else" in browser.get(PROPOSALS).content.decode()


def test_accepting_two_user_ids_still_asks_for_the_typed_key(browser: Client, anna: Customer) -> None:
    proposal = Proposal.objects.create(one=anna, other=a_customer("u-2", ("user_id", "u-2")), score=0.9, at=NOW)
    answer = browser.post(answer_to(proposal), {"answer": "accept"})
    assert answer.status_code == 302 and "/merge/?with=" in answer["Location"]
    assert not Merge.objects.exists()
    sent = {"with": proposal.other_id, "proposal": proposal.pk, "typed": "u-2"}
    browser.post(f"{LIST}{anna.pk}/merge/", sent)
    proposal.refresh_from_db()
    assert proposal.state == "accepted" and Merge.objects.exists()


@pytest.mark.parametrize(("answer", "status"), [("", 302), ("maybe", 302)])
def test_an_answer_that_is_none_changes_nothing(browser: Client, proposal: Proposal, answer: str, status: int) -> None:
    assert browser.post(answer_to(proposal), {"answer": answer}).status_code == status
    assert browser.get(answer_to(proposal)).status_code == 405
    proposal.refresh_from_db()
    assert proposal.state == "open"
