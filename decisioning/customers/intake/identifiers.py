"""An event's fields in; what its customer is known by, the strongest first, out. Pure.

Kinds, strongest first: user_id, loyalty_id, email, phone, device_id, anonymous_id. What thousands of visitors would
share ("undefined", "guest", an advertising id of zeros) names nobody and is passed over.
"""

import re
from typing import Any

from .strict import Unfit

Pair = tuple[str, str]

KINDS = ("user_id", "loyalty_id", "email", "phone", "device_id", "anonymous_id")
LONGEST = 200
# What programs send when they meant nobody, compared without case.
NOBODY = frozenset(
    {"-1", "anonymous", "distinct_id", "distinctid", "email", "false", "guest", "id", "n/a", "nan", "nil", "nobody"}
    | {"none", "not-authenticated", "not_authenticated", "notauthenticated", "null", "true", "undefined", "unknown"}
    | {"user_id", "userid", "[]", "?", "*", "[object object]"}
)
# Nothing but these: "0", an all-zero UUID, "{}", "-".
EMPTY = frozenset("0-.:{}")
WORDY = max(map(len, NOBODY)) + 2
LEADING = frozenset("0-.:{} \t\r\n'\"")
EMAIL = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+\.[^@\s<>,;\".]+")
# Source: ITU-T E.164, at most 15 digits after the plus.
PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_BETWEEN = str.maketrans("", "", " \t\u00a0().-/")


def names_nobody(value: str) -> bool:
    """Whether this identifier is one of those that programs send by mistake."""
    if len(value) > WORDY and value[0] not in LEADING:
        return False
    plain = value.strip(" \t\r\n'\"").casefold()
    return not plain or plain in NOBODY or EMPTY.issuperset(plain)


def email(value: str) -> str:
    """Trimmed, without case; "" when it is no address."""
    plain = value.strip().casefold()
    return plain if EMAIL.fullmatch(plain) else ""


def phone(value: str) -> str:
    """In E.164 ("+4917012345678"); "" without a plus, since the country is unknown then."""
    plain = value.strip().replace("(0)", "").translate(_BETWEEN)
    return plain if PHONE.fullmatch(plain) else ""


def found(
    user_id: str, anonymous_id: str, traits: dict[str, Any] | None, context: dict[str, Any] | None
) -> tuple[Pair, ...]:
    """Identifiers of one event, one of a kind; `traits` are those of an identify call. Raises Unfit for overlong."""
    if not traits and not (context and ("traits" in context or "device" in context or "externalIds" in context)):
        ids = (("user_id", user_id), ("anonymous_id", anonymous_id))
        return tuple([pair for pair in ids if pair[1] and not names_nobody(pair[1])])
    given: dict[str, str] = {}
    _add(given, "user_id", user_id)
    _add(given, "anonymous_id", anonymous_id)
    _add_traits(given, traits)
    if context:
        _add_traits(given, context.get("traits"))
        device = context.get("device")
        if type(device) is dict:
            _add(given, "device_id", device.get("id"))
        others = context.get("externalIds")
        for other in others if type(others) is list else ():
            if type(other) is dict and other.get("type") in KINDS:
                _add(given, other["type"], other.get("id"))
    return tuple([(kind, given[kind]) for kind in KINDS if kind in given])


def _add_traits(given: dict[str, str], traits: Any) -> None:
    if type(traits) is dict:
        _add(given, "loyalty_id", traits.get("loyalty_id") or traits.get("loyaltyId"))
        _add(given, "email", traits.get("email"))
        _add(given, "phone", traits.get("phone"))


def _add(given: dict[str, str], kind: str, value: Any) -> None:
    """The first of a kind counts; `given` gets nothing for what names nobody."""
    if value and kind not in given and (value := usable(kind, value)):
        given[kind] = value


def usable(kind: str, value: Any) -> str:
    """The value as it is compared; "" for what names nobody. Raises Unfit for an overlong one."""
    if type(value) is int:
        value = str(value)
    if type(value) is not str or names_nobody(value):
        return ""
    if len(value) > LONGEST:
        raise Unfit("invalid_field", f"The {kind} is longer than {LONGEST} characters.")
    return email(value) if kind == "email" else phone(value) if kind == "phone" else value
