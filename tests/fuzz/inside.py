"""Run with the product's settings: migrates, furnishes the site to be called, and prints the names of all on it."""

import json

import django
from django.core.management import call_command

django.setup()

from tests.fuzz.place import furnish  # noqa: E402

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    print(json.dumps(furnish()))
