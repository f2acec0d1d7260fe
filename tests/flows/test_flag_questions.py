"""A flag client's body: who is asked for, where its names are put, and what is refused with which code."""

import json

import pytest

from decisioning.flows.contract import MAX_BODY
from decisioning.flows.flag_questions import Failed, moment, read


def test_names_are_put_where_segment_has_them():
    context = {
        "targetingKey": "c-1",
        "anonymous": True,
        "request_id": "r",
        "country": "DE",
        "utm_source": "mail",
        "location.city": "Ulm",
        "location": {"region": "BW"},
        "app": {"version": "1.2"},
        "beta": True,
        ".".join("abcdefghi"): 1,
    }
    assert moment(context) == {
        "location": {"country": "DE", "city": "Ulm", "region": "BW"},
        "campaign": {"source": "mail"},
        "app": {"version": "1.2"},
        "beta": True,
        ".".join("abcdefghi"): 1,
    }


@pytest.mark.parametrize(
    ("context", "who"),
    [
        ({"targetingKey": "c-1"}, {"customer_id": "c-1"}),
        ({"targetingKey": "email:ann@shop.example"}, {"customer_id": "email:ann@shop.example"}),
        ({"targetingKey": "anonymous:a-1"}, {"anonymous_id": "a-1"}),
        ({"targetingKey": "a-1", "anonymous": True}, {"anonymous_id": "a-1"}),
        ({"targetingKey": "c-1", "anonymous": False}, {"customer_id": "c-1"}),
        ({"targetingKey": "c-1", "anonymous": None}, {"customer_id": "c-1"}),
    ],
    ids=["customer", "customer by e-mail", "prefix", "said", "said not", "not said"],
)
def test_the_targeting_key_says_for_whom(context, who):
    assert read(json.dumps({"context": context}).encode()).who == who


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", "PARSE_ERROR", "cannot be read"),
        (b"{", "PARSE_ERROR", "cannot be read"),
        (b"[]", "PARSE_ERROR", "an object"),
        (b'{"context": {"targetingKey": "c-1", "a": 1, "a": 2}}', "PARSE_ERROR", "cannot be read"),
        (b'{"context": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", "PARSE_ERROR", "deeper"),
        (b" " * (MAX_BODY + 1), "PARSE_ERROR", "larger than"),
        (b"{}", "TARGETING_KEY_MISSING", "for whom"),
        (b'{"context": {}}', "TARGETING_KEY_MISSING", "for whom"),
        (b'{"context": {"targetingKey": " "}}', "TARGETING_KEY_MISSING", "for whom"),
        (b'{"context": {"targetingKey": "anonymous:"}}', "TARGETING_KEY_MISSING", "for whom"),
        (b'{"context": {"targetingKey": "a-1", "anonymous": "true"}}', "INVALID_CONTEXT", "true or false"),
        (b'{"context": {"targetingKey": "a-1", "anonymous": 1}}', "INVALID_CONTEXT", "true or false"),
        (b'{"context": {"targetingKey": "a-1", "anonymous": {}}}', "INVALID_CONTEXT", "true or false"),
        (b'{"context": "c-1"}', "INVALID_CONTEXT", "is an object"),
        (b'{"context": {"targetingKey": 7}}', "INVALID_CONTEXT", "is a text"),
        (b'{"context": {"targetingKey": "' + b"c" * 201 + b'"}}', "INVALID_CONTEXT", "200"),
        (b'{"context": {"targetingKey": "c-1", "request_id": 7}}', "INVALID_CONTEXT", "request_id"),
    ],
)
def test_a_question_that_cannot_be_understood_says_why(body, code, words):
    with pytest.raises(Failed) as told:
        read(body)
    assert (told.value.status, told.value.code) == (400, code)
    assert words in told.value.details
