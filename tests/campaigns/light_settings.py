"""The product's settings without the admin's pages, whose imports would slow down each delivering process."""

from decisioning.config.settings import *  # noqa: F403
from decisioning.config.settings import INSTALLED_APPS as ALL

SIMPLE = {"django.contrib.admin": "django.contrib.admin.apps.SimpleAdminConfig"}
INSTALLED_APPS = [SIMPLE.get(app, app) for app in ALL]
