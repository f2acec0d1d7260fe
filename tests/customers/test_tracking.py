"""Events are checked one by one; what could not be kept is refused with the reason, its neighbours are not harmed."""

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisioning.customers.intake.bots import is_bot
from decisioning.customers.intake.incoming import Checked, Sender
from decisioning.customers.intake.tracking import Unreadable, check_body, check_items, corrected

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"


def event(**more: Any) -> dict[str, Any]:
    return {"type": "track", "messageId": "m-1", "userId": "u", "event": "Clicked", **more}


def check(*events: object, **more: Any):
    return check_body(json.dumps({"batch": events, **more}).encode(), "batch", NOW)


def one(**more: Any) -> Checked:
    good, bad = check(event(**more))
    assert not bad, bad
    return good[0]


def test_a_good_event_is_taken_with_its_names_and_time():
    good = one(timestamp="2018-01-01T11:00:00Z", properties={"a": 1})
    assert (good.name, good.identifiers, good.timestamp) == ("Clicked", (("user_id", "u"),), NOW - timedelta(hours=1))
    assert json.loads(good.properties) == {"a": 1}


@pytest.mark.parametrize(
    ("broken", "code", "reason"),
    [
        ({"messageId": ""}, "no_message_id", "no messageId"),
        ({"userId": None}, "nobody", "nobody did it"),
        ({"userId": "undefined"}, "nobody", "undefined"),
        ({"event": ""}, "no_name", "no name"),
        ({"type": "unheard"}, "invalid_field", "Invalid enum value"),
        ({"type": None}, "no_type", "has no type"),
        ({"properties": {"x": "a\u0000b"}}, "nul", "NUL"),
        ({"properties": {"x": "y" * 40_000}}, "event_too_large", "larger than 32 KB"),
        ({"properties": {"x": 2**63}}, "number_range", "64 bits"),
        ({"properties": [1]}, "invalid_field", "'properties' is no object"),
        ({"context": "x"}, "invalid_field", "'context' is no object"),
        ({"userId": ["a"]}, "invalid_field", "Expected"),
        ({"userId": "u" * 201}, "invalid_field", "200"),
        ({"context": {"device": {"id": "d" * 201}}}, "invalid_field", "device_id is longer"),
        ({"timestamp": "yesterday"}, "invalid_field", "Invalid RFC3339"),
        ({"type": "alias"}, "no_previous_id", "no previousId"),
    ],
)
def test_a_bad_event_is_refused_with_the_reason_and_its_neighbour_is_kept(broken, code, reason):
    good, bad = check(event(), event(**{"messageId": "m-2", **broken}))
    assert [item.message_id for item in good] == ["m-1"]
    assert (bad[0].index, bad[0].code) == (1, code)
    assert reason in bad[0].message
    assert bad[0].raw == b"" if code == "event_too_large" else json.loads(bad[0].raw)["messageId"] in ("m-2", "")


BODIES = [
    b"",
    b"nonsense",
    b'{"batch": 5}',
    b'{"batch"',
    b"\xff\xfe",
    b"[" * 100_000,
    b"{}",
    b'{"batch": [], "batch": []}',
]


@pytest.mark.parametrize("body", BODIES)
def test_a_body_that_cannot_be_read_is_refused_as_a_whole(body):
    with pytest.raises(Unreadable):
        check_body(body, "batch", NOW)


VALUES = {
    "NaN": "not_json",
    "Infinity": "not_json",
    "1e400": "number_range",
    "9" * 5000: "number_range",
    "9" * 30: "number_range",
    '"\\ud800"': "lone_surrogate",
    '"\\udc00 \\ud800"': "lone_surrogate",
    '"\\u0000"': "nul",
    "[" * 5000 + "]" * 5000: "too_deep",
    '{"a":' * 33 + "1" + "}" * 33: "too_deep",
    '{"a": 1, "a": 2}': "duplicate_key",
    '{"a":1,"a":1}': "duplicate_key",
    '{"a":1,"\\u0061":2}': "duplicate_key",
    '{"a" :1,"b\\":c":2,"a":2}': "duplicate_key",
    '{"a\\u0022:":1,"b" : 2,"b":3}': "duplicate_key",
    '"\x01"': "not_json",
    "'single'": "not_json",
}


@pytest.mark.parametrize(("value", "code"), VALUES.items(), ids=range(len(VALUES)))
def test_values_that_json_or_the_database_cannot_hold_are_refused(value, code):
    body = '{"messageId": "m", "userId": "u", "event": "e", "properties": {"x": ' + value + "}}"
    good, bad = check_body(body.encode(), "track", NOW)
    assert not good
    assert [item.code for item in bad] == [code]


def test_bytes_that_are_no_utf_8_are_refused_wherever_they_stand():
    for place in (b'"properties":{"x":"\xff"}', b'"unread":"\xff"', b'"\xff":1'):
        body = b'{"batch":[{"type":"track","messageId":"m","userId":"u","event":"e",' + place + b"}]}"
        good, bad = check_body(body, "batch", NOW)
        assert (good, bad[0].code) == ([], "not_utf8")


