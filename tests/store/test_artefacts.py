"""Learned things are read only when they carry our signature, and used only when they score as they did."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from campaigns.models import Content
from decisioning.flows import score
from decisioning.learning.family import digest
from decisioning.learning.features import learn_schema
from decisioning.learning.scorer import Prior, Scorer, Trees
from decisioning.learning.verifying import Thing, golden
from decisioning.models import Artefact
from decisioning.store import artefacts, freeze, trying

pytestmark = pytest.mark.django_db
FACTS = [{"age": age, "orders": 9 - age} for age in (1.0, 4.0, 8.0)]


def scorer(rate: float = 0.5) -> bytes:
    """The smallest scorer there is."""
    rows = np.zeros((10, 1), np.float32)
    schema = learn_schema({"age": "number"}, [{"age": 1}], [], {})
    return Prior(schema).fit(rows, np.arange(10) < 10 * rate).to_artefact()


def test_what_was_kept_is_read_back(now):
    row = artefacts.keep("scorer", b"data", "hash", {"auc": 0.8}, now)
    assert artefacts.read(Artefact.objects.get(pk=row.pk)) == b"data"


@pytest.mark.parametrize("change", [{"data": b"datA"}, {"signature": "00" * 32}])
def test_an_altered_artefact_is_refused_and_the_active_one_stays(now, change):
    champion = artefacts.keep("scorer", scorer(), "", {}, now)
    artefacts.activate(champion)
    bad = artefacts.keep("scorer", scorer(0.2), "", {}, now)
    Artefact.objects.filter(pk=bad.pk).update(**change)
    with pytest.raises(artefacts.Tampered, match="altered"):
        artefacts.activate(Artefact.objects.get(pk=bad.pk))
    assert artefacts.active("scorer").pk == champion.pk


def test_only_one_of_a_kind_is_active(now):
    for rate in (0.1, 0.2):
        artefacts.activate(artefacts.keep("scorer", scorer(rate), "", {}, now))
    assert bytes(artefacts.active("scorer").data) == scorer(0.2)
    assert Artefact.objects.filter(active=True).count() == 1


def test_what_was_signed_but_cannot_be_read_is_not_activated(now):
    cut = artefacts.keep("scorer", scorer()[:-20], "", {}, now)
    with pytest.raises(ValueError, match="damaged"):
        artefacts.activate(cut)
    assert artefacts.active("scorer") is None


@pytest.mark.parametrize("damage", [b"{}", scorer(0.2)[:-20]], ids=["altered", "cut and signed again"])
def test_in_place_of_a_damaged_one_decisions_take_the_one_that_it_had_replaced(now, damage, caplog):
    Content.objects.create(key="a", name="a")
    rows = [artefacts.keep("scorer", scorer(rate), "", {}, now) for rate in (0.1, 0.2, 0.3)]
    for row in rows:
        artefacts.activate(row, tried=True)
    assert freeze.freeze().scorer.version == rows[2].pk
    signature = artefacts.sign(artefacts.PURPOSE, damage).hex() if damage != b"{}" else rows[2].signature
    Artefact.objects.filter(pk=rows[2].pk).update(data=damage, signature=signature)
    frozen = freeze.freeze().scorer
    assert (frozen.version, frozen.data) == (rows[1].pk, scorer(0.2))
    assert f"{rows[2]} is left out" in caplog.text
    Artefact.objects.update(data=b"{}")
    assert freeze.freeze().scorer is None
    assert score.work() is None, "nobody is scored beforehand, and no worker fails"


def test_another_secret_reads_nothing(now, settings):
    row = artefacts.keep("scorer", b"data", "", {}, now)
    settings.SECRET_KEY = "another"
    with pytest.raises(artefacts.Tampered):
        artefacts.read(row)


@pytest.fixture(scope="module")
def trees() -> Scorer:
    """A few trees on two facts."""
    dice = np.random.default_rng(2)
    rows = dice.random((400, 2)).astype(np.float32) * 9
    schema = learn_schema({"age": "number", "orders": "number"}, [{"age": 1, "orders": 2}], [], {})
    return Trees(schema, trees=12, smallest_leaf=10).fit(rows, (rows[:, 0] > 4).astype(np.int8))


def kept(scorer: Scorer, now: Any, data: bytes | None = None) -> Artefact:
    rows = msgspec.to_builtins(golden(scorer, FACTS, [Thing("a"), Thing("b")]))
    return artefacts.keep("scorer", data or scorer.to_artefact(), scorer.schema.hash, {}, now, rows)


def test_a_truncated_scorer_ends_only_the_process_that_tries_it_and_the_champion_stays(trees, now):
    champion = artefacts.keep("scorer", scorer(), "", {}, now)
    artefacts.activate(champion)
    body = json.loads(trees.to_artefact())
    learned = {**body["learned"], "text": trees.text_[: len(trees.text_) // 2]}
    data = json.dumps(body | {"learned": learned, "digest": digest(learned)}).encode()
    with pytest.raises(artefacts.Unfit, match="ended the process that read it \\(SIGABRT\\)"):
        artefacts.activate(kept(trees, now, data))
    assert artefacts.active("scorer").pk == champion.pk


def test_a_scorer_that_is_not_read_in_time_is_refused(now, monkeypatch):
    monkeypatch.setattr(trying, "SECONDS", 0.001)
    with pytest.raises(artefacts.Unfit, match="not read and scored within"):
        artefacts.activate(artefacts.keep("scorer", scorer(), "", {}, now))


def test_what_tries_a_scorer_has_no_secrets(now, monkeypatch):
    seen: dict[str, Any] = {}
    run = trying.subprocess.run
    monkeypatch.setattr(trying.subprocess, "run", lambda *words, **more: seen.update(more) or run(*words, **more))
    assert artefacts.trial(artefacts.keep("scorer", scorer(), "", {}, now)) < trying.MILLISECONDS
    assert not {"SECRET_KEY", "DATABASE_URL", "DJANGO_SETTINGS_MODULE"} & seen["env"].keys()


def test_going_back_returns_to_what_was_used_before_and_then_further(now):
    Content.objects.create(key="a", name="a")
    rows = [artefacts.keep("scorer", scorer(rate), "", {}, now) for rate in (0.1, 0.2, 0.3)]
    for row in rows:
        artefacts.activate(row)
    assert [artefacts.rollback("scorer").pk for _ in range(2)] == [rows[1].pk, rows[0].pk]
    assert artefacts.active("scorer").pk == rows[0].pk
    with pytest.raises(ValueError, match="no former scorer"):
        artefacts.rollback("scorer")


def test_going_back_to_one_that_was_altered_since_is_refused(now):
    first, second = (artefacts.keep("scorer", scorer(rate), "", {}, now) for rate in (0.1, 0.2))
    artefacts.activate(first)
    artefacts.activate(second)
    Artefact.objects.filter(pk=first.pk).update(data=b"other")
    with pytest.raises(artefacts.Tampered):
        artefacts.rollback("scorer")
    assert artefacts.active("scorer").pk == second.pk


@pytest.mark.parametrize(("metrics", "objective"), [({"objective": "click"}, "click"), ({}, "conversion")])
def test_a_snapshot_says_what_its_scorer_learned(now, metrics, objective):
    row = artefacts.keep("scorer", scorer(), "", metrics, now)
    artefacts.activate(row, tried=True)
    found = freeze.freeze().scorer
    assert (found.version, found.objective) == (row.pk, objective)
