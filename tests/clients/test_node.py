"""npm's `@segment/analytics-node` in Node, as anybody installs it, against a running server."""

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from .page import KEY, SERVER, example
from .serving import Site, events_of, off_by, seconds_ago, until

pytestmark = [pytest.mark.e2e, pytest.mark.django_db]
START = datetime(2024, 5, 1, 10, tzinfo=UTC)
MANY = """
import { Analytics } from "@segment/analytics-node";
const analytics = new Analytics({ writeKey: "WRITE_KEY", host: "https://decide.example", flushAt: 15 });
analytics.on("error", (error) => { console.error(error); process.exitCode = 1; });
for (let number = 0; number < 40; number++) {
  const timestamp = new Date(Date.UTC(2024, 4, 1, 10, number));
  const context = { historical: true };
  analytics.track({ userId: "many", event: "Clicked", properties: { number }, timestamp, context });
}
await analytics.closeAndFlush({ timeout: 30000 });
"""


@pytest.fixture
def node(tmp_path: Path) -> Callable[[str], subprocess.Popen[str]]:
    """Starts a program in Node, which finds the installed packages."""
    if not os.environ.get("NODE_PACKAGES"):
        pytest.fail("NODE and NODE_PACKAGES are not set: run this with `make e2e`.")
    (tmp_path / "node_modules").symlink_to(os.environ["NODE_PACKAGES"])

    def start(text: str) -> subprocess.Popen[str]:
        program = tmp_path / "program.mjs"
        program.write_text(text)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([os.environ["NODE"], program], **pipes)  # type: ignore[call-overload, no-any-return]

    return start


def finish(process: subprocess.Popen[str]) -> None:
    """It must end by itself and have nothing to complain of."""
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")


def test_every_call_is_stored_as_it_was_meant(site: Site, node: Callable[[str], subprocess.Popen[str]]) -> None:
    finish(node(example("js segment", site.url, site.key)))
    stored = {event.type: event for event in events_of("c-11")}
    assert set(stored) == {"identify", "track", "page", "screen", "group", "alias"}
    assert stored["identify"].properties == {"email": "cyd@shop.example"}
    assert stored["identify"].identifiers == [
        ["user_id", "c-11"],
        ["email", "cyd@shop.example"],
        ["anonymous_id", "a-11"],
    ]
    assert (stored["track"].name, stored["track"].properties) == ("Order Completed", {"total": 12})
    assert (stored["page"].name, stored["page"].properties["category"]) == ("Sneakers", "Shoes")
    assert stored["screen"].name == "Payment"
    assert stored["group"].properties == {"groupId": "team-7", "seats": 5}
    assert stored["alias"].properties == {"previousId": "a-11"}
    assert all(event.message_id.startswith("node-next-") and not event.bot for event in stored.values())
    assert all(-1 < seconds_ago(event.timestamp) < 60 for event in stored.values())


def test_batches_that_met_a_busy_database_are_sent_again_and_counted_once(
    site: Site, node: Callable[[str], subprocess.Popen[str]]
) -> None:
    before = site.said("the database is away")
    with psycopg.connect(site.variables["DATABASE_URL"]) as other:
        other.execute("LOCK TABLE customers_receipt IN ACCESS EXCLUSIVE MODE")
        process = node(MANY.replace(SERVER, site.url).replace(KEY, site.key))
        until("the client was told 503", lambda: site.said("the database is away") > before)
    finish(process)
    stored = events_of("many")
    assert [event.properties["number"] for event in stored] == list(range(40))
    assert all(off_by(event.timestamp, START + timedelta(minutes=n)) < 60 for n, event in enumerate(stored))
    assert all(event.historical for event in stored)
