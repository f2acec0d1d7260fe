"""Webhooks' pages: secrets shown once, hostile addresses refused, test calls told, dead calls made again."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.sites import AdminSite
from django.contrib.auth.models import Permission, User
from django.forms import inlineformset_factory
from django.test import Client
from django.urls import reverse

from campaigns import calls
from campaigns.admin.reactions import ReactionForm, ReactionFormSet, ReactionInline
from campaigns.models import Call, Reaction, Receiver, Webhook
from campaigns.webhooks import ENTERED, data_of
from decisioning.config import clock
from rules.models import Segment

from ..campaigns.receiver import Receiver as Server
from ..campaigns.receiver import Say

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_redis")]
LIST = "admin:campaigns_webhook_changelist"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def webhook(server: Server) -> Webhook:
    return Webhook.objects.create(key="crm", name="CRM", url=server.url("/crm"), secret="whsec_c2VjcmV0")


@pytest.fixture
def segment() -> Segment:
    return Segment.objects.create(key="eco", name="Eco", condition='stage = "first"', refreshed_at=clock.now())


def dead_call(webhook: Webhook, customer: int = 1, answer: str = "") -> Call:
    data = data_of(f"c-{customer}", {"key": "eco", "name": "Eco"}, clock.now(), "event", "Order Completed m-1")
    calls.owe([calls.Owed(webhook.pk, customer, "eco@1", ENTERED, data)])
    rows = Call.objects.filter(webhook=webhook, customer_id=customer)
    rows.update(state="dead", attempts=12, status=500, problem="Given up after 12 attempts", answer=answer)
    return rows.get()


def page(row: Any, action: str = "change") -> str:
    return reverse(f"admin:campaigns_{row._meta.model_name}_{action}", args=[row.pk])


def text(browser: Client, url: str, **query: Any) -> str:
    answer = browser.get(url, query)
    assert answer.status_code == 200
    return answer.content.decode()


def add(browser: Client, **fields: Any) -> Any:
    values = {"name": "CRM", "key": "crm", "url": "http://127.0.0.1:9/x", "active": "on", **fields}
    return browser.post(reverse("admin:campaigns_webhook_add"), values)


def test_empty_lists_say_what_to_do(browser: Client) -> None:
    assert "There are no webhooks yet" in text(browser, reverse(LIST))
    assert "No webhook was owed a call yet" in text(browser, reverse("admin:campaigns_call_changelist"))


def test_a_new_webhook_shows_its_secret_once(browser: Client) -> None:
    answer = add(browser)
    webhook = Webhook.objects.get()
    assert webhook.secret.startswith("whsec_")
    assert webhook.secret in answer.content.decode()
    for url in (reverse(LIST), page(webhook), page(webhook, "history")):
        assert webhook.secret not in text(browser, url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://169.254.169.254/latest/meta-data/", "not on the public internet"),
        ("http://10.0.0.8/", "WEBHOOK_PRIVATE_HOSTS"),
        ("ftp://hooks.example/", "Only http and https"),
        ("http://user:pass@127.0.0.1/", "Leave user and password out"),
        ("http://no-such-host.invalid/", "check its spelling"),
    ],
)
def test_an_address_that_is_not_called_is_not_saved(browser: Client, url: str, words: str) -> None:
    assert words in add(browser, url=url).content.decode()
    assert not Webhook.objects.exists()


def test_in_production_this_machine_is_refused_unless_it_is_named(browser: Client, settings: Any) -> None:
    settings.STRICT = True
    assert "not on the public internet" in add(browser, url="https://127.0.0.1/x").content.decode()
    assert "tells about customers" in add(browser, url="http://127.0.0.1/x").content.decode()
    settings.WEBHOOK_PRIVATE_HOSTS = ["127.0.0.0/8"]
    add(browser, url="https://127.0.0.1/x")
    assert Webhook.objects.get().url == "https://127.0.0.1/x"


def test_an_address_that_stays_is_not_asked_again(browser: Client, webhook: Webhook) -> None:
    Webhook.objects.update(url="http://no-such-host.invalid/")
    browser.post(page(webhook), {"name": "New name", "url": "http://no-such-host.invalid/", "active": "on"})
    webhook.refresh_from_db()
    assert webhook.name == "New name"


def test_a_new_secret_is_shown_once_and_the_former_one_kept_for_a_day(browser: Client, webhook: Webhook) -> None:
    url = page(webhook, "rotate")
    assert "for 24 hours" in text(browser, url)
    webhook.refresh_from_db()
    assert webhook.secret == "whsec_c2VjcmV0", "asking changes nothing"
    answer = browser.post(url).content.decode()
    webhook.refresh_from_db()
    assert webhook.secret in answer
    assert (webhook.former_secret, webhook.secret == webhook.former_secret) == ("whsec_c2VjcmV0", False)
    assert "two signatures until" in text(browser, page(webhook))
    assert "Made a new secret." in LogEntry.objects.get().change_message


def test_a_test_call_tells_the_answer(browser: Client, webhook: Webhook, server: Server) -> None:
    server.says("/crm", Say(202, b"thank you"), Say(500, HOSTILE.encode()))
    url = page(webhook, "try_it")
    text(browser, url)
    assert server.got == [], "asking calls nobody"
    assert "It was taken. Answered 202" in browser.post(url, follow=True).content.decode()
    shown = browser.post(url, follow=True).content.decode()
    assert "It was not taken. Answered 500" in shown
    assert HOSTILE not in shown
    assert [one.event["type"] for one in server.got] == ["webhook.test"] * 2


def test_the_list_tells_how_receivers_answer(browser: Client, webhook: Webhook) -> None:
    assert "no calls" in text(browser, reverse(LIST))
    dead_call(webhook)
    for _ in range(calls.FAILURES):
        calls.note_failed(webhook.pk)
    shown = text(browser, reverse(LIST))
    assert "paused until" in shown
    assert "0 taken, 1 failing" in shown
    assert "1 dead" in shown
    Receiver.objects.update(paused_until=None)
    assert "10 failed in a row" in text(browser, reverse(LIST))


def test_the_list_costs_the_same_for_many_webhooks(browser: Client, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        Webhook.objects.create(key=f"w-{number}", name="W", url="http://127.0.0.1/", secret="whsec_c2VjcmV0")
    with django_assert_max_num_queries(10):
        text(browser, reverse(LIST))


def test_a_webhook_that_is_gone_says_so_until_it_is_switched_on_again(browser: Client, webhook: Webhook) -> None:
    calls.switch_off(webhook.pk, "Switched off: 410.")
    assert "Switched off: 410." in text(browser, page(webhook))
    assert "gone" in text(browser, reverse(LIST))
    browser.post(page(webhook), {"name": "CRM", "url": webhook.url, "active": "on"})
    assert "Switched off: 410." not in text(browser, page(webhook))
    assert not Receiver.objects.exists()


def test_a_call_shows_what_is_sent_and_answered_and_nothing_in_it_runs(browser: Client, webhook: Webhook) -> None:
    call = dead_call(webhook, answer=HOSTILE + "\x1b[31m")
    shown = text(browser, page(call))
    assert f"&quot;id&quot;: &quot;{call.pk}&quot;" in shown
    assert HOSTILE not in shown
    assert "&lt;script&gt;" in shown
    assert "\\x1b[31m" in shown


def test_a_dead_call_is_made_again_one_some_or_all(browser: Client, webhook: Webhook) -> None:
    one, two, three = (dead_call(webhook, number) for number in (1, 2, 3))
    browser.post(page(one, "call_again"))
    assert Call.objects.get(pk=one.pk).state == "pending"
    refused = browser.post(page(one, "call_again"), follow=True).content.decode()
    assert "only what was given up can be called again" in refused
    chosen = {"action": "call_selected_again", "_selected_action": [one.pk, two.pk]}
    shown = browser.post(reverse("admin:campaigns_call_changelist"), chosen, follow=True).content.decode()
    assert "1 call will be made now." in shown
    assert "1 left as they are" in shown
    assert "1 call will be made" in text(browser, page(webhook, "call_dead_again"))
    browser.post(page(webhook, "call_dead_again"))
    assert Call.objects.get(pk=three.pk).state == "pending"
    assert set(Call.objects.values_list("attempts", flat=True)) == {0}


def test_calls_are_found_by_customer(browser: Client, webhook: Webhook) -> None:
    first, second = dead_call(webhook, 1), dead_call(webhook, 2)
    shown = text(browser, reverse("admin:campaigns_call_changelist"), q="c-2")
    assert str(second.pk) in shown
    assert str(first.pk) not in shown


def test_who_may_only_look_changes_nothing(webhook: Webhook) -> None:
    viewer = User.objects.create(username="vera", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_webhook", "view_call"]))
    browser = Client()
    browser.force_login(viewer)
    call = dead_call(webhook)
    assert "Make a new secret" not in text(browser, page(webhook))
    for url in (page(webhook, "rotate"), page(webhook, "try_it"), page(webhook, "call_dead_again")):
        assert browser.post(url).status_code == 403
    assert browser.post(page(call, "call_again")).status_code == 403
    webhook.refresh_from_db()
    assert (webhook.secret, Call.objects.get().state) == ("whsec_c2VjcmV0", "dead")


def test_a_webhook_that_a_segment_calls_stays_and_else_goes_with_its_calls(
    browser: Client, webhook: Webhook, segment: Segment
) -> None:
    dead_call(webhook)
    reaction = Reaction.objects.create(segment=segment, webhook=webhook)
    assert "take it out there first" in text(browser, page(webhook, "delete"))
    browser.post(page(webhook, "delete"), {"post": "yes"})
    assert Webhook.objects.exists()
    reaction.delete()
    assert "Calls: 1" in " ".join(text(browser, page(webhook, "delete")).split())
    browser.post(page(webhook, "delete"), {"post": "yes"})
    assert not Webhook.objects.exists()
    assert not Call.objects.exists()


def formset(segment: Segment, *rows: dict[str, Any]) -> Any:
    """A segment's reactions as the page posts them."""
    made = inlineformset_factory(Segment, Reaction, form=ReactionForm, formset=ReactionFormSet, extra=0)
    data = {"reactions-TOTAL_FORMS": len(rows), "reactions-INITIAL_FORMS": 0}
    for number, row in enumerate(rows):
        values = {"moment": "entry", "kind": "trait", "active": "on", **row}
        data |= {f"reactions-{number}-{name}": value for name, value in values.items()}
    return made(data, instance=segment)


