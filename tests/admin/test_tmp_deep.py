from typing import Any
import pytest
from django.test import Client
from decisioning.models import Decision
pytestmark = pytest.mark.django_db

def deep(n, leaf=1):
    v = leaf
    for _ in range(n): v = {"a": v}
    return v

@pytest.mark.parametrize("n", [850, 900, 940])
@pytest.mark.parametrize("page", ["", "00000000-0000-0000-0000-000000000007/change/"])
def test_x(browser: Client, shop: dict[str, Any], n, page):
    import json
    from django.db import connection
    with connection.cursor() as c:
        c.execute("update decisioning_decision set context=%s::jsonb, facts='{}'::jsonb", ['{"a":' * n + "1" + "}" * n])
    assert browser.get("/admin/decisioning/decision/" + page).status_code == 200
