"""Learned things are read only when they carry our signature."""

import numpy as np
import pytest

from decisioning.learning.features import learn_schema
from decisioning.learning.scorer import Prior
from decisioning.models import Artefact
from decisioning.store import artefacts

pytestmark = pytest.mark.django_db


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


def test_another_secret_reads_nothing(now, settings):
    row = artefacts.keep("scorer", b"data", "", {}, now)
    settings.SECRET_KEY = "another"
    with pytest.raises(artefacts.Tampered):
        artefacts.read(row)
