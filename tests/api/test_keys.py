"""Keys at every hot address: who may do what, until when, and what strangers try."""

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from decisioning.api import doors, intake
from decisioning.api import keys as checking
from decisioning.flows.contract import Refused
from decisioning.models import ApiKey
from decisioning.store import keys, snapshot

from ..flows.conftest import *  # noqa: F403  (the same small site)
from .ringed import *  # noqa: F403
from .test_intake import send

DAY = timedelta(days=1)
ASK = {"customer_id": "c-1", "placements": ["hero"]}
EVENT = {"type": "track", "messageId": "m", "userId": "u", "event": "Clicked"}
NEEDED = {
    doors.DECIDE: "decide",
    doors.MANY: "decide",
    doors.OUTCOMES: "track",
    **dict.fromkeys(sorted(set(intake.PATHS) - {intake.METRICS}), "track"),
}


def now() -> datetime:
    return datetime.now(UTC)


def code(path: str, key: str, body: Any = None, **headers: str) -> tuple[int, str]:
    """The status, and the error's code or "" where it is about something else than the key."""
    answer = send(path, json.dumps(body or {}).encode(), authorization=f"Bearer {key}", **headers)
    error = answer.body.get("error", {}).get("code", "")
    refusals = ("no_key", "wrong_key", "expired_key", "wrong_scope", "wrong_origin", "too_many")
    return answer.status, error if error in refusals else ""


@pytest.mark.parametrize("path", NEEDED)
@pytest.mark.parametrize("scope", keys.SCOPES)
def test_a_key_opens_what_its_scope_is_for_and_nothing_else(new_key, path, scope):
    status, error = code(path, new_key(scope))
    if scope == NEEDED[path]:
        assert error == ""
    else:
        assert (status, error) == (403, "wrong_scope")


@pytest.mark.parametrize(
    ("held", "scope", "may"),
    [
        ("manage", "read", True),
        ("manage", "lists", True),
        ("manage", "manage", True),
        ("manage", "decide", False),
        ("manage", "track", False),
        ("lists", "read", False),
        ("read", "manage", False),
        ("decide", "manage", False),
    ],
)
def test_only_managing_includes_other_scopes(held, scope, may):
    assert checking.may((held,), scope) is may


def test_the_right_prefix_with_another_secret_is_refused_like_a_prefix_that_nobody_has(new_key):
    whole = new_key()
    other = new_key()
    told = set()
    for wrong in (f"{whole[:11]}_{other[12:]}", whole[:-1], whole + "x", whole.upper(), "dk_00000000_" + whole[12:]):
        with pytest.raises(Refused) as refused:
            checking.admit(wrong, None, "decide", now())
        told.add((refused.value.status, refused.value.code, refused.value.message))
    assert len(told) == 1


def test_every_key_is_compared_in_constant_time_known_prefix_or_not(new_key, monkeypatch):
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    for whole in (new_key(), "dk_00000000_unknown"):
        try:
            checking.admit(whole, None, "decide", now())
        except Refused:
            assert whole.endswith("unknown")
    assert [(len(a), len(b)) for a, b in compared] == [(64, 64), (64, 64)]


@pytest.mark.parametrize(
    "whole", ["dk_" + "0" * 64, checking.NOBODY, "é" * 44, "\ud800" * 20, "\x00" * 20, "x" * 10_000]
)
def test_no_text_that_is_no_key_gets_in_or_causes_an_error(ring, whole):
    with pytest.raises(Refused) as refused:
        checking.admit(whole, None, "decide", now())
    assert refused.value.code == "wrong_key"


def test_a_key_ends_at_its_moment_without_any_change_of_the_database(new_key):
    whole = new_key(expires_at=now() + DAY)
    assert checking.admit(whole, None, "decide", now()).prefix == whole[:11]
    with pytest.raises(Refused) as refused:
        checking.admit(whole, None, "decide", now() + 2 * DAY)
    assert (refused.value.status, refused.value.code) == (401, "expired_key")


def test_a_key_that_is_switched_off_is_refused_though_the_snapshot_still_has_it(site, ring):
    assert code("/v1/decide", site.key, ASK)[0] == 200
    ApiKey.objects.update(active=False)
    ring.look()
    assert site.key[:11] in site.holder.current.keys
    assert code("/v1/decide", site.key, ASK) == (401, "wrong_key")


