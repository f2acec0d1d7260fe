"""One call over a real connection: bounded in time and size, to the judged address and to no other."""

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from campaigns import posting
from campaigns.addresses import Limits
from campaigns.posting import SHOWN, Answer, Bounds, Poster, Request

from .receiver import Receiver, Say

HERE = Limits(strict=False)
PATIENT, QUICK = Bounds(), Bounds(total=1.0, body=0.3)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def post(url: str, limits: Limits = HERE, bounds: Bounds = PATIENT, found: Sequence[str] | None = None) -> Answer:
    """What comes of one call; `found` are the addresses that any name has."""
    with Poster(limits, bounds) as poster:
        if found is not None:
            poster.resolve = lambda host, port: found
        return poster.post(Request(url, {"webhook-id": "1", "cookie-test": "no"}, b'{"a":1}')).result(20)


def test_the_answer_and_what_was_sent(receiver: Receiver) -> None:
    receiver.says("/", Say(202, b"thanks", {"retry-after": "9"}))
    answer = post(receiver.url())
    assert (answer.status, answer.text, answer.retry_after, answer.problem) == (202, "thanks", "9", "")
    [got] = receiver.got
    assert (got.body, got.headers["host"]) == (b'{"a":1}', f"127.0.0.1:{receiver.port}")


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.says("/", Say(302, b"", {"location": receiver.url("/inside")}))
    assert post(receiver.url()).status == 302
    assert [one.path for one in receiver.got] == ["/"]


def test_cookies_are_not_kept(receiver: Receiver) -> None:
    receiver.says("/", Say(200, b"", {"set-cookie": "session=1"}))
    with Poster(HERE) as poster:
        for _ in range(2):
            poster.post(Request(receiver.url(), {}, b"")).result(20)
    assert [one.headers.get("cookie") for one in receiver.got] == [None, None]


def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post(receiver.url()).status == 200


def test_a_head_that_drips_ends_with_the_time(receiver: Receiver) -> None:
    receiver.says("/", Say(200, drip_head=0.2))
    answer = post(receiver.url(), bounds=QUICK)
    assert (answer.status, answer.problem) == (None, "No answer within 1 s.")


def test_a_text_that_drips_is_cut_and_the_answer_counts(receiver: Receiver) -> None:
    receiver.says("/", Say(200, b"x" * 100, drip_text=0.05))
    answer = post(receiver.url(), bounds=QUICK)
    assert answer.status == 200
    assert 0 < len(answer.text) < 100


def test_a_huge_text_is_read_as_far_as_allowed(receiver: Receiver) -> None:
    receiver.says("/", Say(200, b"y" * 50_000_000))
    answer = post(receiver.url(), bounds=Bounds(read=64 * 1024))
    assert (answer.status, answer.text) == (200, "y" * SHOWN)


def test_a_packed_text_is_not_unpacked(receiver: Receiver) -> None:
    receiver.says("/", Say(200, b"\x1f\x8b-not really", {"content-encoding": "gzip"}))
    assert post(receiver.url()).text.endswith("-not really")


@pytest.mark.parametrize("say", [Say(hang_up=True), Say(text=b"", headers={"x": "y\r\nbroken"})])
def test_a_connection_that_ends_without_an_answer_is_a_problem_in_words(receiver: Receiver, say: Say) -> None:
    receiver.says("/", say)
    answer = post(receiver.url())
    assert (answer.status, answer.refused) == (None, False)
    assert "ProtocolError" in answer.problem or "ReadError" in answer.problem


def test_nobody_there_is_a_problem_in_words() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "ConnectError" in post(f"http://127.0.0.1:{port}/").problem


def test_the_next_address_is_tried_where_the_first_is_not_reached(receiver: Receiver) -> None:
    assert post(receiver.url(host="hooks.example"), found=["127.0.0.77", "127.0.0.1"]).status == 200


def test_the_connection_goes_to_the_judged_address_in_the_name_of_the_host(receiver: Receiver) -> None:
    assert post(receiver.url("/a?b=1", "hooks.example"), found=["127.0.0.1"]).status == 200
    [got] = receiver.got
    assert (got.path, got.headers["host"]) == ("/a?b=1", f"hooks.example:{receiver.port}")


def test_a_name_that_changes_its_address_reaches_nothing(receiver: Receiver) -> None:
    """DNS rebinding: public when it was saved, this machine when it is called; and asked for once a call."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    limits = Limits(strict=True, private=("only.internal",))
    with Poster(limits, PATIENT, rebinding) as poster:
        answer = poster.post(Request(receiver.url(host="hooks.example").replace("http:", "https:"), {}, b"")).result(20)
    assert (answer.status, answer.refused, asked) == (None, True, ["hooks.example"])
    assert "hooks.example is at 127.0.0.1" in answer.problem
    assert receiver.got == []


def test_a_slow_resolver_ends_with_the_time(receiver: Receiver) -> None:
    slow = threading.Event()

    def resolver(host: str, port: int) -> list[str]:
        slow.wait(10)
        return ["127.0.0.1"]

    with Poster(HERE, QUICK, resolver) as poster:
        answer = poster.post(Request(receiver.url(host="hooks.example"), {}, b"")).result(20)
        slow.set()
    assert (answer.problem, receiver.got) == ("No answer within 1 s.", [])


def certificate(folder: Path, name: str) -> Path:
    """A certificate that this name signed for itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_https_asks_for_the_certificate_of_the_name_and_not_of_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = certificate(tmp_path, "hooks.example")
    monkeypatch.setattr(posting, "_contexts", [ssl.create_default_context(cafile=str(trusted))])
    with Receiver(trusted) as receiver:
        assert post(receiver.url(host="hooks.example"), found=["127.0.0.1"]).status == 200
        for other in ("other.example", "127.0.0.1"):
            answer = post(receiver.url(host=other), found=["127.0.0.1"])
            assert (answer.status, "CERTIFICATE_VERIFY_FAILED" in answer.problem) == (None, True)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with Receiver(certificate(tmp_path, "hooks.example")) as receiver:
        answer = post(receiver.url(host="hooks.example"), found=["127.0.0.1"])
        assert "CERTIFICATE_VERIFY_FAILED" in answer.problem
        assert receiver.got == []


def test_two_hosts_at_one_address_share_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = certificate(tmp_path, "hooks.example")
    monkeypatch.setattr(posting, "_contexts", [ssl.create_default_context(cafile=str(trusted))])
    with Receiver(trusted) as receiver, Poster(HERE, PATIENT, lambda host, port: ["127.0.0.1"]) as poster:
        first, second = (
            poster.post(Request(receiver.url(host=host), {}, b"")).result(20)
            for host in ("hooks.example", "other.example")
        )
        assert (first.status, second.status) == (200, None)
        assert len(receiver.got) == 1
