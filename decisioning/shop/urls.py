"""The shop's addresses. Contents of the demo link to `/coupons/…`."""

from django.urls import path

from . import views

app_name = "shop"
urlpatterns = [
    path("demo/", views.home, name="home"),
    path("demo/departments/<slug:slug>/", views.department, name="department"),
    path("demo/products/<str:number>/", views.product, name="product"),
    path("demo/basket/", views.show_basket, name="basket"),
    path("demo/order/", views.order, name="order"),
    path("demo/thanks/", views.thanks, name="thanks"),
    path("demo/people/", views.people, name="people"),
    path("demo/become/", views.become, name="become"),
    path("demo/visitor.json", views.visitor, name="visitor"),
    path("coupons/<str:key>", views.coupon, name="coupon"),
]
