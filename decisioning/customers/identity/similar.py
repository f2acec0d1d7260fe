"""People with names and addresses in; pairs who may be one person, with a score and reasons, out. Pure.

Only people who share a key (an e-mail's local part, the end of a phone number, the sound of a name in one postcode, a
house) are compared, so the work grows with the number of people and not with its square. Nothing is ever merged by a
likeness: a pair is a proposal.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from rapidfuzz import fuzz
from rapidfuzz.distance import DamerauLevenshtein

# How sure one likeness alone makes us; together they count as independent witnesses (a "noisy or": J. Pearl,
# "Probabilistic Reasoning in Intelligent Systems", 1988, section 4.3).
SAME_MAILBOX = 0.9  # dots and tags aside it is one mailbox; only a family shares one
SAME_PHONE = 0.7  # households and offices share numbers
SAME_LOCAL_PART = 0.5  # people keep their name at another provider, and namesakes exist
TYPO_IN_EMAIL = 0.6  # one wrong letter in a whole address
LIKE_NAME = 0.6  # namesakes are common: a name alone is never enough
LIKE_ADDRESS = 0.6  # nor is a house
# Different names at one phone or house are a family more often than a person who changed name.
OTHER_NAME = 0.5
# Two witnesses of which one is a name, a house or a number reach this; none of those does alone.
PROPOSED = 0.8
# Below the first a name is another one, from the second on it is alike, by the word that fits worst. "Jon Smith" and
# "John Smyth" score 0.80, "Katherine Jones" and "Catherine Jones" 0.89; "Jane Doe" and "John Doe" 0.50.
NAME_DIFFERS, NAME_ALIKE = 0.6, 0.78
INITIAL, ONE_WORD = 0.9, 0.7
# Of addresses with the same numbers: "Main Street" and "Main St" score 1, with a typo 0.95, "Oak Street" 0.8.
ADDRESS_ALIKE = 0.88
# A local part that names an office, or is shorter, names nobody.
SHORTEST_LOCAL_PART = 5
OFFICES = frozenset(("admin", "contact", "hello", "info", "mail", "office", "sales", "service", "shop", "support"))
PHONE_TAIL = 8  # digits: country and trunk prefixes are written in many ways, the end is not
LARGEST_BLOCK = 30
WINDOW = 8

GOOGLE = frozenset(("gmail.com", "googlemail.com"))
POSTCODE = re.compile(r"\b(?:\d{4,6}|[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2})\b")
HOUSE = re.compile(r"\b\d{1,4}[a-z]?\b")
SHORT = {"street": "st", "strasse": "str", "avenue": "ave", "road": "rd", "drive": "dr", "lane": "ln", "square": "sq"}
SOUNDS = str.maketrans("bfpvcgjkqsxzdtlmnr", "111122222222334556")


@dataclass(frozen=True, slots=True)
class Person:
    """What a customer is called and where they live, as free text; "" is unknown."""

    customer_id: int
    name: str = ""
    email: str = ""
    phone: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two customers who may be one person: `one` < `other`, the score from 0 to 1, and why, in plain sentences."""

    one: int
    other: int
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Plain:
    """A person as compared: without case, accents, punctuation."""

    person: Person
    name: tuple[str, ...]
    mailbox: str
    local: str
    tail: str
    address: str
    street: str
    numbers: tuple[str, ...]


def pairs(people: Iterable[Person]) -> list[Pair]:
    """Everybody who may be somebody else as well, the surest first."""
    plain = [_plain(person) for person in people]
    found = (_compare(plain[one], plain[other]) for one, other in _candidates(plain))
    return sorted((pair for pair in found if pair), key=lambda pair: (-pair.score, pair.one, pair.other))


def mailbox(email: str) -> str:
    """Where an e-mail ends up: without tags, and without dots where the provider ignores them. Only for comparison."""
    local, _, domain = email.strip().casefold().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in GOOGLE:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}" if local and domain else ""


def _plain(person: Person) -> _Plain:
    box = mailbox(person.email)
    local = re.sub(r"[._-]", "", box.partition("@")[0])
    digits = re.sub(r"\D", "", person.phone)
    named = len(local) >= SHORTEST_LOCAL_PART and local not in OFFICES
    tail = digits[-PHONE_TAIL:] if len(digits) >= PHONE_TAIL else ""
    name, address = _folded(person.name), _folded(person.address)
    words = [SHORT.get(word, word) for word in address.split()]
    street = " ".join(sorted(word for word in words if not word[0].isdigit()))
    numbers = tuple(sorted(word for word in words if word[0].isdigit()))
    return _Plain(person, tuple(sorted(name.split())), box, local if named else "", tail, address, street, numbers)


def _folded(text: str) -> str:
    """Lower-case letters and digits of the Latin alphabet's base, words separated by one space."""
    if not text.isascii():
        text = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return " ".join(re.findall(r"\w+", text.casefold()))


