"""CloudEvents 1.0 become events of ours, in each of the forms in which HTTP carries them."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from decisioning.customers.intake import cloudevents
from decisioning.customers.intake.strict import Unfit
from decisioning.customers.intake.tracking import Bad, Checked, check_body, check_items

NOW = datetime(2018, 1, 1, 12, tzinfo=UTC)


def cloud(**more: Any) -> dict[str, Any]:
    given = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "Order Completed", "subject": "u-1"}
    return {**given, "time": "2018-01-01T11:00:00Z", "data": {"total": 5}, **more}


def checked(kind: str, body: Any) -> tuple[list[Checked], list[Bad]]:
    return check_body(json.dumps(body).encode(), kind, NOW)


def test_an_event_keeps_its_name_customer_time_and_data():
    (good,), _ = checked("cloudevent", cloud())
    assert (good.type, good.name, good.message_id) == ("track", "Order Completed", "/shop 7")
    assert good.identifiers == (("user_id", "u-1"),)
    assert good.timestamp == NOW - timedelta(hours=1)
    assert json.loads(good.properties) == {"total": 5}
    assert json.loads(good.context) == {"cloudevent": {"source": "/shop"}}


def test_the_same_id_of_another_source_is_another_event():
    good, _ = checked("cloudevents", [cloud(), cloud(source="/app")])
    assert [item.message_id for item in good] == ["/shop 7", "/app 7"]


def test_a_type_of_ours_is_that_call_with_the_data_as_traits():
    (good,), _ = checked("cloudevent", cloud(type="identify", data={"email": "a@b.example"}))
    assert (good.type, json.loads(good.properties)) == ("identify", {"email": "a@b.example"})
    assert good.identifiers == (("user_id", "u-1"), ("email", "a@b.example"))


def test_extensions_name_an_anonymous_customer_and_history():
    (good,), _ = checked("cloudevent", cloud(subject=None, anonymousid="a-1", historical=True))
    assert (good.identifiers, good.historical) == ((("anonymous_id", "a-1"),), True)


@pytest.mark.parametrize("said", [True, "true", "True", "TRUE"])
def test_history_is_known_however_a_header_spells_it(said):
    (good,), _ = checked("cloudevent", cloud(historical=said))
    assert good.historical


def test_data_in_base64_is_read_as_strictly():
    packed = b64encode(b'{"total": 6}').decode()
    twice = b64encode(b'{"total": 6, "total": 7}').decode()
    good, bad = checked("cloudevents", [cloud(data_base64=packed), cloud(data_base64=twice)])
    assert json.loads(good[0].properties) == {"total": 6}
    assert "stands twice" in bad[0].message


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"specversion": "0.3"}, "version is not known"),
        ({"id": ""}, "no 'id'"),
        ({"source": None}, "no 'source'"),
        ({"type": 5}, "no 'type'"),
        ({"data": [1]}, "no JSON object"),
        ({"data_base64": "!"}, "Base64"),
        ({"id": "x" * 300}, "300 characters"),
        ({"subject": ""}, "nobody did it"),
        ({"time": "noon"}, "Invalid RFC3339"),
    ],
)
def test_a_broken_one_is_refused_with_the_reason_and_its_neighbour_is_kept(broken, reason):
    good, bad = checked("cloudevents", [cloud(**broken), cloud(id="8")])
    assert [item.message_id for item in good] == ["/shop 8"]
    assert reason in bad[0].message


def test_both_formats_may_stand_side_by_side_in_a_file():
    segment = {"type": "track", "messageId": "m", "userId": "u", "event": "e"}
    good, bad = check_items([json.dumps(cloud()).encode(), json.dumps(segment).encode()], NOW)
    assert ([item.message_id for item in good], bad) == (["/shop 7", "m"], [])


def test_headers_hold_the_attributes_in_binary_mode_and_the_body_the_data():
    headers = {
        "content-type": "application/json; charset=utf-8",
        "ce-specversion": "1.0",
        "ce-id": "7",
        "ce-source": "/shop",
        "ce-type": "B%C3%BCcher%20bestellt",
        "ce-subject": "u-1",
    }
    assert cloudevents.is_binary(headers)
    (good,), _ = check_body(cloudevents.joined(headers, b'{"total": 5}'), "cloudevent", NOW)
    assert (good.name, json.loads(good.properties)) == ("Bücher bestellt", {"total": 5})


def test_data_that_is_no_json_is_refused_in_binary_mode():
    headers = {"ce-specversion": "1.0", "content-type": "application/xml"}
    with pytest.raises(Unfit, match="application/xml"):
        cloudevents.joined(headers, b"<a/>")
    with pytest.raises(Unfit, match="cannot be read"):
        cloudevents.joined({"ce-specversion": "1.0"}, b"{")
