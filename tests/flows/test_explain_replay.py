"""A decision replayed: bit-equal on its own snapshot, and on the current one with what changed and why."""

from datetime import timedelta

import pytest

from campaigns.models import Content, Filter, Holdout, Placement
from decisioning.experiments.assignment import bucket
from decisioning.flows.contract import Refused
from decisioning.flows.rerun import CURRENT, SAME, once_more, replay_of, replayed
from decisioning.models import Decision, Snapshot
from decisioning.store.sampling import thin
from rules.models import Rule

from .explaining import decided, knows, train, write

RULES = {
    "boost": 'IF age > 18 THEN BOOST "apple" BY 1.7',
    "bury": 'IF age > 18 THEN BURY "banana" BY 3.3',
    "pin": 'IF orders_30d >= 1 THEN PIN "date" AT 2 ELSE SHOW "cherry"',
}


def fill(site, policy: str = "greedy") -> None:
    """More contents and rules of all kinds, under a policy that rolls dice wherever it can."""
    Placement.objects.filter(key="hero").update(policy=policy, exploration=0.5, count=3)
    for number, key in enumerate(("cherry", "date", "elder")):
        Content.objects.create(key=key, name=key.title(), value=1.5 + number, attributes={"sour": number / 3})
    for key, text in RULES.items():
        Rule.objects.filter(key=key).delete()
        write(site, key, text)
    site.publish()


@pytest.mark.parametrize("policy", Placement.Policy.values)
@pytest.mark.parametrize("scored", [False, True])
def test_on_the_same_snapshot_it_is_equal_to_the_last_bit(site, policy, scored):
    fill(site, policy)
    if scored:
        train(site)
        knows(site, age=61, orders_30d=2)
    for number in range(12):
        row = decided(site, request_id=f"r-{number}", exclude=["elder"] if number % 3 else [], explain=bool(number % 2))
        told = replay_of(row, SAME)
        assert (told["identical"], told["changes"], told["causes"]) == (True, {}, [])
        assert told["now"]["items"] == row.items


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ({"share": 0.0}, {"share": 0.5}, "share 0.0% → 50.0%"),
        ({"share": 0.5}, {"share": 0.0}, "share 50.0% → 0.0%, other customers drawn: {held} → none"),
        ({"share": 0.5, "draw": "{held}"}, {"draw": "{free}"}, "other customers drawn: {held} → {free}"),
    ],
    ids=["in", "out", "drawn anew"],
)
def test_a_holdout_that_changed_is_named_among_the_causes(site, before, after, what):
    draws = {"held": in_half(True), "free": in_half(False)}
    row_of_all, _ = Holdout.objects.update_or_create(pk=1, defaults={"draw": draws["held"]})
    for words in (before, after):
        for name, value in words.items():
            setattr(row_of_all, name, value.format(**draws) if isinstance(value, str) else value)
        row_of_all.save()
        site.publish()
        if words is before:
            row = decided(site)
    told = replay_of(row, CURRENT)
    assert (told["then"]["reason"] == "HOLDOUT") != (told["now"]["reason"] == "HOLDOUT")
    assert told["causes"] == [{"kind": "holdout", "key": "", "what": what.format(**draws), "mattered": True}]


def test_a_placements_own_holdout_is_tried_with_the_people_who_are_drawn_now(site):
    # Where nobody is held out nothing is drawn, and "" would draw otherwise than what is drawn now.
    held = not is_held("")
    Holdout.objects.update_or_create(pk=1, defaults={"draw": in_half(held)})
    row = decided(site)
    Placement.objects.filter(key="hero").update(holdout_share=0.5)
    site.publish()
    told = replay_of(row, CURRENT)
    assert (told["now"]["reason"] == "HOLDOUT") is held
    cause = {"kind": "placement", "key": "hero", "what": "holdout share 0.0 → 0.5", "mattered": held}
    assert told["causes"] == [cause]


def in_half(held: bool) -> str:
    """A draw by which the customer of these tests is in a holdout of one half, or is not."""
    return next(draw for draw in map(str, range(100)) if is_held(draw) is held)


def is_held(draw: str) -> bool:
    return bucket("c-1", f"holdout\x1f{draw}") < 0.5


