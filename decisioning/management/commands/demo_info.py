"""`manage.py demo_info`: where the demo is, how to log in, and three calls to paste."""

import json
import urllib.request
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from decisioning.customers.models import Customer
from decisioning.engine.resolver import FULL, MODEL
from decisioning.models import Artefact

from .load_demo import ACCESS

CUSTOMER = "hh-1"
# A proxy meant for the outside must not be asked for our own machine.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
TEXT = """
Decisioning engine, with {people:,} real households and a scorer (AUC {auc}).

  Shop       {url}/demo/     become any customer, and see why each coupon is shown
  Admin      {url}/admin/    user: {user}    password: {password}
  API        {url}/v1/schema
  API key    {key}

Which coupons for one customer, and why:
  curl -s {url}/v1/decide -H 'Authorization: Bearer {key}' -d '{{"customer_id": "{customer}", "placements": ["home-hero"]}}'

Something happens; facts, segments and campaigns follow within a second:
  curl -s {url}/v1/track -H 'Authorization: Bearer {key}' -d '{{"messageId": "demo-'$RANDOM$RANDOM'", "userId": "{customer}", "event": "Order Completed", "properties": {{"total": 42.5, "products": [{{"department": "Produce", "price": 42.5, "quantity": 1}}]}}}}'

Everything a decision was made from (the id is in its answer):
  curl -s {url}/v1/decisions/$(curl -s {url}/v1/decide -H 'Authorization: Bearer {key}' -d '{{"customer_id": "{customer}", "placements": ["checkout"]}}' | grep -o '"decision_id":"[^"]*' | cut -d'"' -f4 && sleep 1) -H 'Authorization: Bearer {key}'
"""


class Command(BaseCommand):
    """Print it."""

    help = "Print the demo's addresses, login, API key and three curl lines."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default=settings.PUBLIC_URL)

    def _decide(self, url: str, key: str) -> None:
        """One real decision: what is printed must work when it is pasted."""
        body = json.dumps({"customer_id": CUSTOMER, "placements": ["home-hero"], "mode": "dry_run"}).encode()
        request = urllib.request.Request(f"{url}/v1/decide", body, {"Authorization": f"Bearer {key}"})  # noqa: S310
        try:
            with DIRECT.open(request, timeout=10) as response:
                rung = json.load(response)["rung"]
        except (OSError, ValueError, KeyError) as error:
            raise CommandError(f"{url}/v1/decide does not decide: {error}. The web process's log says why.") from None
        if rung not in (FULL, MODEL):
            raise CommandError(f"{url}/v1/decide only reached the rung {rung!r}; is the scorer active?")

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.STATE_DIR / ACCESS
        if not path.exists():
            raise CommandError("The demo is not loaded yet; run `make demo`.")
        access = json.loads(path.read_text())
        url = options["url"].rstrip("/")
        self._decide(url, access["key"])
        scorer = Artefact.objects.filter(kind=Artefact.Kind.SCORER, active=True).first()
        auc = scorer.metrics.get("auc") if scorer else None
        self.stdout.write(
            TEXT.format(
                url=url,
                people=Customer.objects.filter(key__startswith="hh-").count(),
                auc=f"{auc:.3f}" if auc else "not known",
                customer=CUSTOMER,
                **access,
            )
        )
