"""A message about to be sent in; whether the limits on contacts leave room for it, and its place in the ledger, out.

Asked and noted in one script call, so that of any number of senders at once no two take the last place. The ledger's
word counts only while it is whole: what cannot be read, or came back empty, makes messages with a limit wait.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import redis

from campaigns.models import ContactLimit, Message
from campaigns.models.contacts import LONGEST

from .connection import patient
from .contacts import MESSAGE
from .profiles import CONTACTS, CUSTOMER, LONGEST_CAP, SEPARATOR, WHO, member_of, moments_of

# Set once all contacts that PostgreSQL knows of are in Redis; gone with Redis's memory. It has a name of its own
# because it came later than `profiles.READY`: where only that is set, contacts are not there yet.
READY: Final = "contacts:ready"
UNREACHABLE: Final = "Contacts cannot be read: Redis is away. It is sent when Redis is back."
INCOMPLETE: Final = "Contacts are being counted anew, for Redis lost its memory. It is sent once that is done."

# KEYS: is the ledger whole, who is the customer. ARGV: the customer's id, should Redis not know them; now; how long
# messages and contacts are kept (seconds); is it noted or only asked; the message's member; how many limits; of each
# its channel, count and seconds; the contents that come with it. A message is never in its own way.
# Answers: whole, the number of the limit that is reached or 0, how many there were.
ADMIT: Final = """
local whole = redis.call('EXISTS', KEYS[1])
local place = 'contacts:' .. (redis.call('GET', KEYS[2]) or ARGV[1])
local now, member, limits = tonumber(ARGV[2]), ARGV[6], tonumber(ARGV[7])
if limits > 0 and whole == 0 then return {0, 0, 0} end
for at = 1, limits do
    local channel, count, since = ARGV[5 + 3 * at], tonumber(ARGV[6 + 3 * at]), now - ARGV[7 + 3 * at]
    local start = channel == '' and 'm\\31' or 'm\\31' .. channel .. '\\31'
    local found = 0
    for _, one in ipairs(redis.call('ZRANGEBYSCORE', place, '(' .. string.format('%.6f', since), '+inf')) do
        if one ~= member and string.sub(one, 1, #start) == start then found = found + 1 end
    end
    if found >= count then return {whole, at, found} end
end
if ARGV[5] == '1' then
    for _, old in ipairs(redis.call('ZRANGEBYSCORE', place, '-inf', string.format('%.6f', now - ARGV[3]))) do
        if string.byte(old) == 109 then redis.call('ZREM', place, old) end
    end
    redis.call('ZADD', place, ARGV[2], member)
    for at = 8 + 3 * limits, #ARGV do redis.call('ZADD', place, ARGV[2], ARGV[at]) end
    redis.call('ZREMRANGEBYSCORE', place, '-inf', string.format('%.6f', now - ARGV[4]))
    redis.call('EXPIRE', place, ARGV[4])
end
return {whole, 0, 0}
"""
# KEYS: who is the customer. ARGV: the customer's id, should Redis not know them; members that are no contacts.
WITHDRAW: Final = """
redis.call('ZREM', 'contacts:' .. (redis.call('GET', KEYS[1]) or ARGV[1]), unpack(ARGV, 2))
"""


class Unknown(Exception):
    """Nobody can say now how often the customer was contacted; the words say why, and what follows."""


@dataclass(slots=True)
class Admission:
    """The limits as they stand, for one batch of messages. Once Redis did not answer it is not asked again."""

    limits: Sequence[ContactLimit]
    away: str = field(default="", init=False)

    def of(self, message: Message) -> list[ContactLimit]:
        """The limits that hold for a message."""
        campaign = message.campaign
        return [] if campaign.ignores_limits else [one for one in self.limits if one.holds_for(campaign.channel)]

    def check(self) -> str:
        """Why no message with a limit can be sent now; nothing where all is well, or there is no limit."""
        if self.limits and not self.away:
            try:
                self.away = "" if patient().exists(READY) else INCOMPLETE
            except redis.RedisError:
                self.away = UNREACHABLE
        return self.away

    def refusal(self, message: Message, now: datetime) -> str:
        """Why a limit stands against a message; nothing where none does. Raises Unknown where that is not known."""
        limits = self.of(message)
        return self._ask(message, limits, now, ()) if limits else ""

    def admit(self, message: Message, contents: Collection[str], now: datetime) -> str:
        """The same, and where nothing stands against it the message and these capped contents are contacts.

        Raises Unknown also for a message without a limit when it could not be noted: it may be sent all the same.
        """
        return self._ask(message, self.of(message), now, contents_of(message, contents), note=True)

    def withdraw(self, message: Message, contents: Collection[str]) -> None:
        """It did not reach the customer after all. Where Redis is away it goes on counting, which is the safe side."""
        gone = [member(message), *contents_of(message, contents)]
        if not self.away:
            try:
                script = patient().register_script(WITHDRAW)
                script(keys=[who(message)], args=[head(message), *gone])
            except redis.RedisError:
                self.away = UNREACHABLE

    def _ask(
        self, message: Message, limits: Sequence[ContactLimit], now: datetime, extra: Sequence[str], note: bool = False
    ) -> str:
        if self.away:
            raise Unknown(self.away)
        asked: list[str | float] = []
        for one in limits:
            asked += [one.channel, one.count, 3600 * one.hours]
        about: list[str | float] = [
            head(message),
            now.timestamp(),
            LONGEST * 3600,
            LONGEST_CAP,
            int(note),
            member(message),
            len(limits),
        ]
        try:
            script = patient().register_script(ADMIT)
            whole, reached, found = script(keys=[READY, who(message)], args=[*about, *asked, *extra])
        except redis.RedisError as error:
            self.away = UNREACHABLE
            raise Unknown(UNREACHABLE) from error
        if limits and not whole:
            self.away = INCOMPLETE
            raise Unknown(INCOMPLETE)
        return f"Contact limit: {limits[reached - 1]}; the customer had {found}." if reached else ""


def shown_to(customer: int, key: str, since: float) -> dict[str, list[datetime]]:
    """When a customer saw what is capped, for contents of a message. Raises Unknown where that is not known."""
    try:
        whole = patient().exists(READY)
        found: Any = patient().get(WHO.format(CUSTOMER, key))
        place = CONTACTS.format(found.decode() if found else customer)
        rows: Any = patient().zrangebyscore(place, since, "+inf", withscores=True)
    except redis.RedisError as error:
        raise Unknown(UNREACHABLE) from error
    if not whole:
        raise Unknown(INCOMPLETE)
    return moments_of(rows)


def member(message: Message) -> str:
    """The message as a contact: the same however often it is tried."""
    return name_of(message.campaign.channel, message.campaign.key, message.pk)


def name_of(channel: str, campaign: str, message: int) -> str:
    """A message (id) as a member of the ledger."""
    return SEPARATOR.join((MESSAGE, channel, campaign, str(message)))


def contents_of(message: Message, contents: Collection[str]) -> list[str]:
    """The contents of a message as contacts, by the decision that chose them."""
    if message.decision_id is None:
        return []
    return [member_of(message.campaign.channel, key, message.decision_id) for key in contents]


def who(message: Message) -> str:
    """Where Redis says who the customer is by now."""
    return WHO.format(CUSTOMER, message.customer.key)


def head(message: Message) -> int:
    """Who the customer is where Redis does not know: whom they had become part of when the message was taken."""
    return message.customer.merged_into_id or message.customer_id
