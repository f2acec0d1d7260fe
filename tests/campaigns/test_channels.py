"""The e-mail channel against a real SMTP server: what goes over the wire, and what an answer means."""

import smtplib
import socket
from typing import Any

import pytest

from campaigns.channels import (
    EmailChannel,
    Mail,
    Outcome,
    compose,
    judge,
    read_unsubscribe_token,
    unsubscribe_token,
)
from campaigns.models import Campaign
from campaigns.outbox import claim
from campaigns.rendering import Rendered

from .conftest import owe
from .sink import Sink

RENDERED = Rendered("Grüße, Ann", "<p>Hällo</p>", "Hällo")


def mail_to(name: str) -> Mail:
    data = b"Message-ID: <1.a@shop.example>\r\nSubject: x\r\n\r\nHello\r\n"
    return Mail("news@shop.example", f"{name}@mail.example", data)


def test_a_mail_has_both_texts_and_the_headers_of_its_row(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "ann")
    [message] = claim(1)
    with EmailChannel() as channel:
        assert channel.send(compose(message, "ann@mail.example", RENDERED)).outcome is Outcome.ACCEPTED
        assert channel.send(compose(message, "ann@mail.example", RENDERED)).outcome is Outcome.ACCEPTED
    first, second = sink.mails
    assert first["From"] == "Shop <news@shop.example>" and first["To"] == "ann@mail.example"
    assert first["Subject"] == "Grüße, Ann"
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Message-ID"].startswith(f"<{message.pk}.") and first["Message-ID"].endswith("@shop.example>")
    assert first["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = first["List-Unsubscribe"].strip(" <>")
    assert link.startswith("https://shop.example/v1/unsubscribe/")
    assert read_unsubscribe_token(link.rpartition("/")[2]) == (message.customer_id, "email")
    assert [part.get_content().strip() for part in first.iter_parts()] == ["Hällo", "<p>Hällo</p>"]
    assert [part.get_content_type() for part in first.iter_parts()] == ["text/plain", "text/html"]


def test_two_rows_have_two_message_ids(sink: Sink, campaign: Campaign) -> None:
    owe(campaign, "ann", "bob")
    mails = [compose(message, "ann@mail.example", RENDERED).data for message in claim(2)]
    assert len({mail.split(b"Message-ID: ")[1].split(b"\r\n")[0] for mail in mails}) == 2


@pytest.mark.parametrize(
    "address",
    ["", "ann", "ann@", "ann@x.example\r\nBcc: all@x.example", "a b@x.example", "Ann <ann@x.example>"],
)
def test_it_refuses_what_is_no_address(address: str, campaign: Campaign) -> None:
    owe(campaign, "ann")
    [message] = claim(1)
    with pytest.raises(ValueError, match="address"):
        compose(message, address, RENDERED)


def test_a_line_break_cannot_begin_a_header(campaign: Campaign) -> None:
    owe(campaign, "ann")
    [message] = claim(1)
    with pytest.raises(ValueError, match="newlines"):
        compose(message, "ann@x.example", Rendered("Hi\r\nBcc: all@x.example", "<p>x</p>", "x"))


@pytest.mark.parametrize(
    ("name", "outcome", "words"),
    [
        ("ann", Outcome.ACCEPTED, ""),
        ("refused", Outcome.REFUSED, "550 5.1.1 No such mailbox"),
        ("greylisted", Outcome.LATER, "451 4.7.1 Come back later"),
        ("spam", Outcome.REFUSED, "554 5.7.1 Not wanted"),
        ("full", Outcome.LATER, "452 4.2.2 Mailbox full"),
        ("closing", Outcome.UNAVAILABLE, "421 4.3.2 Shutting down"),
        ("odd", Outcome.UNKNOWN, "999 What?"),
        ("silent", Outcome.UNKNOWN, "SMTPServerDisconnected"),
        ("hangup", Outcome.UNKNOWN, "SMTPServerDisconnected"),
        ("cutoff", Outcome.UNAVAILABLE, "SMTPServerDisconnected"),
    ],
)
def test_what_the_server_did_is_what_it_means(
    sink: Sink, settings: Any, name: str, outcome: Outcome, words: str
) -> None:
    settings.EMAIL_TIMEOUT = 2 if name == "silent" else 10
    with EmailChannel() as channel:
        answer = channel.send(mail_to(name))
        assert (answer.outcome, words in answer.reason) == (outcome, True)
        assert channel.send(mail_to("bob")).outcome is Outcome.ACCEPTED


def test_an_unanswered_mail_is_handed_over_once(sink: Sink) -> None:
    with EmailChannel() as channel:
        channel.send(mail_to("ann"))
        assert channel.send(mail_to("hangup")).outcome is Outcome.UNKNOWN
    assert len(sink.mails) == 2


def test_a_batch_uses_one_connection_and_replaces_a_stale_one(sink: Sink) -> None:
    with EmailChannel() as channel:
        for _ in range(3):
            channel.send(mail_to("ann"))
        assert sink.sessions == 1
        sink.drop_connections()
        assert channel.send(mail_to("ann")).outcome is Outcome.ACCEPTED
    assert (sink.sessions, len(sink.mails)) == (2, 4)


def test_a_server_that_is_not_there_is_unavailable(settings: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", unused.getsockname()[1]
        with EmailChannel() as channel:
            answer = channel.open()
            assert answer is not None and answer.outcome is Outcome.UNAVAILABLE
            assert channel.send(mail_to("ann")).outcome is Outcome.UNAVAILABLE


def test_a_server_that_never_greets_is_unavailable(settings: Any) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mute.getsockname()[1]
        settings.EMAIL_TIMEOUT = 0.2
        with EmailChannel() as channel:
            assert channel.send(mail_to("ann")).outcome is Outcome.UNAVAILABLE


def test_a_server_that_does_not_take_our_sender_is_our_trouble(sink: Sink) -> None:
    with EmailChannel() as channel:
        sink.sender_reply = "530 5.7.0 Log in first"
        assert channel.send(mail_to("ann")).outcome is Outcome.UNAVAILABLE
        sink.sender_reply = "550 5.7.1 Not this sender"
        assert channel.send(mail_to("ann")).outcome is Outcome.UNAVAILABLE
        sink.sender_reply = "552 5.3.4 Too large"
        assert channel.send(mail_to("ann")).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("error", "before", "after"),
    [
        (smtplib.SMTPServerDisconnected("gone"), Outcome.UNAVAILABLE, Outcome.UNKNOWN),
        (TimeoutError("timed out"), Outcome.UNAVAILABLE, Outcome.UNKNOWN),
        (ConnectionResetError("reset"), Outcome.UNAVAILABLE, Outcome.UNKNOWN),
        (smtplib.SMTPDataError(-1, b"garbage"), Outcome.UNAVAILABLE, Outcome.UNKNOWN),
        (smtplib.SMTPDataError(251, b"queued"), Outcome.ACCEPTED, Outcome.ACCEPTED),
        (smtplib.SMTPDataError(451, b"later"), Outcome.LATER, Outcome.LATER),
        (smtplib.SMTPDataError(554, b"no"), Outcome.REFUSED, Outcome.REFUSED),
        (smtplib.SMTPAuthenticationError(535, b"no"), Outcome.UNAVAILABLE, Outcome.UNAVAILABLE),
        (smtplib.SMTPNotSupportedError("SMTPUTF8"), Outcome.REFUSED, Outcome.REFUSED),
        (UnicodeEncodeError("ascii", "ä", 0, 1, "no"), Outcome.REFUSED, Outcome.UNKNOWN),
    ],
)
def test_an_error_means_what_the_stage_makes_of_it(error: Exception, before: Outcome, after: Outcome) -> None:
    assert judge(error, handed_over=False).outcome is before
    assert judge(error, handed_over=True).outcome is after


def test_a_token_is_read_back_and_a_forged_one_is_not() -> None:
    token = unsubscribe_token(12, "email")
    assert read_unsubscribe_token(token) == (12, "email")
    payload, _, signature = token.rpartition(".")
    other = unsubscribe_token(13, "email").rpartition(".")[0]
    for forged in ("", "x", payload, f"{other}.{signature}", token + "x", token.upper()):
        with pytest.raises(ValueError, match="unsubscribe link"):
            read_unsubscribe_token(forged)
