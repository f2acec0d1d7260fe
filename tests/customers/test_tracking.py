"""Events are checked one by one; what could not be kept is refused with the reason, its neighbours are not harmed."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from decisioning.customers.tracking import Unreadable, check_body, corrected

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)


def event(**more) -> dict:
    return {"type": "track", "messageId": "m-1", "userId": "u", "event": "Clicked", **more}


def check(*events: object, **more):
    return check_body(json.dumps({"batch": list(events), **more}).encode(), "batch", NOW)


def test_a_good_event_is_taken_with_its_names_and_time():
    (good,), bad = check(event(timestamp="2018-01-01T11:00:00Z", properties={"a": 1}))
    assert not bad
    assert (good.name, good.user_id, good.timestamp) == ("Clicked", "u", NOW - timedelta(hours=1))
    assert json.loads(good.properties) == {"a": 1}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"messageId": ""}, "no messageId"),
        ({"userId": None}, "nobody did it"),
        ({"event": ""}, "no name"),
        ({"type": "unheard"}, "Invalid enum value"),
        ({"properties": {"x": "a\u0000b"}}, "NUL"),
        ({"properties": {"x": "y" * 40_000}}, "larger than 32 KB"),
        ({"userId": 5}, "Expected `str"),
        ({"timestamp": "yesterday"}, "Invalid RFC3339"),
    ],
)
def test_a_bad_event_is_refused_with_the_reason_and_its_neighbour_is_kept(broken, reason):
    good, bad = check(event(), event(**{"messageId": "m-2", **broken}))
    assert [item.message_id for item in good] == ["m-1"]
    assert bad[0].index == 1
    assert reason in bad[0].message


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"batch": 5}', b'{"batch"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_cannot_be_read_is_refused_as_a_whole(body):
    with pytest.raises(Unreadable):
        check_body(body, "batch", NOW)


@pytest.mark.parametrize("value", ["NaN", "Infinity", '"\\ud800"', "[" * 5000 + "]" * 5000])
def test_values_that_json_or_the_database_cannot_hold_are_refused(value):
    body = '{"messageId": "m", "userId": "u", "event": "e", "properties": {"x": ' + value + "}}"
    good, bad = check_body(body.encode(), "track", NOW)
    assert not good and len(bad) == 1


def test_a_client_clock_that_is_wrong_is_corrected_by_sent_at():
    sent = NOW + timedelta(days=900)
    assert corrected(sent - timedelta(minutes=5), sent, NOW) == NOW - timedelta(minutes=5)


def test_nothing_happens_after_it_arrives():
    assert corrected(NOW + timedelta(days=2), None, NOW) == NOW


def test_single_calls_take_their_type_from_the_address():
    body = json.dumps({"messageId": "m", "anonymousId": "a", "traits": {"age": 5}}).encode()
    (good,), _ = check_body(body, "identify", NOW)
    assert (good.type, good.name, good.traits) == ("identify", "identify", {"age": 5})


@pytest.mark.parametrize(
    "times",
    [
        {"timestamp": "0001-01-01T00:00:00+14:00"},
        {"timestamp": "0001-01-01T00:00:00Z", "sentAt": "9999-12-31T23:59:59Z"},
        {"timestamp": "9999-12-31T23:59:59Z", "sentAt": "0001-01-01T00:00:00Z"},
        {"timestamp": "1969-12-31T23:59:59Z"},
    ],
)
def test_times_that_no_clock_shows_are_refused_or_become_the_arrival(times):
    good, bad = check(event(**times), event(messageId="m-2"))
    assert [item.message_id for item in good if item.timestamp != NOW] == []
    assert "m-2" in [item.message_id for item in good]
    assert len(good) + len(bad) == 2


def test_a_batch_sent_at_the_end_of_time_harms_no_event_without_a_time():
    good, bad = check(event(timestamp="0001-01-01T00:00:00Z"), event(messageId="m-2"), sentAt="9999-12-31T23:59:59Z")
    assert ([item.message_id for item in good], len(bad)) == (["m-2"], 1)


def test_text_that_only_looks_like_a_nul_is_kept():
    (good,), _ = check(event(properties={"x": "\\u0000"}))
    assert json.loads(good.properties) == {"x": "\\u0000"}


def test_deep_nesting_is_refused_and_wide_values_are_not():
    deep: dict = {}
    for _ in range(60):
        deep = {"a": deep}
    _, bad = check(event(properties=deep))
    good, _ = check(event(properties={"list": [{"a": n} for n in range(200)]}))
    assert "deeper than" in bad[0].message
    assert len(good) == 1