def problems(segment: Segment, **row: Any) -> str:
    found = formset(segment, row)
    assert not found.is_valid()
    return " ".join(message for errors in found.errors for each in errors.values() for message in each)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("true", True),
        ("5", 5),
        ('"gold"', "gold"),
        ("", None),
        ("null", None),
        ("[1, 2]", [1, 2]),
        ('{"a": 1}', {"a": 1}),
    ],
)
def test_a_trait_may_be_set_to_any_small_value(segment: Segment, typed: str, kept: Any) -> None:
    made = formset(segment, {"trait": "tier", "value": typed})
    assert made.is_valid(), made.errors
    made.save()
    assert Reaction.objects.get().value == kept


@pytest.mark.parametrize("typed", ["first", "True", "2026-01-01", "5 stars", "né"])
def test_words_without_quotes_are_refused_with_the_cure(segment: Segment, typed: str) -> None:
    assert f'Text needs quotes: "{typed}"' in problems(segment, trait="tier", value=f" {typed} ")


@pytest.mark.parametrize("typed", ["gold", "NaN", '"\\u0000"', "[[[[[[[1]]]]]]]", "9" * 400, '"' + "x" * 3000 + '"'])
def test_a_value_that_cannot_be_kept_is_refused(segment: Segment, typed: str) -> None:
    assert problems(segment, trait="tier", value=typed)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"trait": ""}, "Name the trait"),
        ({"trait": "my trait"}, "letters, digits and underscores"),
        ({"trait": "email"}, "says who a customer is"),
        ({"trait": "loyaltyId"}, "says who a customer is"),
        ({"kind": "webhook"}, "Choose the webhook"),
    ],
)
def test_a_reaction_that_could_not_work_is_refused(segment: Segment, row: dict[str, Any], words: str) -> None:
    assert words in problems(segment, **row)


