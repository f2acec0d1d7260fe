"""The examples of docs/archive.md, run as they stand."""

import doctest
import time
from datetime import UTC, datetime, timedelta

import pytest

from decisioning.customers.models import Customer
from tests.customers.test_ingest import checked
from tests.store.test_archive import take
from tools.devstack.places import REPOSITORY


@pytest.mark.django_db
@pytest.mark.usefixtures("archive_folder", "clean_redis")
def test_the_examples_are_true(now):
    order = {"name": "Order Completed", "properties": '{"total": 15.0}'}
    take(now, checked("m-1", now, "anna", **order), checked("m-2", now, "anna", **order), checked("m-3", now, "bert"))
    assert Customer.objects.count() == 2
    time.sleep(0.002)
    given = {"now": now, "moment": datetime.now(UTC), "no_margin": timedelta(0)}
    found = doctest.testfile(str(REPOSITORY / "docs" / "archive.md"), module_relative=False, globs=given)
    assert found.attempted > 8
    assert found.failed == 0