def test_a_deleted_key_is_refused(site, ring):
    ApiKey.objects.all().delete()
    ring.look()
    assert code("/v1/decide", site.key, ASK) == (401, "wrong_key")


def test_a_key_made_before_keys_had_origins_and_limits_goes_on_working(site, ring):
    row = ApiKey.objects.get()
    assert (row.origins, row.decide_rate, row.event_rate) == ([], None, None)
    assert code("/v1/decide", site.key, ASK)[0] == code("/v1/track", site.key, EVENT)[0] == 200


def test_both_keys_work_while_they_overlap_and_then_only_the_new_one(new_key, ring):
    old = new_key("decide", origins=["https://shop.example"], decide_rate=7)
    row, new = keys.rotate(ApiKey.objects.get(prefix=old[:11]).pk, DAY, now())
    ring.look()
    for moment, alive in ((now(), [old, new]), (now() + 2 * DAY, [new])):
        for whole in (old, new):
            if whole in alive:
                found = checking.admit(whole, None, "decide", moment)
                assert (found.origins, found.decide_rate) == (("https://shop.example",), 7)
            else:
                with pytest.raises(Refused, match="expired"):
                    checking.admit(whole, None, "decide", moment)
    assert (row.predecessor.prefix, row.name, row.scopes) == (old[:11], "made", ["decide"])


def test_without_an_overlap_the_former_key_ends_at_once(new_key, ring):
    old = new_key()
    keys.rotate(ApiKey.objects.get(prefix=old[:11]).pk, timedelta(0), now())
    ring.look()
    assert code("/v1/decide", old, ASK) == (401, "expired_key")


def test_an_overlap_never_lengthens_a_keys_life_and_the_successor_lives_as_long(new_key):
    moment = now()
    key, _ = keys.create("short", ["decide"], expires_at=moment + DAY)
    key.refresh_from_db()
    new, _ = keys.rotate(key.pk, 30 * DAY, moment)
    key.refresh_from_db()
    assert key.expires_at == moment + DAY
    assert abs(new.expires_at - (moment + DAY)) < timedelta(minutes=1)


@pytest.mark.parametrize("spoil", [{"active": False}, {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}])
def test_a_key_that_is_not_in_force_is_not_rotated(site, spoil):
    ApiKey.objects.update(**spoil)
    with pytest.raises(ValidationError, match="not in force"):
        keys.rotate(ApiKey.objects.get().pk, DAY, now())
    assert ApiKey.objects.count() == 1


def test_a_key_is_rotated_once(site):
    first = ApiKey.objects.get()
    keys.rotate(first.pk, DAY, now())
    with pytest.raises(ValidationError, match="followed it"):
        keys.rotate(first.pk, DAY, now())
    assert ApiKey.objects.count() == 2


def test_without_any_snapshot_known_keys_are_still_checked(site, ring, monkeypatch):
    monkeypatch.setattr(site.holder, "current", None)
    answer = send("/v1/decide", json.dumps(ASK).encode(), authorization=f"Bearer {site.key}")
    assert (answer.status, answer.body["degraded"]) == (200, ["no snapshot yet"])
    assert code("/v1/decide", "dk_00000000_wrong", ASK) == (401, "wrong_key")


def test_keys_are_forty_four_random_characters_behind_a_prefix_that_may_be_shown(site):
    made = [keys.create("many", ["decide"]) for _ in range(20)]
    assert {len(whole) for _, whole in made} == {44}
    assert len({whole[12:] for _, whole in made}) == 20
    assert all(whole[:11] == row.prefix and whole[11] == "_" for row, whole in made)
    assert all(whole not in str(vars(row)) for row, whole in made)


def test_the_day_of_a_use_wakes_no_builder_but_a_change_of_origins_does(site):
    assert snapshot.build() is None
    before = snapshot.Change.objects.get().number
    ApiKey.objects.update(last_used_on=now().date())
    assert snapshot.Change.objects.get().number == before
    ApiKey.objects.update(origins=["https://shop.example"])
    assert snapshot.Change.objects.get().number == before + 1