def test_a_reaction_keeps_only_what_its_kind_needs_and_stands_once(segment: Segment, webhook: Webhook) -> None:
    row = {"kind": "webhook", "webhook": webhook.pk, "trait": "left over", "value": "1"}
    made = formset(segment, row)
    assert made.is_valid(), made.errors
    made.save()
    kept = Reaction.objects.get()
    assert (kept.webhook, kept.trait, kept.value) == (webhook, "", None)
    assert "does this already" in problems(segment, **row)
    assert formset(segment, {**row, "moment": "exit"}).is_valid()


def test_a_trait_that_the_segments_own_condition_reads_is_refused(segment: Segment) -> None:
    said = problems(segment, trait="stage", value='"next"')
    assert "Eco sets “stage”, which its own condition reads" in said
    assert "Set a trait that none of these conditions read" in said
    assert formset(segment, {"trait": "stage", "active": ""}).is_valid(), "one that is switched off sets nothing"


def test_the_condition_about_to_be_saved_counts(segment: Segment) -> None:
    segment.condition = "tier = 1"
    assert formset(segment, {"trait": "stage"}).is_valid()
    assert "its own condition" in problems(segment, trait="tier")
    new = Segment(key="new", name="New", condition="tier = 2")
    assert "its own condition" in problems(new, trait="tier")


def test_the_inline_counts_what_became_of_reactions(segment: Segment, webhook: Webhook) -> None:
    inline = ReactionInline(Segment, AdminSite())
    dead_call(webhook)
    calling = Reaction.objects.create(segment=segment, webhook=webhook)
    setting = Reaction.objects.create(segment=segment, kind="trait", trait="tier")
    assert [inline.lately(one) for one in (calling, setting, Reaction())] == ["1 call", "never held back", "–"]
