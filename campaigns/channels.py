"""A rendered message in; one hand-over to the mail server, and honestly what became of it, out.

Plain SMTP has no key that would let a server recognise a repeat. So each hand-over is tried once, and a
connection that ends after the text was given to it leaves the outcome unknown.
Sources: RFC 5321 (replies), RFC 5322 (messages), RFC 8058 (one-click unsubscribe).
"""

import hashlib
import smtplib
from dataclasses import dataclass
from email.utils import parseaddr
from enum import Enum
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import sanitize_address
from django.core.signing import BadSignature, Signer
from django.core.validators import validate_email

from .models import Message
from .rendering import Rendered

# Not about the message: the server is closing, or wants another log-in. Any message would get this answer.
OUR_TROUBLE = (421, 530, 534, 535, 538)
TOO_LARGE = 552
_signer = Signer(salt="campaigns.unsubscribe", sep=".")


class Outcome(Enum):
    """What became of a hand-over."""

    ACCEPTED = "accepted"
    REFUSED = "refused for good"
    LATER = "refused for now"
    UNAVAILABLE = "mail server unavailable; it got nothing"
    UNKNOWN = "may have been accepted"


class Answer(NamedTuple):
    """An outcome with the server's own words, or the connection's end, as the reason."""

    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as it goes over the wire: envelope sender and recipient, and RFC 5322 bytes."""

    sender: str
    recipient: str
    data: bytes


def compose(message: Message, recipient: str, rendered: Rendered) -> Mail:
    """The e-mail of an outbox row. Raises ValueError for an address or header that must not be sent."""
    try:
        validate_email(recipient)
    except ValidationError:
        raise ValueError("The customer's e-mail address is not an address; correct it.") from None
    headers = {
        "Message-ID": message_id(message),
        "List-Unsubscribe": f"<{unsubscribe_url(message.customer_id, message.campaign.channel)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    if message.decision_id:
        headers["X-Decision-Id"] = str(message.decision_id)
    mail = EmailMultiAlternatives(rendered.subject, rendered.text, to=[recipient], headers=headers)
    mail.attach_alternative(rendered.html, "text/html")
    sender = sanitize_address(mail.from_email, settings.DEFAULT_CHARSET)
    address = sanitize_address(recipient, settings.DEFAULT_CHARSET)
    data = mail.message().as_bytes(linesep="\r\n")  # type: ignore[call-arg]
    return Mail(parseaddr(sender)[1], address, data)


def message_id(message: Message) -> str:
    """The same for every attempt to send this row, so that a mailbox can drop a repeat; it names nobody."""
    parts = (message.campaign_id, message.customer_id, message.trigger_key, message.step, message.created_at)
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{message.pk}.{digest}@{domain}>"


def unsubscribe_url(customer_id: int, channel: str) -> str:
    """Where a customer withdraws consent for one channel, without logging in."""
    return f"{settings.PUBLIC_URL}/v1/unsubscribe/{quote(unsubscribe_token(customer_id, channel))}"


def unsubscribe_token(customer_id: int, channel: str) -> str:
    """Signed, for this purpose alone, and without an end: a link in an old message must work."""
    return _signer.sign_object([customer_id, channel])


def read_unsubscribe_token(token: str) -> tuple[int, str]:
    """Customer and channel of a token. Raises ValueError for one that we did not sign."""
    try:
        customer_id, channel = _signer.unsign_object(token)
    except (BadSignature, ValueError, TypeError) as error:
        raise ValueError("This is none of our unsubscribe links; open it from the message again.") from error
    return int(customer_id), str(channel)


class _Tracked:
    """Mixed into smtplib's classes: notes when the text goes out; an answer lost after that means unknown."""

    handed_over = False

    def send(self, s: Any) -> None:
        # Commands are `str`; only the text, which ends the transaction with its dot, is bytes.
        if isinstance(s, bytes) and s.endswith(b"\r\n.\r\n"):
            self.handed_over = True
        super().send(s)  # type: ignore[misc]


class _TrackedSMTP(_Tracked, smtplib.SMTP):
    pass


class _TrackedSMTPS(_Tracked, smtplib.SMTP_SSL):
    pass


class _Backend(EmailBackend):
    """Django's SMTP backend (its settings, TLS and log-in) over a connection that knows how far it came."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _TrackedSMTPS if self.use_ssl else _TrackedSMTP


class EmailChannel:
    """One connection for a batch, opened when first needed and again after it was lost."""

    def __init__(self) -> None:
        self._backend = _Backend()
        self._used = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drop()

    def open(self) -> Answer | None:
        """Have a connection; else why there is none (`UNAVAILABLE`: nothing was handed over)."""
        try:
            if self._backend.open():
                self._used = False
        except (smtplib.SMTPException, OSError) as error:
            return Answer(Outcome.UNAVAILABLE, _words(error))
        return None

    def send(self, mail: Mail) -> Answer:
        """Hand over one mail. A connection that went stale between two mails is replaced, once."""
        if trouble := self.open():
            return trouble
        stale = self._used
        answer = self._hand_over(mail)
        if answer.outcome is Outcome.UNAVAILABLE and stale:
            answer = self.open() or self._hand_over(mail)
        return answer

    def _hand_over(self, mail: Mail) -> Answer:
        connection: Any = self._backend.connection
        connection.handed_over = False
        self._used = True
        try:
            connection.sendmail(mail.sender, [mail.recipient], mail.data)
            return Answer(Outcome.ACCEPTED)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            answer = judge(error, connection.handed_over)
        if connection.sock is None or answer.outcome in (Outcome.UNAVAILABLE, Outcome.UNKNOWN):
            self._drop()
        return answer

    def _drop(self) -> None:
        """End the connection; one that is broken already has nothing more to say."""
        try:
            self._backend.close()
        except (smtplib.SMTPException, OSError):
            self._backend.connection = None


def judge(error: Exception, handed_over: bool) -> Answer:
    """What an error of smtplib means for the mail; `handed_over` says whether its text went out before."""
    lost = Outcome.UNKNOWN if handed_over else Outcome.UNAVAILABLE
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return Answer(_by_code(code, lost), _reply(code, text))
    if isinstance(error, smtplib.SMTPSenderRefused) and error.smtp_code != TOO_LARGE:
        return Answer(Outcome.UNAVAILABLE, _words(error))
    if isinstance(error, smtplib.SMTPResponseException):
        return Answer(_by_code(error.smtp_code, lost), _words(error))
    for kind, outcome in (
        (smtplib.SMTPServerDisconnected, lost),
        (smtplib.SMTPNotSupportedError, Outcome.REFUSED),  # an address that needs what the server has not
        (smtplib.SMTPException, lost),
        (OSError, lost),
        (ValueError, Outcome.UNKNOWN if handed_over else Outcome.REFUSED),
    ):
        if isinstance(error, kind):
            return Answer(outcome, _words(error))
    raise error


def _by_code(code: int, lost: Outcome) -> Outcome:
    """RFC 5321, 4.2.1: 2 is yes, 4 not now, 5 no; anything else is no answer at all."""
    if code in OUR_TROUBLE:
        return Outcome.UNAVAILABLE
    return {2: Outcome.ACCEPTED, 4: Outcome.LATER, 5: Outcome.REFUSED}.get(code // 100, lost)


def _reply(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}"


def _words(error: Exception) -> str:
    """The error in words that fit a row; the server's own, where it answered."""
    if isinstance(error, smtplib.SMTPResponseException):
        return _reply(error.smtp_code, error.smtp_error)
    return " ".join(f"{type(error).__name__}: {error}".split())
