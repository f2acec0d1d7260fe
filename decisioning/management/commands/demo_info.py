"""`manage.py demo_info`: where the demo is, how to log in, and three calls to paste, which are those of the README."""

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
DECIDE = """\
ANSWER=$(curl -s $URL/v1/decide -H "Authorization: Bearer $KEY" \\
  -d '{"customer_id": "hh-1", "placements": ["checkout"], "request_id": "kiosk-7"}')
echo "$ANSWER"
"""
EXPLAIN = """\
DECISION=$(echo "$ANSWER" | grep -o '"decision_id":"[^"]*' | tail -n 1 | cut -d '"' -f 4)
curl -s $URL/v1/decisions/$DECISION -H "Authorization: Bearer $KEY"
"""
HAPPEN = """\
curl -s $URL/v1/track -H "Authorization: Bearer $KEY" \\
  -d '{"messageId": "order-'$DECISION'", "userId": "hh-1", "event": "Order Completed",
       "properties": {"total": 42.5, "products": [{"department": "Produce", "price": 42.5, "quantity": 1}]}}'
"""
CALLS = (DECIDE, EXPLAIN, HAPPEN)
TEXT = """
Decisioning engine, with {people:,} real households and a scorer (AUC {auc}).

  Shop       {url}/demo/     become any customer, and see why each coupon is shown
  Admin      {url}/admin/    user: {user}    password: {password}
  API        {url}/v1/schema
  API key    {key}

Three calls to paste, from the top:

URL={url} KEY={key}

Which coupon for one customer, and why:
{decide}
Everything it was made from, a second later:
{explain}
Something happens; facts, segments and campaigns follow within a second:
{happen}"""


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
                decide=DECIDE,
                explain=EXPLAIN,
                happen=HAPPEN,
                **access,
            )
        )
