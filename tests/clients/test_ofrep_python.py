"""PyPI's `openfeature-provider-ofrep` under `openfeature-sdk`, as anybody installs them, against a running server."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from decisioning.models import Decision, Outcome
from decisioning.store import tokens

from .ofrep import example, furnish
from .serving import Site, until

pytestmark = pytest.mark.django_db
ANN = EvaluationContext("c-1")


@pytest.fixture(scope="module")
def shop(site: Site, django_db_blocker) -> Iterator[Site]:
    """The running server with the placements of the page."""
    with django_db_blocker.unblock():
        furnish(site)
    yield site


@pytest.fixture
def client(shop: Site) -> OpenFeatureClient:
    return connected(shop, shop.key)


def connected(shop: Site, key: str) -> OpenFeatureClient:
    """A client of this server, with a provider of its own."""
    provider = OFREPProvider(shop.url, headers_factory=lambda: {"X-API-Key": key}, timeout=30.0)
    api.set_provider(provider, domain="test")
    return api.get_client("test")


def test_each_type_of_value_arrives_as_it_is(client: OpenFeatureClient) -> None:
    assert client.get_boolean_value("new-checkout", False, ANN) is True
    assert client.get_string_value("button-colour", "grey", ANN) == "green"
    assert client.get_integer_value("max-items", 1, ANN) == 12
    assert client.get_float_value("discount", 0.0, ANN) == 0.25
    assert client.get_object_value("hero", {}, ANN) == {"name": "Apples", "title": "Apples"}


def test_why_and_by_which_decision_is_told(client: OpenFeatureClient) -> None:
    known = client.get_boolean_details("new-checkout", False, ANN)
    assert (known.reason, known.variant, known.flag_metadata["rule"]) == (
        Reason.TARGETING_MATCH,
        "checkout-new",
        "adults",
    )
    unknown = client.get_boolean_details("new-checkout", True, EvaluationContext("nobody-yet"))
    assert (unknown.value, unknown.reason, unknown.variant) == (False, Reason.DEFAULT, "checkout-old")
    decision_id, content = tokens.read(str(known.flag_metadata["token"]))
    assert (str(decision_id), content) == (known.flag_metadata["decision_id"], "checkout-new")
    until("the ledger is written", lambda: Decision.objects.filter(id=decision_id).exists())
    row = Decision.objects.get(id=decision_id)
    assert (row.customer_key, row.asked["mode"], [item["key"] for item in row.items]) == (
        "c-1",
        "execute",
        ["checkout-new"],
    )


def test_the_context_is_kept_in_segments_names(client: OpenFeatureClient) -> None:
    where = {"country": "DE", "page.path": "/basket", "device": {"type": "kiosk"}}
    details = client.get_string_details("button-colour", "grey", EvaluationContext("anonymous:a-5", where))
    written = Decision.objects.filter(id=details.flag_metadata["decision_id"])
    until("the ledger is written", written.exists)
    row = written.get()
    assert row.customer_key == "anonymous:a-5"
    context = {"location": {"country": "DE"}, "page": {"path": "/basket"}, "device": {"type": "kiosk"}}
    assert row.context == context


def test_without_a_value_the_codes_default_holds(client: OpenFeatureClient) -> None:
    details = client.get_string_details("empty", "from the code", ANN)
    assert (details.value, details.reason, details.error_code) == ("from the code", Reason.DEFAULT, None)


def test_errors_reach_the_client_with_their_code_and_cure(shop: Site, client: OpenFeatureClient) -> None:
    missing = client.get_boolean_details("new-chekout", False, ANN)
    assert (missing.error_code, missing.value) == (ErrorCode.FLAG_NOT_FOUND, False)
    assert "new-checkout" in str(missing.error_message)
    nobody = client.get_boolean_details("new-checkout", False, EvaluationContext())
    assert nobody.error_code == ErrorCode.TARGETING_KEY_MISSING
    wrong = client.get_boolean_details("button-colour", False, ANN)
    assert wrong.error_code == ErrorCode.TYPE_MISMATCH
    stranger = connected(shop, "dk_wrong").get_boolean_details("new-checkout", False, ANN)
    assert (stranger.error_code, stranger.value) == (ErrorCode.GENERAL, False)


def test_the_pages_example(shop: Site, tmp_path: Path) -> None:
    program = tmp_path / "example.py"
    program.write_text(example("python openfeature", shop))
    done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["True checkout-new TARGETING_MATCH", "green"]
    outcome = Outcome.objects.get(message_id="order-4711")
    assert (outcome.kind, outcome.content, outcome.value) == ("conversion", "checkout-new", 42.5)
