"""The examples of docs/identity.md do what the page says, and its tables are complete."""

import doctest
from pathlib import Path

from decisioning.customers.identity.components import MOST
from decisioning.customers.identity.evidence import Code
from decisioning.customers.identity.linking import CONTACTS_TO_SHARE, USERS_TO_SHARE

PAGE = Path(__file__).parents[2] / "docs" / "identity.md"


def test_the_examples_on_the_page_run() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted >= 10
    assert result.failed == 0


def test_the_page_names_every_verdict() -> None:
    text = PAGE.read_text()
    assert [code for code in Code if f"| `{code}` |" not in text] == []


def test_the_page_names_the_limits() -> None:
    text = PAGE.read_text()
    users = USERS_TO_SHARE
    assert f"a device id met {users['device_id']} user ids" in text
    assert {users["phone"], users["email"], users["loyalty_id"]} == {10}
    assert f"e-mail or loyalty id met {users['email']}: " in text
    assert f"an anonymous id met {users['anonymous_id']} user ids" in text
    assert f"{CONTACTS_TO_SHARE} different loyalty ids" in text
    assert f"more than {MOST:,} identifiers" in text
