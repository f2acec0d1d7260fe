"""The pages about contacts: limits that senders keep, and what a customer was sent lately."""

import pytest
import redis
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign, ContactLimit, Message
from decisioning.customers.admin import contacted
from decisioning.store import admission

from .crowd import NOW, a_customer
from .test_contents import errors_of

pytestmark = pytest.mark.django_db

LIST = "/admin/campaigns/contactlimit/"
LIMIT = {"channel": "email", "count": "2", "hours": "24"}


def test_an_empty_list_says_what_limits_are_for_and_a_limit_is_told_in_words(browser: Client) -> None:
    assert "There is no limit" in browser.get(LIST).content.decode()
    assert browser.post(LIST + "add/", LIMIT).status_code == 302
    Campaign.objects.create(key="receipt", name="Receipt", trigger="event", event_name="Paid", ignores_limits=True)
    page = browser.get(LIST).content.decode()
    assert "At most 2 messages by e-mail in 1 day" in page and "Receipt" in page


def test_a_limit_that_could_never_be_reached_is_refused_with_the_other_one_named(browser: Client) -> None:
    ContactLimit.objects.create(count=1, hours=24)
    errors = errors_of(browser, LIST + "add/", LIMIT)
    assert "because of “at most 1 message on all channels together in 1 day”" in str(errors)
    assert ContactLimit.objects.count() == 1


def test_a_visitor_neither_sees_nor_sets_limits(visitor: Client) -> None:
    assert visitor.get(LIST).status_code == 403
    assert visitor.post(LIST + "add/", LIMIT).status_code == 403


def test_a_customers_page_tells_their_contacts(
    browser: Client, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = a_customer("u-1", ("user_id", "u-1"))
    url = reverse("admin:customers_customer_change", args=[customer.pk])
    assert "nothing was sent in the last 31 days" in browser.get(url).content.decode()
    campaign = Campaign.objects.create(key="spring-sale", name="Spring", trigger="event", event_name="x")
    message = Message.objects.create(campaign=campaign, customer=customer, trigger_key="1")
    assert admission.Admission([]).admit(message, (), NOW) == ""
    page = browser.get(url).content.decode()
    assert "spring-sale" in page and f"{NOW:%Y}" in page

    def away(customer: int, limit: int) -> None:
        raise redis.ConnectionError("refused")

    monkeypatch.setattr(contacted.contacts, "recent", away)
    assert "They cannot be read now" in browser.get(url).content.decode()
