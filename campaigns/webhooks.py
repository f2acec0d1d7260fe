"""A call in, and what was answered to it; the signed CloudEvent to post, and what is to be done next, out. Pure.

Sources: CloudEvents 1.0.2, JSON format in structured mode (https://github.com/cloudevents/spec), Standard Webhooks
(`signing.py`), RFC 9110 (statuses; Retry-After in 10.2.3).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from . import signing
from .models import Call, Webhook
from .posting import Answer, Request

ENTERED: Final = "customer.segment.entered"
LEFT: Final = "customer.segment.left"
TEST: Final = "webhook.test"
TYPES: Final[Mapping[str, str]] = {ENTERED: "entered", LEFT: "left"}
CONTENT_TYPE: Final = "application/cloudevents+json"
FORMER_VALID: Final = timedelta(hours=24)

GONE: Final = 410
# Not about this call: the same again may be taken later. All of 5xx too, and no answer at all.
LATER: Final = frozenset((408, 425, 429))
MOST_ATTEMPTS: Final = 12
MOST_REFUSALS: Final = 3  # of answers that the same call will get again
FIRST_WAIT, GROWTH, LONGEST_WAIT = 5.0, 4.0, 16 * 3600.0
JITTER: Final = 0.2
LONGEST_RETRY_AFTER: Final = 24 * 3600.0

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Next:
    """What follows an attempt: a state, in how many seconds to try again where it is pending, and the problem."""

    state: str
    wait_seconds: float = 0.0
    problem: str = ""
    gone: bool = False


def data_of(customer: str, segment: Mapping[str, str], at: datetime, how: str, by: str) -> dict[str, Any]:
    """The `data` of an entry or exit: who (the customer's key), which segment (key, name), when and why."""
    return {
        "customer": {"id": customer},
        "segment": dict(segment),
        "at": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "reason": {"how": how, "by": by},
    }


def event_of(call_id: str, type_: str, source: str, data: Mapping[str, Any]) -> bytes:
    """The CloudEvent as it is posted: the same bytes in every attempt, so that its id tells a repeat."""
    event: dict[str, Any] = {"specversion": "1.0", "id": call_id, "source": source, "type": type_}
    if customer := data.get("customer"):
        event["subject"] = customer["id"]
    event |= {"time": data["at"], "datacontenttype": "application/json", "data": data}
    return _encode(event)


def request_of(call: Call, source: str, at: datetime) -> Request:
    """The call as it goes out, signed for the real moment `at` with every secret in force then."""
    return signed(call.webhook, str(call.pk), event_of(str(call.pk), call.type, source, call.data), at)


def signed(webhook: Webhook, message_id: str, body: bytes, at: datetime) -> Request:
    """A body to this webhook, with the headers that prove it ours."""
    proof = signing.headers(secrets_of(webhook, at), message_id, int(at.timestamp()), body)
    headers = {"content-type": CONTENT_TYPE, "user-agent": "decisioning-webhooks/1", "accept": "*/*", **proof}
    return Request(webhook.url, headers, body)


def secrets_of(webhook: Webhook, at: datetime) -> Sequence[str]:
    """The secrets in force: for a day after a new one was made the former one signs too."""
    former_counts = webhook.former_secret and webhook.rotated_at and at < webhook.rotated_at + FORMER_VALID
    return (webhook.secret, webhook.former_secret) if former_counts else (webhook.secret,)


def judge(attempts: int, answer: Answer, now: datetime, dice: Callable[[], float]) -> Next:
    """What follows the answer to attempt number `attempts` (from 1) at the real moment `now`.

    `dice` gives a number from 0 to 1. Taken: 2xx. Again later: no answer, 408, 425, 429, 5xx, up to `MOST_ATTEMPTS`
    times within about three days. Gone: 410. Anything else, a redirect too, would be answered the same again: after
    `MOST_REFUSALS` it is given up.
    """
    status = answer.status
    if status is not None and 200 <= status < 300:
        return Next(Call.State.DONE)
    if status == GONE:
        return Next(Call.State.DEAD, problem="410 Gone: the receiver wants no more calls.", gone=True)
    problem = answer.problem or f"Answered {status}."
    lasting = answer.refused or (status is not None and status not in LATER and status < 500)
    if attempts >= (MOST_REFUSALS if lasting else MOST_ATTEMPTS):
        times = f"{attempts} attempt{'s' * (attempts > 1)}"
        return Next(Call.State.DEAD, problem=f"Given up after {times}: {problem}")
    wait = wait_after(attempts, dice)
    if not lasting:
        wait = max(wait, asked_wait(answer.retry_after, now))
    return Next(Call.State.PENDING, wait, problem)


def wait_after(attempts: int, dice: Callable[[], float]) -> float:
    """Seconds to the next attempt: 5, 20, 80 … up to 16 hours, each a fifth more or less by chance.

    By chance, so that the calls of a receiver that was away do not all come back at one moment.
    """
    plain = min(FIRST_WAIT * GROWTH ** (attempts - 1), LONGEST_WAIT)
    return plain * (1 + JITTER * (2 * dice() - 1))


def asked_wait(retry_after: str, now: datetime) -> float:
    """Seconds that a Retry-After header asks for (a number, or a date), at most a day; 0 for none that can be read."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:9]), LONGEST_RETRY_AFTER))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER)