def test_somebody_nobody_knows_and_a_number_of_their_own_are_replayed_too(site):
    fill(site, "epsilon")
    body = {"customer_id": None, "anonymous_id": "somebody", "placements": [{"key": "hero", "n": 2}]}
    for number in range(8):
        row = decided(site, **body, request_id=str(number), context={"device": {"type": "mobile"}})
        assert row.customer_id is None
        assert replay_of(row, SAME)["identical"]


def test_candidates_of_the_callers_own_are_replayed(site):
    fill(site, "epsilon")
    mine = [{"id": "mine", "attributes": {"value": 3}}, "apple", {"id": "banana", "attributes": {"sour": 1}}]
    row = decided(site, candidates=mine)
    assert row.asked["candidates"] == mine
    assert replay_of(row, SAME)["identical"]


def test_a_named_filter_is_replayed_with_its_values_as_it_was_then(site):
    fill(site, "epsilon")
    Filter.objects.create(key="mild", name="Mild", condition="sour < $most", values="most number")
    site.publish()
    row = decided(site, filter={"name": "mild", "values": {"most": 0.5}})
    assert row.asked["filter"] == {"name": "mild", "values": {"most": 0.5}}
    assert {item["key"] for item in row.items} <= {"cherry", "date"}
    assert replay_of(row, SAME)["identical"]
    Filter.objects.update(condition="sour > $most")
    site.publish()
    assert replay_of(row, SAME)["identical"]
    now = replay_of(row, CURRENT)
    assert not now["identical"] and {item["key"] for item in now["now"]["items"]} <= {"elder"}


@pytest.mark.parametrize(
    ("change", "why"), [({"active": False}, "no active filter 'mild'"), ({"values": "least number"}, "least")]
)
def test_a_filter_that_is_gone_is_the_difference(site, change, why):
    fill(site)
    Filter.objects.create(key="mild", name="Mild", condition="sour < $most", values="most number")
    site.publish()
    row = decided(site, filter={"name": "mild", "values": {"most": 0.5}})
    if "values" in change:
        change = {**change, "condition": "sour < $least"}
    Filter.objects.update(**change)
    site.publish()
    told = replay_of(row, CURRENT)
    assert (told["identical"], told["now"]) == (False, None)
    assert told["changes"]["filter"].items() >= {"then": "mild", "now": None}.items()
    assert why in told["changes"]["filter"]["why"]
    assert "placement" not in told["changes"]
    assert {cause["kind"]: cause["mattered"] for cause in told["causes"]}["filters"] is True
    assert replay_of(row, SAME)["identical"]


def test_facts_that_changed_since_change_no_replay(site):
    fill(site)
    row = decided(site)
    knows(site, age=3)
    assert replay_of(row, SAME)["identical"]


def test_the_current_snapshot_names_the_rule_that_made_the_difference(site):
    fill(site, "epsilon")
    row = decided(site, request_id="r-1")
    write(site, "hide", f'IF age > 1 THEN HIDE "{row.items[0]["key"]}"')
    Content.objects.create(key="fig", name="Fig", starts_at=row.at + timedelta(days=9))
    site.publish()
    told = replay_of(row, CURRENT)
    gone = row.items[0]["key"]
    assert not told["identical"]
    assert told["snapshot"] == {"then": row.snapshot, "now": site.holder.current.number}
    item = next(one for one in told["changes"]["items"] if one["key"] == gone)
    assert (item["then"]["rank"], item["now"]) == (1, None)
    assert {"key": gone, "then": None, "now": "hidden by rule hide"} in told["changes"]["dropped"]
    assert told["causes"][0] == {"kind": "rule", "key": "hide", "what": "added", "mattered": True}


def test_what_changed_without_mattering_is_named_as_such(site):
    fill(site)
    row = decided(site)
    write(site, "kiosk", 'IF age > 99 THEN HIDE "apple"')
    site.publish()
    told = replay_of(row, CURRENT)
    assert told["identical"]
    assert told["causes"] == [{"kind": "rule", "key": "kiosk", "what": "added", "mattered": False}]


def test_a_content_a_placement_and_a_scorer_that_changed_are_told_with_their_values(site):
    fill(site)
    knows(site, age=61, orders_30d=2)
    row = decided(site)
    Placement.objects.filter(key="hero").update(count=1)
    Content.objects.filter(key="apple").update(value=7.0)
    Rule.objects.filter(key="bury").update(active=False)
    train(site)
    causes = {(one["kind"], one["key"]): one["what"] for one in replay_of(row, CURRENT)["causes"]}
    assert causes["placement", "hero"] == "count 3 → 1"
    assert "value 1.0 → 7.0" in causes["content", "apple"]
    assert causes["rule", "bury"] == "removed"
    assert causes["scorer", ""].startswith("none → ")


