"""The link in every message: looking changes nothing, pressing the button ends it, without any cookie."""

import pytest
from django.test import Client

from campaigns.channels import unsubscribe_token
from decisioning.customers.models import Consent, Customer

from .conftest import make_customer

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def browser(db: None) -> Client:
    return Client(enforce_csrf_checks=True)


def link_for(customer: Customer) -> str:
    return f"/v1/unsubscribe/{unsubscribe_token(customer.pk, 'email')}"


def granted(customer: Customer) -> list[bool]:
    return list(Consent.objects.filter(customer_id=customer.pk).values_list("granted", flat=True))


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "delete"])
def test_nothing_but_post_changes_anything(browser: Client, method: str) -> None:
    ann = make_customer("ann")
    getattr(browser, method)(link_for(ann))
    assert granted(ann) == [True]


def test_a_visit_shows_a_button(browser: Client) -> None:
    reply = browser.get(link_for(make_customer("ann")))
    assert reply.status_code == 200 and "no-store" in reply["Cache-Control"]
    assert '<form method="post">' in reply.content.decode()


@pytest.mark.parametrize("body", [ONE_CLICK, {}])
def test_a_post_withdraws_without_cookie_or_csrf_token(browser: Client, body: dict[str, str]) -> None:
    ann = make_customer("ann")
    assert browser.post(link_for(ann), body).status_code == 200
    consent = Consent.objects.get(customer=ann)
    assert (consent.granted, consent.source) == (False, "unsubscribe link")
    assert browser.post(link_for(ann), body).status_code == 200


def test_somebody_who_never_said_anything_has_now_said_no(browser: Client) -> None:
    ann = make_customer("ann", granted=None)
    browser.post(link_for(ann), ONE_CLICK)
    assert granted(ann) == [False]


def test_the_link_of_a_deleted_customer_still_works(browser: Client) -> None:
    ann = make_customer("ann")
    link = link_for(ann)
    ann.delete()
    assert browser.post(link, ONE_CLICK).status_code == 200
    assert Consent.objects.count() == 0


def test_it_is_only_about_this_customer(browser: Client) -> None:
    ann, bob = make_customer("ann"), make_customer("bob")
    browser.post(link_for(ann), ONE_CLICK)
    assert (granted(ann), granted(bob)) == ([False], [True])


def test_a_forged_link_is_refused_and_changes_nothing(browser: Client) -> None:
    ann = make_customer("ann")
    forged = link_for(ann)[:-3] + "abc"
    for reply in (browser.get(forged), browser.post(forged, ONE_CLICK), browser.post("/v1/unsubscribe/<b>")):
        assert reply.status_code == 400 and b"<b>" not in reply.content
    assert granted(ann) == [True]


def test_an_unknown_channel_is_refused(browser: Client) -> None:
    ann = make_customer("ann")
    assert browser.post(f"/v1/unsubscribe/{unsubscribe_token(ann.pk, 'fax')}").status_code == 400
