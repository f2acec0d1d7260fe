"""npm's `@openfeature/ofrep-provider` under `@openfeature/server-sdk` in Node, against a running server."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .ofrep import KEY, SERVER, example, furnish
from .serving import Site

pytestmark = [pytest.mark.e2e, pytest.mark.django_db]
PROGRAM = """
import { OpenFeature } from "@openfeature/server-sdk";
import { OFREPProvider } from "@openfeature/ofrep-provider";
const connected = async (domain, key) => {
  const provider = new OFREPProvider({ baseUrl: "https://decide.example", headers: [["X-API-Key", key]] });
  await OpenFeature.setProviderAndWait(domain, provider);
  return OpenFeature.getClient(domain);
};
const client = await connected("ours", "API_KEY");
const ann = { targetingKey: "c-1", country: "DE", page: { path: "/basket" } };
const stranger = { targetingKey: "stranger", anonymous: true };
console.log(JSON.stringify({
  boolean: await client.getBooleanDetails("new-checkout", false, ann),
  unknown: await client.getBooleanDetails("new-checkout", true, stranger),
  text: await client.getStringDetails("button-colour", "grey", ann),
  whole: await client.getNumberDetails("max-items", 1, ann),
  real: await client.getNumberDetails("discount", 0, ann),
  object: await client.getObjectDetails("hero", {}, ann),
  empty: await client.getStringDetails("empty", "from the code", ann),
  missing: await client.getBooleanDetails("new-chekout", false, ann),
  nobody: await client.getBooleanDetails("new-checkout", false, {}),
  mistaken: await client.getBooleanDetails("button-colour", false, ann),
  wrong: await (await connected("other", "dk_wrong")).getBooleanDetails("new-checkout", false, ann),
}));
"""


@pytest.fixture(scope="module")
def shop(site: Site, django_db_blocker) -> Iterator[Site]:
    """The running server with the placements of the page."""
    with django_db_blocker.unblock():
        furnish(site)
    yield site


def run(text: str, folder: Path) -> str:
    """A program in Node, with the packages that are installed; what it printed."""
    packages = os.environ.get("NODE_PACKAGES") or pytest.fail("NODE_PACKAGES is not set: run this with `make e2e`.")
    (folder / "node_modules").symlink_to(packages)
    program = folder / "program.mjs"
    program.write_text(text)
    words = [os.environ["NODE"], program]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_every_type_reason_and_error_arrives(shop: Site, tmp_path: Path) -> None:
    told: dict[str, Any] = json.loads(run(PROGRAM.replace(SERVER, shop.url).replace(KEY, shop.key), tmp_path))
    assert {name: details["value"] for name, details in told.items()} == {
        "boolean": True,
        "unknown": False,
        "text": "green",
        "whole": 12,
        "real": 0.25,
        "object": {"name": "Apples", "title": "Apples"},
        "empty": "from the code",
        "missing": False,
        "nobody": False,
        "mistaken": False,
        "wrong": False,
    }
    known, unknown = told["boolean"], told["unknown"]
    assert (known["reason"], known["variant"]) == ("TARGETING_MATCH", "checkout-new")
    assert known["flagMetadata"]["rule"] == "adults"
    assert (unknown["reason"], unknown["variant"]) == ("DEFAULT", "checkout-old")
    assert told["text"]["reason"] == "STATIC"
    codes = {name: details.get("errorCode") for name, details in told.items()}
    assert (codes["missing"], codes["nobody"], codes["mistaken"], codes["wrong"]) == (
        "FLAG_NOT_FOUND",
        "TARGETING_KEY_MISSING",
        "TYPE_MISMATCH",
        "GENERAL",
    )
    assert "new-checkout" in told["missing"]["errorMessage"]


def test_the_pages_example(shop: Site, tmp_path: Path) -> None:
    assert run(example("js node", shop), tmp_path).splitlines() == [
        "true",
        "green",
        "{ name: 'Apples', title: 'Apples' }",
    ]
