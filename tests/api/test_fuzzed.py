"""Some hundred calls made of the served schema, always the same ones: every answer is as the schema says.

Ten thousand of them, against a running server, are `python -m tests.fuzz`.
"""

from collections.abc import Iterator

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from schemathesis import Case, Response

from decisioning.api import ofrep, reading, views
from decisioning.config.wsgi import application

from ..flows.conftest import *  # noqa: F403  (the same small site)
from ..fuzz.calls import Fuzzer, Report
from ..fuzz.names import Names
from ..fuzz.place import furnish

CALLS, SEED, PATIENCE = 300, 7, 600.0


@pytest.fixture
def fuzzer(site, monkeypatch) -> Iterator[Fuzzer]:
    """The product's own WSGI application in this process, on the test's database and Redis."""
    for module in (ofrep, reading, views):
        monkeypatch.setattr(module, "holder", site.holder)
    for module in (ofrep, views):
        monkeypatch.setattr(module, "ledger", site.ledger)
    known = furnish()
    site.holder.poll()

    def send(case: Case, headers: dict[str, str]) -> Response:
        return case.call(headers=headers)

    signals = (request_started, request_finished)
    # A request that ends would hang up within the test's transaction; Django's own test client sees to it likewise.
    for signal in signals:
        signal.disconnect(close_old_connections)
    schema = schemathesis.openapi.from_wsgi("/v1/schema", application)
    yield Fuzzer(schema, send, Names(known), known["keys"], site.ledger.flush)
    for signal in signals:
        signal.connect(close_old_connections)


def test_every_answer_is_as_the_schema_says(fuzzer: Fuzzer) -> None:
    report: Report = fuzzer.run(CALLS, SEED, PATIENCE)
    assert report.findings == {}, report.told()
    assert report.calls == CALLS
