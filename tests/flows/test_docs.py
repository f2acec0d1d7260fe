"""The examples of docs/decisions.md and docs/events.md are sent and answered."""

import json
import re
from pathlib import Path

from campaigns.models import Placement
from decisioning.customers.models import Event
from decisioning.engine.context import PATHS
from decisioning.engine.resolver import LADDER

DOCS = Path(__file__).resolve().parents[2] / "docs"


def example(page: str, name: str) -> dict:
    return json.loads(re.search(rf"```json {name}\n(.*?)```", (DOCS / page).read_text(), re.S)[1])


def test_the_decide_example_is_answered_for_both_placements(site):
    Placement.objects.create(key="side", name="Side", count=2, policy="greedy")
    site.publish()
    status, answer = site.post("/v1/decide", example("decisions.md", "decide"))
    assert status == 200
    assert [len(p["items"]) for p in answer["placements"]] == [2, 1]


def test_the_outcome_example_is_taken_with_a_real_token(site):
    token = site.decide()["placements"][0]["items"][0]["token"]
    assert site.post("/v1/outcomes", {**example("decisions.md", "outcome"), "token": token})[0] == 200


def test_the_batch_example_gives_the_documented_answer(site):
    status, answer = site.post("/v1/batch", example("events.md", "batch"))
    assert (status, answer) == (200, {"success": True, "added": 2, "duplicates": 0, "errors": []})
    assert Event.objects.filter(identity__customer__key="c-9").count() == 2


def test_the_tables_name_every_rung_and_every_fact_of_the_moment():
    text = (DOCS / "decisions.md").read_text()
    assert [rung for rung in LADDER if f"`{rung}`" not in text] == []
    assert [f for f, path in PATHS.items() if f"| `{f}` | `{'.'.join(path)}`" not in text] == []


def test_links_between_pages_lead_somewhere():
    for page in [*DOCS.glob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
