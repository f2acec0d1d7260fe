"""Customers become identify events with consent; contents are created and changed by their key."""

import os
from datetime import UTC, datetime

import pytest

from campaigns.models import Content, Placement
from decisioning.customers.models import Consent, Customer, Event, Identity
from decisioning.store.connection import patient
from decisioning.store.profiles import Profiles

from .conftest import Write, import_


@pytest.mark.django_db
def test_customers_have_identities_traits_and_consent(write: Write) -> None:
    content = (
        "key,anonymous_id,email,city,consent.email,consent_at\n"
        "c-1,a-1,Ann@Example.com,Rom,yes,2024-05-01\n"
        "c-2,,,Oslo,no,\n"
        ",a-3,,Bonn,yes,2024-05-01\n"
    )
    said, complained = import_("customers", write("people.csv", content), as_of=datetime(2024, 6, 1, tzinfo=UTC))
    assert ("3 added" in said, complained) == (True, "")
    event = Event.objects.get(identity__value="c-1")
    assert (event.type, event.properties) == ("identify", {"email": "Ann@Example.com", "city": "Rom"})
    assert event.identifiers == [["user_id", "c-1"], ["email", "ann@example.com"], ["anonymous_id", "a-1"]]
    assert event.timestamp == datetime(2024, 6, 1, tzinfo=UTC)
    assert sorted(Consent.objects.values_list("customer__key", "granted", "at")) == [
        ("anonymous:a-3", True, datetime(2024, 5, 1, tzinfo=UTC)),
        ("c-1", True, datetime(2024, 5, 1, tzinfo=UTC)),
        ("c-2", False, datetime(2024, 6, 1, tzinfo=UTC)),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        ((False, 2), "yes,2024-05-01", False),
        ((False, 2), "yes,2024-05-03", True),
        ((False, 2), "yes,2024-05-02", False),
        ((True, 2), "no,2024-05-02", False),
        ((True, 2), "no,2024-05-01", True),
    ],
)
def test_the_latest_word_on_consent_holds(write: Write, before: tuple[bool, int], said: str, after: bool) -> None:
    customer = Customer.objects.create(key="c-1")
    Identity.objects.create(kind="user_id", value="c-1", customer=customer, home=customer)
    at = datetime(2024, 5, before[1], tzinfo=UTC)
    Consent.objects.create(customer=customer, channel="email", granted=before[0], at=at, source="web")
    import_("customers", write("people.csv", f"key,consent.email,consent_at\nc-1,{said}\n"))
    assert Consent.objects.get().granted is after


@pytest.mark.django_db
def test_what_a_file_says_of_consent_is_in_the_profile_when_the_row_is_taken(write: Write) -> None:
    for day, said in enumerate(("yes", "no"), 1):
        row = f"key,consent.email,consent_at\nc-1,{said},2024-05-0{day}\n"
        import_("customers", write(f"{said}.csv", row))
        found = Profiles(patient()).find("user_id", "c-1", "x").profile
        assert (found.facts.get("consents"), found.version) == (["email"] if said == "yes" else None, day)


@pytest.mark.django_db
def test_consent_to_an_unknown_channel_is_refused(write: Write) -> None:
    assert "no channel fax" in import_("customers", write("people.csv", "key,consent.fax\nc-1,yes\n"))[1]
    assert Event.objects.count() == 0


@pytest.mark.django_db
def test_a_later_state_of_a_customer_is_another_event(write: Write) -> None:
    for city, moment in (("Rom", 1), ("Oslo", 2), ("Rom", 3), ("Rom", 3)):
        path = write("people.csv", f"key,city\nc-1,{city}\n")
        os.utime(path, (1717200000 + moment, 1717200000 + moment))
        import_("customers", path)
    assert list(Event.objects.order_by("timestamp").values_list("properties__city", flat=True)) == [
        "Rom",
        "Oslo",
        "Rom",
    ]


@pytest.mark.django_db
def test_contents_are_created_changed_and_left_alone(write: Write) -> None:
    Placement.objects.create(key="hero", name="Hero")
    Content.objects.create(key="cups", name="Cups", attributes={"price": 3, "colour": "red"}, tags=["hot"])
    Content.objects.create(key="mats", name="Mats", attributes={"price": 1})
    content = (
        "key,name,price,tags,placements,starts,body.title\n"
        "tea,Tea,4.5,hot|green,hero,2024-05-31,Tea!\ncups,,5,,,,\nmats,Mats,1,,,,\n"
    )
    said, complained = import_("contents", write("shop.csv", content))
    assert "1 changed, 1 created, 1 unchanged, 0 failed" in said and complained == ""
    tea = Content.objects.get(key="tea")
    assert (tea.attributes, tea.tags, tea.body) == ({"price": 4.5}, ["hot", "green"], {"title": "Tea!"})
    assert [placement.key for placement in tea.placements.all()] == ["hero"]
    assert tea.starts_at == datetime(2024, 5, 31, tzinfo=UTC)
    cups = Content.objects.get(key="cups")
    assert (cups.name, cups.attributes, cups.tags) == ("Cups", {"price": 5, "colour": "red"}, ["hot"])
    assert "3 unchanged" in import_("contents", write("shop.csv", content))[0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("Not A Key,Tea,,,", "key: Use lower-case letters"),
        ("tea,,,,", "name: This field cannot be blank"),
        ("tea,Tea,-1,,", "value: "),
        ("tea,Tea,,2024-06-01,2024-05-01", "ends_at: The end must be after"),
        (",Tea,,,", "The row has no key"),
    ],
)
def test_a_content_that_would_not_be_saved_by_hand_is_not_imported(write: Write, row: str, reason: str) -> None:
    content = f"key,name,value,starts_at,ends_at\n{row}\nmats,Mats,1,,\n"
    assert f"line 2: {reason}" in import_("contents", write("shop.csv", content))[1]
    assert [content.key for content in Content.objects.all()] == ["mats"]


@pytest.mark.django_db
def test_an_unknown_placement_is_refused_with_the_nearest(write: Write) -> None:
    Placement.objects.create(key="home-hero", name="Hero")
    _, complained = import_("contents", write("shop.csv", "key,name,placements\ntea,Tea,home-herro\n"))
    assert "there is no placement home-herro. Did you mean home-hero?" in complained
    assert Content.objects.count() == 0


@pytest.mark.django_db
def test_a_rehearsal_of_contents_writes_nothing(write: Write) -> None:
    said, _ = import_("contents", write("shop.csv", "key,name\ntea,Tea\n"), dry_run=True)
    assert "1 created, 0 failed. Nothing was written." in said
    assert Content.objects.count() == 0
