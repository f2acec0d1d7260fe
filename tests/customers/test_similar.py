"""Likely duplicates: who is proposed and why, who is not, and that many people do not take long."""

import random
from itertools import combinations
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.customers.identity import similar
from decisioning.customers.identity.similar import Person, mailbox, pairs
from tests.examples import examples

STREET = "12 Main Street, 10115 Springfield"


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("J.Doe+Shop@GoogleMail.com", "jdoe@gmail.com"),
        (" jane.doe+x@web.example ", "jane.doe@web.example"),
        ("+tag@web.example", "+tag@web.example"),
        ("nobody", ""),
        ("", ""),
    ],
)
def test_a_mailbox_is_compared_without_tags(written: str, plain: str) -> None:
    assert mailbox(written) == plain


@pytest.mark.parametrize(
    ("one", "other", "reasons"),
    [
        (
            Person(1, email="jane.doe@gmail.com"),
            Person(2, email="janedoe+shop@gmail.com"),
            ["The same e-mail, dots and tags aside: jane.doe@gmail.com and janedoe+shop@gmail.com."],
        ),
        (
            Person(1, "Jon Smith", phone="+49 30 1234567"),
            Person(2, "Smyth, John", phone="030/1234567"),
            [
                "The phone numbers end alike: +49 30 1234567 and 030/1234567.",
                "The names are alike (80%): Jon Smith and Smyth, John.",
            ],
        ),
        (
            Person(1, "Jane Doe", address=STREET),
            Person(2, "Jáne Döe", address="12 Main St. 10115 SPRINGFIELD"),
            [
                f"The addresses are alike (100%): {STREET} and 12 Main St. 10115 SPRINGFIELD.",
                "The names are alike (100%): Jane Doe and Jáne Döe.",
            ],
        ),
        (
            Person(1, "Katherine Jones", "kjones@one.example"),
            Person(2, "Catherine Jones", "k.jones@two.example", address=STREET),
            [],
        ),
        (
            Person(1, "Jane Doe", "jane.doe@one.example"),
            Person(2, "Jane Doe", "janedoe@two.example"),
            [
                "The e-mails differ only after the @ or in punctuation: jane.doe@one.example and janedoe@two.example.",
                "The names are alike (100%): Jane Doe and Jane Doe.",
            ],
        ),
        (
            Person(1, "Jane Doe", "jane.doe@one.example", address=STREET),
            Person(2, "Jane Doe", "jane.dole@one.example", address=STREET),
            [
                "The e-mails differ by one letter: jane.doe@one.example and jane.dole@one.example.",
                f"The addresses are alike (100%): {STREET} and {STREET}.",
                "The names are alike (100%): Jane Doe and Jane Doe.",
            ],
        ),
        # A family at one number and in one house; namesakes; neighbours; an office; nothing in common.
        (
            Person(1, "Anna Meyer", phone="+49301234567", address=STREET),
            Person(2, "Paul Meyer", phone="+49301234567", address=STREET),
            [],
        ),
        (Person(1, "Jane Doe", address=STREET), Person(2, "Jane Doe", address="7 Elm Road, 10115 Springfield"), []),
        (Person(1, "Jane Doe", address=STREET), Person(2, "Jane Doe", address=STREET.replace("12", "14")), []),
        (Person(1, address=STREET), Person(2, address=STREET), []),
        (Person(1, "Jane Doe", "info@one.example"), Person(2, "Jane Doe", "info@two.example"), []),
        (Person(1), Person(2), []),
    ],
)
def test_it_proposes_with_reasons_or_not_at_all(one: Person, other: Person, reasons: list[str]) -> None:
    found = pairs([other, one])
    assert [list(pair.reasons) for pair in found] == ([reasons] if reasons else [])
    assert all((pair.one, pair.other) == (1, 2) and 0.8 <= pair.score <= 1 for pair in found)


def test_one_customer_is_never_their_own_duplicate() -> None:
    assert pairs([Person(1, email="a@b.example"), Person(1, email="a@b.example")]) == []


def test_surer_pairs_come_first() -> None:
    people = [
        Person(1, "Jane Doe", "jane.doe@one.example"),
        Person(2, "Jane Doe", "jane.doe@two.example"),
        Person(3, "Jane Doe", "jane.doe+x@one.example"),
    ]
    assert [(pair.one, pair.other) for pair in pairs(people)] == [(1, 3), (1, 2), (2, 3)]


WORDS = st.sampled_from(["", "Jane Doe", "Jon Smith", "John Smyth", "Ä", "李 王", "O'Neil-Öz", "12", "x" * 50])
MAILS = st.sampled_from(
    ["", "@", "a@b", "jane.doe@gmail.com", "janedoe@gmail.com", "jane.doe+1@x.example", "ü@ü.example"]
)
PHONES = st.sampled_from(["", "12", "+4930 1234567", "030 1234567", "phone"])
PLACES = st.sampled_from(["", STREET, "12 Main St 10115 Springfield", "SW1A 1AA London", "10115", "…"])
PEOPLE = st.lists(st.tuples(WORDS, MAILS, PHONES, PLACES), max_size=12)


@examples(150)
@given(PEOPLE)
def test_keys_lose_nobody_whom_comparing_all_would_find(rows: list[tuple[str, str, str, str]]) -> None:
    people = [Person(number, *row) for number, row in enumerate(rows)]
    plain = [similar._plain(person) for person in people]
    everybody = [pair for one, other in combinations(plain, 2) if (pair := similar._compare(one, other))]
    assert {(pair.one, pair.other) for pair in pairs(people)} == {(pair.one, pair.other) for pair in everybody}


@examples(100)
@given(PEOPLE, st.randoms(use_true_random=False))
def test_the_order_of_people_does_not_matter(rows: list[tuple[str, str, str, str]], dice: random.Random) -> None:
    people = [Person(number, *row) for number, row in enumerate(rows)]
    before = pairs(people)
    dice.shuffle(people)
    assert pairs(people) == before


def test_a_crowd_behind_one_key_is_compared_with_its_neighbours_only() -> None:
    crowd = [Person(number, f"Visitor {number:05}", phone="+49301234567") for number in range(2000)]
    twins = [Person(5000, "Jane Doe", phone="+49301234567"), Person(5001, "Jane Doe", phone="+49301234567")]
    plain = [similar._plain(person) for person in crowd + twins]
    assert len(similar._candidates(plain)) <= similar.WINDOW * len(plain)
    assert (5000, 5001) in {(pair.one, pair.other) for pair in pairs(twins + crowd)}


def test_ten_thousand_people_take_a_moment() -> None:
    dice = random.Random(3)
    names = [f"{dice.choice('BDKLMNRT')}{dice.choice('aeiou')}{number}" for number in range(500)]
    people = [
        Person(
            number,
            f"{dice.choice(names)} {dice.choice(names)}",
            f"mail{number}@one.example",
            f"+49{dice.randrange(10**9)}",
            f"{dice.randrange(200)} Main Street {dice.randrange(10000, 10200)}",
        )
        for number in range(10_000)
    ]
    began = process_time()
    pairs(people)
    # Far from the measured third of a second; comparing everybody with everybody takes minutes.
    assert process_time() - began < 10