@pytest.mark.parametrize("field", ["messageId", "userId", "unread"])
def test_a_field_of_the_event_that_stands_twice_is_refused_even_where_nobody_reads_it(field):
    body = f'{{"type":"track","messageId":"m","userId":"u","event":"e","unread":1,"{field}":"x"}}'
    assert check_items([body.encode()], NOW)[1][0].code == "duplicate_key"


def test_a_batch_that_is_given_twice_is_refused():
    item = json.dumps(event())
    with pytest.raises(Unreadable, match="stands twice"):
        check_body(f'{{"batch":[{item}],"batch":[{item}]}}'.encode(), "batch", NOW)


@pytest.mark.parametrize(
    "value", ["NaN", "-Infinity", '"\\ud83d"', "9" * 5000, '{"a": 1, "a": 2}', "[" * 40 + "]" * 40]
)
def test_what_is_no_strict_json_in_one_event_does_not_cost_the_whole_batch(value):
    good, broken = json.dumps(event()), json.dumps(event(properties={"x": 0})).replace("0", value)
    body = f' {{"sentAt" : "2018-01-01T12:00:00Z", "batch": [ {good},{broken} , {good}], "writeKey":"k"}} '
    taken, bad = check_body(body.encode(), "batch", NOW)
    assert (len(taken), [item.index for item in bad]) == (2, [1])
    assert check_body(f"[{good}, {broken}]".encode(), "cloudevents", NOW)[0] == taken[:1]


def test_more_items_than_a_batch_may_have_are_refused_before_they_are_read():
    with pytest.raises(Unreadable, match="more than 2,500"):
        check_body(b'{"batch":[' + b",".join([b"{}"] * 2_501) + b"]}", "batch", NOW)


keys = st.text(st.sampled_from('ab":\\ \nä'), max_size=3)
trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | keys,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(keys, trees, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_everything_else_comes_back_as_it_was_sent_however_it_was_written(sent, ascii_only, indent):
    body = json.dumps(event(properties=sent), ensure_ascii=ascii_only, indent=indent).encode()
    (good,), _ = check_items([body], NOW)
    assert json.loads(good.properties) == sent


@given(st.dictionaries(keys, trees, min_size=1, max_size=4), st.sampled_from([None, 1]), st.data())
def test_a_name_that_stands_twice_is_always_found(sent, indent, data):
    again = json.dumps(data.draw(st.sampled_from(sorted(sent))))
    body = json.dumps({"p": {**sent, "last": 0}}, indent=indent)
    at = body.rindex('"last"')
    body = f"{body[:at]}{again}: 1, {body[at:]}"
    assert check_items([body.encode()], NOW)[1][0].code == "duplicate_key"


def test_a_client_clock_that_is_wrong_is_corrected_by_sent_at():
    sent = NOW + timedelta(days=900)
    assert corrected(sent - timedelta(minutes=5), sent, NOW) == NOW - timedelta(minutes=5)


def test_nothing_happens_after_it_arrives():
    assert corrected(NOW + timedelta(days=2), None, NOW) == NOW
    assert corrected(NOW + timedelta(days=2), NOW + timedelta(days=1), NOW) == NOW


def test_the_time_of_rudderstacks_clients_is_the_original_timestamp():
    good = one(originalTimestamp="2018-01-01T11:00:00Z", sentAt="2018-01-01T11:30:00Z")
    assert good.timestamp == NOW - timedelta(minutes=30)


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
    assert json.loads(one(properties={"x": "\\u0000"}).properties) == {"x": "\\u0000"}


def test_wide_values_are_not_deep():
    assert len(json.loads(one(properties={"list": [{"a": n} for n in range(200)]}).properties)["list"]) == 200


def test_single_calls_take_their_type_from_the_address_and_a_refused_one_remembers_it():
    body = json.dumps({"messageId": "m", "anonymousId": "a-1", "traits": {"age": 5}}).encode()
    (good,), _ = check_body(body, "identify", NOW)
    assert (good.type, good.name, good.properties) == ("identify", "identify", '{"age":5}')
    _, (bad,) = check_body(b'{"messageId": "m", "event": "e"}', "track", NOW)
    assert json.loads(bad.raw) == {"type": "track", "messageId": "m", "event": "e"}


def test_a_refused_item_of_a_batch_can_be_checked_alone_later_and_keeps_its_time():
    timed = event(userId="", timestamp="2018-01-05T12:00:00Z")
    _, (bad,) = check(timed, sentAt="2018-01-05T12:05:00Z")
    mended = bad.raw.replace(b'"userId": ""', b'"userId": "u"')
    assert check_items([mended], NOW)[0][0].timestamp == NOW - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"anonymousId": "a-1"}, (("user_id", "u"), ("anonymous_id", "a-1"))),
        ({"userId": 7}, (("user_id", "7"),)),
        ({"userId": "GUEST", "anonymousId": "a-1"}, (("anonymous_id", "a-1"),)),
        ({"anonymousId": "00000000-0000-0000-0000-000000000000"}, (("user_id", "u"),)),
        ({"context": {"device": {"id": "00000000-0000-0000-0000-000000000000"}}}, (("user_id", "u"),)),
        ({"context": {"device": {"id": "d-1"}}}, (("user_id", "u"), ("device_id", "d-1"))),
        ({"context": {"device": "phone"}}, (("user_id", "u"),)),
        ({"context": {"traits": {"email": " Ann@Example.COM "}}}, (("user_id", "u"), ("email", "ann@example.com"))),
        ({"context": {"traits": {"email": "no address"}}}, (("user_id", "u"),)),
        ({"context": {"traits": {"phone": "+49 (0) 170 123-4567"}}}, (("user_id", "u"), ("phone", "+491701234567"))),
        ({"context": {"traits": {"phone": "0170 1234567"}}}, (("user_id", "u"),)),
        ({"context": {"traits": {"loyaltyId": 99}}}, (("user_id", "u"), ("loyalty_id", "99"))),
        (
            {
                "userId": None,
                "context": {"externalIds": [{"type": "loyalty_id", "id": "L"}, {"type": "foo", "id": "x"}]},
            },
            (("loyalty_id", "L"),),
        ),
    ],
)
def test_identifiers_come_from_everywhere_the_strongest_first(fields, expected):
    assert one(**fields).identifiers == expected