def test_a_rule_that_was_revised_is_told_with_both_revisions(site):
    fill(site)
    row = decided(site)
    write(site, "boost", 'IF age > 18 THEN BOOST "apple" BY 9')
    site.publish()
    cause = replay_of(row, CURRENT)["causes"][0]
    assert cause["key"] == "boost"
    assert "revision 1 → 2" in cause["what"]


def test_a_placement_that_is_gone_is_a_difference_and_no_error(site):
    row = decided(site)
    Placement.objects.filter(key="hero").update(active=False)
    site.publish()
    told = replay_of(row, CURRENT)
    assert told["now"] is None
    assert told["changes"]["placement"] == {"then": "hero", "now": None}
    assert told["causes"][0] == {"kind": "placement", "key": "hero", "what": "removed", "mattered": True}


def test_a_snapshot_that_is_gone_is_refused_with_the_cure(site):
    row = decided(site)
    write(site, "adults", 'IF age > 18 THEN HIDE "apple"')
    site.publish()
    Snapshot.objects.filter(pk=row.snapshot).delete()
    with pytest.raises(Refused) as refused:
        replay_of(row, SAME)
    assert (refused.value.status, refused.value.code) == (409, "snapshot_gone")
    assert '{"snapshot": "current"}' in refused.value.message
    told = replay_of(row, CURRENT)
    assert (told["causes"], told["identical"]) == (None, False)


def test_a_snapshot_of_another_version_is_refused_with_the_cure(site):
    row = decided(site)
    Snapshot.objects.filter(pk=row.snapshot).update(data=b"\x93\x01\x02\x03", digest="other")
    with pytest.raises(Refused) as refused:
        replay_of(row, SAME)
    assert refused.value.code == "snapshot_unreadable"


def test_a_row_without_its_question_says_so_where_the_answer_differs(site):
    fill(site)
    row = decided(site, placements=[{"key": "hero", "n": 1}])
    Decision.objects.filter(pk=row.pk).update(asked={})
    row.refresh_from_db()
    assert not replay_of(row, SAME)["identical"]
    again = once_more(row)
    assert again.resolution is None
    assert "does not hold n" in again.note


def test_nothing_is_written_by_a_replay(site):
    fill(site)
    row = decided(site)
    before = (Decision.objects.count(), site.ledger.waiting())
    replayed(row.pk, SAME)
    assert (Decision.objects.count(), site.ledger.waiting()) == before


def test_what_the_customer_had_seen_is_part_of_the_question(site):
    fill(site)
    Content.objects.filter(key="apple").update(cap_count=1)
    site.publish()
    first = decided(site, request_id="1")
    seen = {"apple": [(first.at - timedelta(hours=1)).isoformat()]}
    assert "apple" in [item["key"] for item in first.items]
    Decision.objects.filter(pk=first.pk).update(asked={**first.asked, "shown": seen})
    told = replayed(first.pk, SAME)
    assert "apple" not in [item["key"] for item in told["now"]["items"]]
    assert told["now"]["dropped"]["apple"].startswith("its cap: shown 1 time in 24 hours, at most 1 is")


def test_a_row_outside_of_the_sample_is_filled_where_it_comes_to_the_same(site):
    fill(site)
    row = decided(site)
    kept = [dict(item) for item in row.items]
    thin(row)
    assert "reasons" not in row.items[0]
    again = once_more(row)
    assert "came to the same contents" in again.note
    assert again.resolution is not None
    assert row.items == kept
    assert row.explanation["dropped"]


def test_a_row_outside_of_the_sample_that_comes_to_others_stays_as_it_is(site):
    fill(site)
    row = decided(site, exclude=["apple"])
    thin(row)
    again = once_more(row)
    assert (again.resolution, "reasons" in row.items[0]) == (None, False)
    assert "not in the sample" in again.note


def test_a_row_outside_of_the_sample_is_compared_by_what_it_keeps(site):
    fill(site)
    row = decided(site)
    thin(row)
    told = replay_of(row, SAME)
    assert (told["identical"], told["now"]["dropped"]) == (True, {})
    assert told["unknown"] == ["n", "exclude", "person", "unit", "scores"]
    row.items = row.items[1:]
    assert not replay_of(row, SAME)["identical"]
