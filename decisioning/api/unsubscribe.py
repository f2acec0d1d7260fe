"""A signed link out of a message in; a page that asks, or the withdrawal of consent, out.

GET changes nothing, because link scanners follow every link of a mail. POST withdraws, without cookie, log-in
or CSRF token, because mail programs press the button themselves. Source: RFC 8058.
"""

from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from campaigns.channels import read_unsubscribe_token
from rules.models import How
from rules.segments import Because

from ..config import clock
from ..customers.models import Consent
from ..flows.consent import said_by

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>{title}</title></head>
<body style="font:16px/1.5 sans-serif;max-width:32em;margin:3em auto;padding:0 1em">
<h1>{title}</h1><p>{text}</p>%s</body></html>"""
FORM = """<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">
<button style="font:inherit;padding:.5em 1em">Unsubscribe</button></form>"""
ASK, TELL = PAGE.replace("%s", FORM), PAGE.replace("%s", "")
SOURCE = "unsubscribe link"


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks, POST withdraws; a token that we did not sign is a 400 and changes nothing."""
    try:
        customer_id, channel = read_unsubscribe_token(token)
        label = Consent.Channel(channel).label
    except ValueError:
        text = "Open the link from the message once more, or answer the message."
        return _page(TELL, "This link is not complete", text, status=400)
    if request.method != "POST":
        return _page(ASK, f"Stop {label} messages?", f"You will get no more {label} messages from us.")
    withdraw(customer_id, channel)
    return _page(TELL, "You are unsubscribed", f"We will send you no more {label} messages.")


def withdraw(customer_id: int, channel: str) -> None:
    """Write down the customer's no. One who was deleted meanwhile has nothing left to withdraw."""
    now = clock.now()
    with said_by([customer_id], now, Because(How.EVENT, SOURCE)) as there:
        if customer_id in there:
            said = {"granted": False, "at": now, "source": SOURCE}
            Consent.objects.update_or_create(customer_id=customer_id, channel=channel, defaults=said)


def _page(page: str, title: str, text: str, status: int = 200) -> HttpResponse:
    return HttpResponse(format_html(page, title=title, text=text), status=status)
