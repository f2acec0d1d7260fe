"""Customers are found by any identifier and by index; their page says why each thing is there, and what happened."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client

from campaigns.models import Campaign, Message
from decisioning.customers.admin.counting import CAP, Capped
from decisioning.customers.admin.finding import MOST, find, forms_of, identities_of, statement_for
from decisioning.customers.facts import state
from decisioning.customers.models import Consent, Customer, Identity, Link, Merge, Pending, State
from decisioning.models import Decision
from rules.models import Membership, Segment

from .crowd import NOW, a_customer, an_event, merged
from .shop import a_decision

pytestmark = pytest.mark.django_db

LIST = "/admin/customers/customer/"


def page_of(customer: Customer) -> str:
    return f"{LIST}{customer.pk}/change/"


@pytest.fixture
def anna() -> Customer:
    return a_customer("u-1", ("user_id", "u-1"), ("email", "anna.smith@example.com"), ("phone", "+4917012345678"))


@pytest.fixture
def ghost() -> Customer:
    return a_customer("anonymous:a-1", ("anonymous_id", "a-1"))


@pytest.mark.parametrize(
    "term", ["u-1", "anna.smith@example.com", "Anna.Smith@Example.com", "anna.s", "+49 170 1234 5678", "+4917", " u-1 "]
)
def test_it_finds_a_customer_by_any_identifier_whole_or_its_beginning(
    browser: Client, anna: Customer, term: str
) -> None:
    a_customer("u-2", ("user_id", "u-2"), ("email", "bert@example.com"))
    found = browser.get(LIST, {"q": term}).context["cl"].result_list
    assert [row.pk for row in found] == [anna.pk]


@pytest.mark.parametrize("term", ["smith", "example.com", "%", "_-1", "nobody", "\\"])
def test_it_finds_nobody_by_a_part_from_the_middle_or_a_sign_of_the_pattern(anna: Customer, term: str) -> None:
    assert find(term).ids == ()


def test_what_is_whole_goes_before_what_only_begins_so() -> None:
    longer = a_customer("u-10", ("user_id", "u-10"))
    exact = a_customer("zoe", ("loyalty_id", "u-1"))
    assert find("u-1").ids == (exact.pk, longer.pk)


def test_a_search_says_that_there_are_more() -> None:
    Customer.objects.bulk_create(Customer(key=f"k-{n:04}") for n in range(MOST + 5))
    found = find("k-")
    assert (len(found.ids), found.more) == (MOST, True)


def test_each_search_is_answered_by_an_index() -> None:
    rows = Customer.objects.bulk_create(Customer(key=f"user-{n:05}") for n in range(4000))
    Identity.objects.bulk_create(
        Identity(kind="email", value=f"p{row.pk}@example.com", customer=row, home=row) for row in rows
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE customers_customer; ANALYZE customers_identity")
        for term in (rows[7].key, "user-", f"p{rows[7].pk}@", "nobody"):
            statement, values = statement_for(forms_of(term))
            cursor.execute(f"EXPLAIN {statement}", values)
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan" not in plan, plan
            assert "identity_by_value" in plan and "customers_customer_key" in plan


def test_a_list_counts_no_further_than_people_turn_pages() -> None:
    Customer.objects.bulk_create(Customer(key=f"k-{n}") for n in range(CAP + 2))
    pages = Capped(Customer.objects.order_by("-id"), 25)
    assert (pages.count, pages.more, pages.num_pages) == (CAP, True, CAP // 25)


def test_a_merged_customer_is_not_in_the_list_but_found_by_their_old_key(
    browser: Client, anna: Customer, ghost: Customer
) -> None:
    merged(anna, ghost)
    assert [row.pk for row in browser.get(LIST).context["cl"].result_list] == [anna.pk]
    page = browser.get(LIST, {"q": "anonymous:a-1"})
    assert [row.pk for row in page.context["cl"].result_list] == [ghost.pk]
    assert f'now part of <a class="console-link" href="{page_of(anna)}">u-1</a>' in page.content.decode()
    assert [row.pk for row in browser.get(LIST, {"q": "a-1"}).context["cl"].result_list] == [anna.pk]
    assert "is now part of" in browser.get(page_of(ghost)).content.decode()


def test_identities_of_a_term_are_those_of_its_customer(anna: Customer, ghost: Customer) -> None:
    everything = set(anna.identities.values_list("pk", flat=True))
    assert set(identities_of("anna.smith@example.com")) == set(identities_of("u-1")) == everything
    assert identities_of("anna") == []


def test_the_list_is_filtered_by_the_segment_customers_are_in_now(browser: Client, anna: Customer) -> None:
    left = a_customer("u-2", ("user_id", "u-2"))
    segment = Segment.objects.create(key="s", name="Kiosk users", condition='device = "kiosk"')
    Membership.objects.create(segment=segment, customer=anna, entered_at=NOW)
    Membership.objects.create(segment=segment, customer=left, entered_at=NOW, left_at=NOW)
    found = browser.get(LIST, {"segment": segment.pk}).context["cl"].result_list
    assert [row.pk for row in found] == [anna.pk]


# The page


def test_the_page_says_why_each_identifier_is_there_and_links_the_event(
    browser: Client, anna: Customer, ghost: Customer
) -> None:
    met = an_event(anna.identities.get(kind="user_id"), message_id="m-met")
    merged(anna, ghost)
    known = {row.identity.value: row for row in browser.get(page_of(anna)).context["known_by"]}
    assert list(known) == ["u-1", "anna.smith@example.com", "+4917012345678", "a-1"]
    assert known["u-1"].why.startswith("The strongest identifier") and known["u-1"].events == "1"
    assert "in event m-met" in known["a-1"].why and str(met.pk) in known["a-1"].url
    assert "in event m-+4917012345678" in known["+4917012345678"].why and known["+4917012345678"].url == ""


def test_a_trait_tells_when_and_by_which_event_it_was_last_told(browser: Client, anna: Customer) -> None:
    user = anna.identities.get(kind="user_id")
    told = an_event(user, "identify", type="identify", message_id="m-i", properties={"plan": "gold"})
    at = (NOW - state.EPOCH) // state.MICROSECOND
    data = state.pack(state.State(told=[state.Told(at, "m-i", '{"plan": "gold"}')]))
    State.objects.create(identity=user, data=data, schema="x", changed_at=NOW)
    Customer.objects.filter(pk=anna.pk).update(traits={"plan": "gold", "city": "Berlin"})
    traits = {trait.name: trait for trait in browser.get(page_of(anna)).context["traits"]}
    assert (traits["plan"].value, traits["plan"].at, str(told.pk) in traits["plan"].url) == ("gold", NOW, True)
    assert (traits["city"].value, traits["city"].at) == ("Berlin", None)


def test_a_state_that_cannot_be_read_leaves_traits_plain(browser: Client, anna: Customer) -> None:
    State.objects.create(identity=anna.identities.first(), data=b"old", schema="x", changed_at=NOW)
    Customer.objects.filter(pk=anna.pk).update(traits={"plan": "gold"})
    assert [trait.at for trait in browser.get(page_of(anna)).context["traits"]] == [None]


def test_ties_that_are_not_followed_are_shown_with_the_reason(browser: Client, anna: Customer, ghost: Customer) -> None:
    Link.objects.create(
        one=anna.identities.get(kind="user_id"),
        other=ghost.identities.get(),
        how="event",
        at=NOW,
        code="kiosk",
        reason="Anonymous id a-1 was seen with 3 user ids; a kiosk belongs to nobody.",
    )
    page = browser.get(page_of(anna))
    assert [(link["theirs"].value, link["customer"]) for link in page.context["open_links"]] == [("a-1", ghost)]
    assert "a kiosk belongs to nobody" in page.content.decode()


def test_events_set_aside_and_pending_are_shown(browser: Client, anna: Customer) -> None:
    user = anna.identities.get(kind="user_id")
    for number, problem in enumerate(["", "ValueError: 7"]):
        Pending.objects.create(event_id=an_event(user).pk, identity_id=user.pk, attempts=number, problem=problem)
    page = browser.get(page_of(anna)).content.decode()
    assert "set aside after 1 attempt: ValueError: 7" in page
    assert ">pending<" in page


def test_consent_is_the_last_word_of_the_whole_family(browser: Client, anna: Customer, ghost: Customer) -> None:
    Consent.objects.create(customer=anna, channel="email", granted=True, at=NOW, source="form")
    Consent.objects.create(customer=ghost, channel="email", granted=False, at=NOW + timedelta(days=1), source="link")
    merged(anna, ghost)
    assert [row.granted for row in browser.get(page_of(anna)).context["consents"]] == [False]


def test_a_page_without_anything_says_so(browser: Client) -> None:
    page = browser.get(page_of(Customer.objects.create(key="new"))).content.decode()
    for words in ("No identifier", "None told so far", "nothing is sent", "in none so far", "Nothing so far"):
        assert words in page


# The timeline


def test_one_stream_tells_of_events_decisions_messages_and_merges_newest_first(
    browser: Client, anna: Customer, ghost: Customer
) -> None:
    merged(anna, ghost)
    an_event(ghost.born.get(), timestamp=NOW - timedelta(hours=1))
    an_event(anna.identities.get(kind="user_id"), timestamp=NOW + timedelta(hours=1))
    Decision.objects.create(**a_decision(ghost, id=UUID(int=9), at=NOW + timedelta(hours=2)))
    campaign = Campaign.objects.create(key="w", name="Welcome", trigger="event", subject="s", body="b")
    message = Message.objects.create(campaign=campaign, customer=ghost, trigger_key="e")
    Message.objects.filter(pk=message.pk).update(created_at=NOW + timedelta(hours=3))
    entries = browser.get(page_of(anna)).context["entries"]
    assert [entry.kind for entry in entries] == ["message", "decision", "event", "merge", "event"]
    only = browser.get(f"{LIST}{anna.pk}/timeline/", {"show": "event"}).context["entries"]
    assert [entry.kind for entry in only] == ["event", "event"]


def test_pages_of_the_timeline_show_everything_once_though_moments_are_equal(
    browser: Client, anna: Customer, ghost: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decisioning.customers.admin.people.ENTRIES", 3)
    merged(anna, ghost)
    expected = {str(Merge.objects.get().pk)}
    for number, identity in enumerate([*anna.identities.all()] * 2):
        expected.add(str(an_event(identity).pk))
        expected.add(str(Decision.objects.create(**a_decision(anna, id=UUID(int=100 + number))).pk))
    seen: list[str] = []
    address = f"{LIST}{anna.pk}/timeline/"
    query = "?"
    for _ in range(2 * 17):
        context = browser.get(address + query).context
        seen += [entry.pk for entry in context["entries"]]
        if not context["older"]:
            break
        query = context["older_url"]
    assert len(seen) == len(set(seen)) == 17
    assert set(seen) == expected


@pytest.mark.parametrize("query", ["before=x", "before=2026-01-01~event~1", "show=nothing"])
def test_a_page_of_the_timeline_that_is_none_is_not_found(browser: Client, anna: Customer, query: str) -> None:
    assert browser.get(f"{LIST}{anna.pk}/timeline/?{query}").status_code == 404


def test_each_identifier_tells_the_tie_that_joined_it_to_those_with_the_leader(browser: Client) -> None:
    customer = a_customer("cu", ("user_id", "cu"), ("loyalty_id", "LY"))
    anonymous = Identity.objects.create(kind="anonymous_id", value="c1", customer=customer)
    ends = {"one": anonymous, "other": customer.identities.get(value="LY"), "how": "event"}
    Link.objects.create(at=NOW - timedelta(days=9), followed=True, code="joined", reason="c1 met LY", **ends)
    why = {row.identity.value: row.why for row in browser.get(page_of(customer)).context["known_by"]}
    assert why["c1"] == "c1 met LY"
    assert "user id cu" in why["LY"], "not the older tie to c1, which LY brought along"
