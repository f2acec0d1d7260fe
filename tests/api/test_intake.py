"""The wire as clients speak it: every path, encoding, way to show the key, form of CloudEvents, limit and refusal."""

import gzip
import io
import json
import zlib
from base64 import b64encode
from typing import Any, NamedTuple

import pytest
from django.test import Client

from decisioning.api import doors, intake, limits
from decisioning.config import wsgi
from decisioning.customers.models import DeadLetter, Event
from decisioning.store import keys

from ..flows.conftest import *  # noqa: F403  (the same small site)

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"


class Answer(NamedTuple):
    """What came back through the WSGI lane."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


def send(path: str, body: bytes = b"", method: str = "POST", **headers: str) -> Answer:
    """Through the WSGI lane; `content_type` and such become headers."""
    address, _, query = path.partition("?")
    environ = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    environ |= {"CONTENT_TYPE": environ.pop("HTTP_CONTENT_TYPE", "application/json")}
    environ |= {"REQUEST_METHOD": method, "PATH_INFO": address, "QUERY_STRING": query, "SERVER_NAME": "x"}
    environ |= {"SERVER_PORT": "80", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body)}
    seen: list[tuple[str, dict[str, str]]] = []
    raw = b"".join(wsgi.application(environ, lambda status, given, *rest: seen.append((status, dict(given)))))
    return Answer(int(seen[0][0][:3]), seen[0][1], raw)


def basic(key: str) -> str:
    return "Basic " + b64encode(f"{key}:".encode()).decode()


def event(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": "track", "messageId": f"m-{number}", "userId": "u", "event": "Clicked", **more}


def packed(*events: Any, **more: Any) -> bytes:
    return json.dumps({"batch": events, **more}).encode()


SINGLE = {
    "/v1/identify": {"traits": {"age": 5}},
    "/v1/i": {"traits": {"age": 5}},
    "/v1/track": {"event": "Clicked"},
    "/v1/t": {"event": "Clicked"},
    "/v1/page": {"name": "Home"},
    "/v1/p": {"name": "Home"},
    "/v1/screen": {"name": "Home"},
    "/v1/s": {"name": "Home"},
    "/v1/group": {"groupId": "g"},
    "/v1/g": {"groupId": "g"},
    "/v1/alias": {"previousId": "old"},
    "/v1/a": {"previousId": "old"},
}


@pytest.mark.parametrize("path", SINGLE)
def test_a_single_call_is_stored_under_its_long_and_its_short_path(site, path):
    body = json.dumps({"messageId": "m", "userId": "u", **SINGLE[path]}).encode()
    answer = send(path, body, authorization=basic(site.key), content_type="text/plain")
    assert (answer.status, answer.body["success"]) == (200, True)
    assert Event.objects.get().type[0] == path[4]


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/beacon/v1/batch"])
def test_a_batch_is_stored_under_all_its_paths(site, path):
    answer = send(path, packed(event(1), event(2)), authorization=basic(site.key))
    assert (answer.status, answer.body["added"], Event.objects.count()) == (200, 2, 2)


def test_the_key_may_stand_wherever_clients_put_it(site):
    ways: list[tuple[str, bytes, dict[str, str]]] = [
        ("/v1/batch", packed(event(1)), {"authorization": basic(site.key)}),
        ("/v1/batch", packed(event(2)), {"authorization": f"Bearer {site.key}"}),
        ("/v1/batch", packed(event(3)), {"x_api_key": site.key}),
        ("/v1/batch", packed(event(4), writeKey=site.key), {}),
        ("/v1/t", json.dumps({**event(5), "writeKey": site.key}).encode(), {"content_type": "text/plain"}),
        (f"/beacon/v1/batch?writeKey={site.key}", packed(event(6)), {"content_type": "text/plain"}),
    ]
    assert [send(path, body, **headers).status for path, body, headers in ways] == [200] * len(ways)
    assert Event.objects.count() == len(ways)


def test_a_missing_or_wrong_key_is_refused_and_a_key_for_decisions_may_not_send(site):
    _, other = keys.create("decides", ["decide"])
    site.publish()
    answers = [send("/v1/track", b"{}"), send("/v1/track", b"{}", authorization=basic("dk_wrong"))]
    answers.append(send("/v1/track", b"{}", authorization=basic(other)))
    assert [(answer.status, answer.body["code"]) for answer in answers] == [
        (401, "no_key"),
        (401, "wrong_key"),
        (403, "wrong_scope"),
    ]


def pack(kind: str, body: bytes) -> bytes:
    if kind == "raw deflate":
        machine = zlib.compressobj(wbits=-15)
        return machine.compress(body) + machine.flush()
    return gzip.compress(body) if kind == "gzip" else zlib.compress(body)


@pytest.mark.parametrize("kind", ["gzip", "deflate", "raw deflate"])
def test_packed_bodies_are_unpacked(site, kind):
    body = pack(kind, packed(event()))
    answer = send("/v1/batch", body, authorization=basic(site.key), content_encoding=kind.split()[-1])
    assert (answer.status, Event.objects.count()) == (200, 1)


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code"),
    [
        ("gzip", gzip.compress(b" " * 50_000_000, mtime=0), 413, "too_large"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-4], 400, "broken_encoding"),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"more", 400, "broken_encoding"),
        ("gzip", b"not packed at all", 400, "broken_encoding"),
        ("br", b"{}", 415, "unsupported_encoding"),
        ("", b" " * 600_000, 413, "too_large"),
    ],
)
def test_what_cannot_be_unpacked_or_is_too_large_is_refused(site, encoding, body, status, code):
    answer = send("/v1/batch", body, authorization=basic(site.key), content_encoding=encoding)
    assert (answer.status, answer.body["code"], answer.body["success"]) == (status, code, False)


class Stream:
    """A body without end, as a chunked one may be."""

    def __init__(self) -> None:
        self.read_so_far = 0

    def read(self, size: int) -> bytes:
        self.read_so_far += size
        return b" " * size


def test_a_body_without_end_is_refused_after_a_moment(site):
    stream = Stream()
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/v1/batch", "wsgi.input": stream}
    seen: list[str] = []
    b"".join(wsgi.application(environ, lambda status, headers: seen.append(status)))
    assert seen[0].startswith("413")
    assert stream.read_so_far > doors.MAX_READ


def test_a_mixed_batch_stores_the_good_ones_and_tells_of_each_bad_one(site):
    answer = send("/v1/batch", packed(event(1), event(2, userId=""), event(3, event="")), x_api_key=site.key)
    assert answer.status == 200
    assert (answer.body["success"], answer.body["added"]) == (False, 1)
    assert [(error["index"], error["code"]) for error in answer.body["errors"]] == [(1, "nobody"), (2, "no_name")]
    assert DeadLetter.objects.count() == 2


def test_a_batch_with_nothing_good_in_it_is_a_400_with_the_same_list(site):
    answer = send("/v1/batch", packed(event(1, userId=""), event(2, userId="null")), x_api_key=site.key)
    assert (answer.status, answer.body["success"], answer.body["message"]) == (
        400,
        False,
        answer.body["error"]["message"],
    )
    assert [error["code"] for error in answer.body["errors"]] == ["nobody", "nobody"]


def test_the_browser_tells_what_it_is_in_a_header(site):
    body = json.dumps({**event(), "writeKey": site.key}).encode()
    send("/v1/t", body, user_agent=CHROME.replace("Chrome/", "HeadlessChrome/"))
    assert Event.objects.get().bot


def test_the_library_of_a_server_is_no_bot(site):
    send("/v1/track", json.dumps(event()).encode(), x_api_key=site.key, user_agent="Python-urllib/3.11")
    assert not Event.objects.get().bot


@pytest.mark.parametrize("header", [b64encode(b"a-9").decode(), "a-9"])
def test_rudderstacks_header_names_the_anonymous_customer(site, header):
    send("/v1/track", json.dumps(event(userId=None)).encode(), x_api_key=site.key, anonymousid=header)
    assert Event.objects.get().identifiers == [["anonymous_id", "a-9"]]


def test_any_origin_may_ask_and_send_but_without_cookies(site):
    asked = send("/v1/t", method="OPTIONS", origin="https://shop.example", access_control_request_method="POST")
    sent = send("/v1/t", json.dumps(event()).encode(), x_api_key=site.key, origin="https://shop.example")
    refused = send("/v1/t", b"{}", origin="https://shop.example")
    assert asked.status == 204 and "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in (asked, sent, refused)} == {"*"}
    assert "Access-Control-Allow-Credentials" not in {**asked.headers, **sent.headers}


def test_decisions_are_not_opened_to_other_origins(site):
    assert "Access-Control-Allow-Origin" not in send("/v1/decide", b"{}", x_api_key=site.key).headers


def test_the_browser_bundles_own_counters_are_answered_and_not_kept(site):
    answer = send("/v1/m", b'{"series": [{"type": "Counter"}]}', content_type="text/plain")
    assert (answer.status, Event.objects.count()) == (200, 0)


def test_segments_clients_are_told_to_send_here(site, settings):
    settings.PUBLIC_URL = "https://decide.example/base"
    answer = send(f"/v1/projects/{site.key}/settings", method="GET")
    told = answer.body["integrations"]["Segment.io"]
    assert (told["apiKey"], told["apiHost"], told["protocol"]) == (site.key, "decide.example/base/v1", "https")
    assert list(answer.body["integrations"]) == ["Segment.io"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert send("/v1/projects/dk_wrong/settings", method="GET").status == 401


@pytest.mark.parametrize("path", ["/sourceConfig", "/sourceConfig/"])
def test_rudderstacks_clients_get_a_source_without_destinations(site, path):
    by_header = send(f"{path}?p=npm&v=3", method="GET", authorization=basic(site.key))
    by_query = send(f"{path}?writeKey={site.key}", method="GET")
    assert by_header.body == by_query.body
    source = by_header.body["source"]
    assert (source["enabled"], source["destinations"], source["id"]) == (True, [], site.key[:11])
    assert site.key not in by_header.raw.decode()
    assert send(path, method="GET").status == 401


CLOUD = {"specversion": "1.0", "id": "1", "source": "/s", "type": "Bought", "subject": "u", "data": {"total": 1}}
BINARY = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/s", "ce_type": "Bought", "ce_subject": "u"}


@pytest.mark.parametrize("path", ["/v1/events", "/v1/batch"])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (CLOUD, {"content_type": "application/cloudevents+json; charset=utf-8"}),
        ([CLOUD], {"content_type": "application/cloudevents-batch+json"}),
        (CLOUD["data"], BINARY),
    ],
    ids=["structured", "batch", "binary"],
)
def test_cloudevents_are_taken_in_their_three_forms(site, path, body, headers):
    answer = send(path, json.dumps(body).encode(), x_api_key=site.key, **headers)
    assert (answer.status, answer.body["added"]) == (200, 1)
    stored = Event.objects.get()
    assert (stored.message_id, stored.name, stored.properties) == ("/s 1", "Bought", {"total": 1})


@pytest.mark.parametrize("body", [CLOUD, [CLOUD]], ids=["one", "list"])
def test_cloudevents_sent_as_plain_json_are_told_by_their_address(site, body):
    assert send("/v1/events", json.dumps(body).encode(), x_api_key=site.key).body["added"] == 1


def test_a_binary_cloudevent_that_is_broken_is_refused_with_the_reason(site):
    answer = send("/v1/events", b"{", x_api_key=site.key, **BINARY)
    assert (answer.status, answer.body["code"]) == (400, "not_json")


def test_a_key_that_sends_too_much_is_told_how_long_to_wait(site, settings, monkeypatch):
    moment = [0.0]
    monkeypatch.setattr(intake, "limiter", limits.Limiter(lambda: moment[0]))
    settings.INTAKE_EVENTS_PER_SECOND = 10
    batch = packed(*[event(n) for n in range(35)])
    assert send("/v1/batch", batch, x_api_key=site.key).status == 200
    told = send("/v1/batch", batch, x_api_key=site.key)
    assert (told.status, told.headers["Retry-After"], told.body["code"]) == (429, "3", "too_many")
    moment[0] = 3.0
    assert send("/v1/track", json.dumps(event(99)).encode(), x_api_key=site.key).status == 200


def test_keys_do_not_slow_each_other_down():
    limiter = limits.Limiter(lambda: 0.0)
    assert [limiter.wait("a", 5, 5), limiter.wait("a", 1, 5), limiter.wait("b", 5, 5)] == [0, 1, 0]


def test_without_a_limit_nothing_is_counted():
    limiter = limits.Limiter()
    assert {limiter.wait("a", 10**9, 0) for _ in range(3)} == {0}


def test_without_a_snapshot_nothing_is_taken_and_clients_come_back(site, monkeypatch, tmp_path):
    monkeypatch.setattr(site.holder, "current", None)
    answer = send("/v1/track", json.dumps(event()).encode(), x_api_key=site.key)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


ADDRESSES = ["/v1/batch", "/v1/events", "/v1/t", "/v1/m", "/beacon/v1/batch"]


@pytest.mark.parametrize("path", ADDRESSES)
def test_the_view_and_the_lane_refuse_alike(site, path):
    lane = send(path, b'{"batch": 1}', x_api_key=site.key)
    view = Client().post(path, b'{"batch": 1}', content_type="application/json", headers={"x-api-key": site.key})
    assert (lane.status, lane.raw) == (view.status_code, view.content)


def test_the_view_answers_documents_and_preflights_as_the_lane_does(site):
    path = f"/v1/projects/{site.key}/settings"
    assert Client().get(path).content == send(path, method="GET").raw
    assert Client().get(f"/sourceConfig/?writeKey={site.key}").status_code == 200
    assert Client().options("/v1/batch").status_code == 204


@pytest.mark.parametrize(("method", "path", "use"), [("GET", "/v1/batch", "POST"), ("POST", "/sourceConfig/", "GET")])
def test_another_method_is_told_which_one_to_use(method, path, use):
    answer = Client().generic(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, use)


def test_every_hot_address_is_a_view_as_well(site):
    for path in (*intake.PATHS, doors.DECIDE, doors.OUTCOMES):
        assert Client().post(path, b"{}", content_type="application/json").status_code != 404


def test_an_address_that_is_not_there_is_told_in_the_apis_own_words(site, client):
    for address in ("/v1/batch/", "/v1/merge"):
        answer = client.post(address, b"{}", content_type="application/json")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_address")


def test_what_the_address_said_is_in_the_dead_letter(site):
    body = {"messageId": "m", "userId": "undefined", "event": "Z", "properties": {"type": "book"}}
    send("/v1/track", json.dumps(body).encode(), x_api_key=site.key)
    assert json.loads(bytes(DeadLetter.objects.get().body))["type"] == "track"