def _keys(one: _Plain) -> Iterator[tuple[str, str]]:
    """What this person is looked up by."""
    if one.mailbox:
        yield "mailbox", one.mailbox
    if one.local:
        yield "local", one.local
    if one.tail:
        yield "phone", one.tail
    postcode = POSTCODE.search(one.address)
    if postcode is None:
        if one.name and one.address:
            yield "name and place", f"{' '.join(one.name)}|{one.address[:4]}"
        return
    where = postcode[0].replace(" ", "")
    if one.name:
        yield "sound", " ".join(sorted(map(_sound, one.name))) + where
    house = HOUSE.search(one.address.replace(postcode[0], ""))
    if house:
        yield "house", f"{house[0]} {where}"


def _sound(word: str) -> str:
    """American Soundex, the coding of the U.S. census: https://www.archives.gov/research/census/soundex."""
    kept = word[0] + word[1:].replace("h", "").replace("w", "")
    codes = [code if code.isdigit() else "" for code in kept.translate(SOUNDS)]
    heard = [code for before, code in pairwise(codes) if code and code != before]
    return (word[0] + "".join(heard) + "000")[:4]


def _candidates(plain: Sequence[_Plain]) -> set[tuple[int, int]]:
    """Places of pairs worth comparing. In a large block only neighbours by name are.

    Source of the latter: M. Hernández and S. Stolfo, "The Merge/Purge Problem for Large Databases", SIGMOD 1995.
    """
    blocks: dict[tuple[str, str], list[int]] = {}
    for place, one in enumerate(plain):
        for key in _keys(one):
            blocks.setdefault(key, []).append(place)
    found: set[tuple[int, int]] = set()
    for block in blocks.values():
        if len(block) <= LARGEST_BLOCK:
            found.update(combinations(block, 2))
        else:
            found.update(_neighbours(sorted(block, key=lambda place: plain[place].name)))
    return found


def _neighbours(ordered: Sequence[int]) -> Iterator[tuple[int, int]]:
    for step in range(1, WINDOW + 1):
        for one, other in zip(ordered, ordered[step:], strict=False):
            yield min(one, other), max(one, other)


def _compare(one: _Plain, other: _Plain) -> Pair | None:
    """The pair, if it is sure enough to be proposed."""
    ids = sorted((one.person.customer_id, other.person.customer_id))
    if ids[0] == ids[1]:
        return None
    if one.person.customer_id != ids[0]:
        one, other = other, one
    alike = _by_name(one.name, other.name)
    witnesses = [found for found in (_by_mail(one, other), _by_phone(one, other), _by_address(one, other)) if found]
    if alike is not None and alike >= NAME_ALIKE:
        text = f"The names are alike ({alike:.0%}): {one.person.name} and {other.person.name}."
        witnesses.append((LIKE_NAME * alike, text))
    doubt = 1.0
    for weight, _ in witnesses:
        doubt *= 1 - weight
    score, reasons = 1 - doubt, [text for _, text in witnesses]
    if alike is not None and alike < NAME_DIFFERS:
        score *= OTHER_NAME
        reasons.append(f"But the names differ: {one.person.name} and {other.person.name}.")
    return Pair(ids[0], ids[1], round(score, 3), tuple(reasons)) if score >= PROPOSED else None


def _by_name(one: Sequence[str], other: Sequence[str]) -> float | None:
    """How well the worst word of the shorter name fits, 0 to 1; None where a name is missing."""
    few, many = (one, other) if len(one) <= len(other) else (other, one)
    if not few:
        return None
    alike = min(max(_by_word(word, there) for there in many) for word in few)
    # "Meyer" may be any of the Meyers.
    return min(alike, ONE_WORD) if len(few) == 1 < len(many) else alike


def _by_word(one: str, other: str) -> float:
    if len(one) == 1 or len(other) == 1:
        return 1.0 if one == other else INITIAL if one[0] == other[0] else 0.0
    return fuzz.ratio(one, other) / 100


def _by_mail(one: _Plain, other: _Plain) -> tuple[float, str] | None:
    both = f"{one.person.email} and {other.person.email}"
    if not (one.mailbox and other.mailbox):
        return None
    if one.mailbox == other.mailbox:
        same = one.person.email.casefold() == other.person.email.casefold()
        return SAME_MAILBOX, f"The same e-mail{'' if same else ', dots and tags aside'}: {both}."
    if one.local and one.local == other.local:
        return SAME_LOCAL_PART, f"The e-mails differ only after the @ or in punctuation: {both}."
    if DamerauLevenshtein.distance(one.mailbox, other.mailbox, score_cutoff=1) == 1:
        return TYPO_IN_EMAIL, f"The e-mails differ by one letter: {both}."
    return None


def _by_phone(one: _Plain, other: _Plain) -> tuple[float, str] | None:
    if not one.tail or one.tail != other.tail:
        return None
    return SAME_PHONE, f"The phone numbers end alike: {one.person.phone} and {other.person.phone}."


def _by_address(one: _Plain, other: _Plain) -> tuple[float, str] | None:
    if not one.street or one.numbers != other.numbers:
        return None
    alike = fuzz.ratio(one.street, other.street) / 100
    if alike < ADDRESS_ALIKE:
        return None
    return (
        LIKE_ADDRESS * alike,
        f"The addresses are alike ({alike:.0%}): {one.person.address} and {other.person.address}.",
    )
