"""`manage.py load_demo`: real data in, a product to look at out. Needs a running worker; may be repeated."""

import json
import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from decisioning.config import clock
from decisioning.models import ApiKey
from decisioning.store import keys, publishing, snapshot
from tools.demo import complete_journey, loading, shop
from tools.demo.progress import NotFinished

ACCESS = "demo-access.json"


class Command(BaseCommand):
    """Import, learn, write the showcase, make a login and an API key."""

    help = "Load the demo's data and let the worker learn from it."

    def handle(self, *args: Any, **options: Any) -> None:
        now = clock.now()
        try:
            if not self._finished():
                loading.load_data(complete_journey.load(), now)
                loading.learn(now)
                loading.write_rules()
        except (NotFinished, FileNotFoundError) as error:
            raise CommandError(str(error)) from None
        self._access()
        shop.furnish()
        snapshot.build()
        snapshot.keep_announced()
        if not publishing.is_complete():
            publishing.publish_all()
        self.stdout.write("  demo is loaded")

    def _finished(self) -> bool:
        """The key is made last: where it is, everything before it is too."""
        return ApiKey.objects.filter(name="demo").exists()

    def _access(self) -> None:
        """An admin login and an API key; their secrets are kept in the demo's folder, for its owner's eyes only."""
        path = settings.STATE_DIR / ACCESS
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._finished() and path.exists():
            return
        password = secrets.token_urlsafe(9)
        users = get_user_model().objects
        user = users.filter(username="admin").first() or users.create_superuser("admin", "", password)
        user.set_password(password)
        user.save()
        ApiKey.objects.filter(name="demo").delete()
        path.touch(mode=0o600)
        _, whole = keys.create("demo", keys.SCOPES)
        path.write_text(json.dumps({"user": "admin", "password": password, "key": whole}))
