"""Learned things are read only when they carry our signature."""

import pytest

from decisioning.models import Artefact
from decisioning.store import artefacts

pytestmark = pytest.mark.django_db


def test_what_was_kept_is_read_back(now):
    row = artefacts.keep("scorer", b"data", "hash", {"auc": 0.8}, now)
    assert artefacts.read(Artefact.objects.get(pk=row.pk)) == b"data"


@pytest.mark.parametrize("change", [{"data": b"datA"}, {"signature": "00" * 32}])
def test_an_altered_artefact_is_refused_and_the_active_one_stays(now, change):
    champion = artefacts.keep("scorer", b"good", "", {}, now)
    artefacts.activate(champion)
    bad = artefacts.keep("scorer", b"data", "", {}, now)
    Artefact.objects.filter(pk=bad.pk).update(**change)
    with pytest.raises(artefacts.Tampered, match="altered"):
        artefacts.activate(Artefact.objects.get(pk=bad.pk))
    assert artefacts.active("scorer").pk == champion.pk


def test_only_one_of_a_kind_is_active(now):
    for data in (b"1", b"2"):
        artefacts.activate(artefacts.keep("scorer", data, "", {}, now))
    artefacts.activate(artefacts.keep("clustering", b"3", "", {}, now))
    assert bytes(artefacts.active("scorer").data) == b"2"
    assert Artefact.objects.filter(active=True).count() == 2


def test_another_secret_reads_nothing(now, settings):
    row = artefacts.keep("scorer", b"data", "", {}, now)
    settings.SECRET_KEY = "another"
    with pytest.raises(artefacts.Tampered):
        artefacts.read(row)