def test_traits_name_a_person_in_identify_alone():
    traits = {"email": "a@b.example", "loyalty_id": "L"}
    person = one(type="identify", traits=traits)
    company = one(type="group", groupId="g-1", traits=traits)
    assert person.identifiers == (("user_id", "u"), ("loyalty_id", "L"), ("email", "a@b.example"))
    assert company.identifiers == (("user_id", "u"),)
    assert json.loads(company.properties) == {"groupId": "g-1", **traits}


def test_rudderstack_sends_traits_within_the_context():
    good = one(type="identify", context={"traits": {"age": 5}})
    assert json.loads(good.properties) == {"age": 5}


def test_rudderstacks_header_names_those_whom_the_event_does_not():
    body = json.dumps({"messageId": "m", "event": "e"}).encode()
    (good,), _ = check_body(body, "track", NOW, Sender(anonymous_id="a-9"))
    assert good.identifiers == (("anonymous_id", "a-9"),)


def test_an_alias_says_which_id_was_the_same_person():
    good = one(type="alias", previousId="old")
    assert (good.identifiers, good.properties) == ((("user_id", "u"),), '{"previousId":"old"}')


def test_history_is_marked_and_only_by_a_true_one():
    assert one(context={"historical": True}).historical
    assert not one(context={"historical": "no"}).historical


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (CHROME, False),
        ("", False),
        ("python-requests/2.31", False),
        ("Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36", False),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        (CHROME.replace("Chrome/", "HeadlessChrome/"), True),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", True),
        ("Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", True),
    ],
)
def test_bots_are_told_by_their_user_agent(agent, expected):
    assert is_bot(agent) is expected
    assert one(context={"userAgent": agent}).bot is expected


def test_the_header_tells_of_a_bot_only_where_the_event_does_not_name_its_browser():
    body = json.dumps(event()).encode()
    browser = json.dumps(event(context={"userAgent": CHROME})).encode()
    sender = Sender(agent="Googlebot/2.1")
    assert check_body(body, "track", NOW, sender)[0][0].bot
    assert not check_body(browser, "track", NOW, sender)[0][0].bot


BOMBS = {
    "depth": b'{"batch":[{"type":"track","properties":' + b"[" * 200_000 + b"]}",
    "depth in items": b'{"batch":[' + b"[" * 16_000 + b"]" * 16_000 + b"]}",
    "empty lists": b'{"batch":[' + b",".join([b"[]"] * 160_000) + b"]}",
    "empty lists and no JSON": b'{"batch":[NaN,' + b",".join([b"[]"] * 160_000) + b"]}",
    "keys": b'{"batch":[{' + b",".join(b'"%d":1' % n for n in range(45_000)) + b"}]}",
    "nested objects": b'{"batch":[{"a":[' + b",".join([b'{"a":1}'] * 4_000) + b"]}]}",
    "digits": b'{"batch":[{"a":' + b"9" * 400_000 + b"}]}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_little_memory_is_used(name):
    assert len(BOMBS[name]) <= 500 * 1024
    tracemalloc.start()
    try:
        good, bad = check_body(BOMBS[name], "batch", NOW)
        assert bad and not good
    except Unreadable:
        good = []
    finally:
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert not good
    assert used < 80e6
