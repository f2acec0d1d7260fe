"""The page of windows: every kind has its row, a save goes live, and placements are named that have their own."""

import pytest
from django.urls import reverse

from campaigns.models import Placement, Window
from campaigns.models.windows import USUAL

LIST = "admin:campaigns_window_changelist"


@pytest.fixture
def placement(db) -> Placement:
    # Tests that empty the database take along what migrations put there.
    for kind, hours in USUAL.items():
        Window.objects.get_or_create(kind=kind, defaults={"hours": hours})
    return Placement.objects.create(key="mail", name="Letters", click_hours=72)


def test_the_list_has_each_kind_and_the_placements_with_their_own(admin_client, placement):
    page = admin_client.get(reverse(LIST)).content.decode()
    for kind in Window.Kind:
        assert kind.label in page
    assert page.count("Letters") == 1


def test_the_list_says_what_windows_do_and_what_is_usual(admin_client, placement):
    Window.objects.filter(kind="conversion").update(hours=48.5)
    page = admin_client.get(reverse(LIST)).content.decode()
    assert "What windows do" in page and "48.5 hours" in page
    assert page.count("7 days") == 4 and "1 day" in page


def test_without_any_row_the_list_says_what_holds_and_a_row_is_made_again(admin_client, clean_redis, placement):
    Window.objects.all().delete()
    page = admin_client.get(reverse(LIST)).content.decode()
    assert "impressions 7 days, clicks 7 days, conversions 1 day, value of conversions 1 day." in page
    add = reverse("admin:campaigns_window_add")
    assert add in page
    assert admin_client.post(add, {"kind": "click", "hours": "12"}).status_code == 302
    assert Window.objects.get().hours == 12


def test_a_window_is_changed_and_never_added_or_deleted(admin_client, clean_redis, placement):
    row = Window.objects.get(kind="conversion")
    page = reverse("admin:campaigns_window_change", args=[row.pk])
    assert admin_client.post(page, {"hours": "48"}).status_code == 302
    row.refresh_from_db()
    assert (row.hours, row.kind) == (48, "conversion")
    assert admin_client.post(page, {"hours": "-1"}).status_code == 200
    assert admin_client.get(reverse("admin:campaigns_window_add")).status_code == 403
    assert admin_client.post(reverse("admin:campaigns_window_delete", args=[row.pk])).status_code == 403
