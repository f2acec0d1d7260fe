"""Addresses: the admin, the REST doors, health and the API's schema; the demo shop where it is wanted."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", include("decisioning.api.urls")),
]
if settings.DEMO_SHOP:
    urlpatterns.append(path("", include("decisioning.shop.urls")))
