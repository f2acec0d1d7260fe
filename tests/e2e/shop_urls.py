"""The product's addresses with the demo shop among them, as `DEMO_SHOP=1` makes them."""

from django.urls import include, path

from decisioning.config.urls import urlpatterns as product

urlpatterns = [path("", include("decisioning.shop.urls")), *product]
