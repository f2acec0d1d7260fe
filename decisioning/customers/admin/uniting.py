"""Two customers, or a merge of two, in; pages that show what would happen, ask, and do it, out."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin

from decisioning.config import clock
from decisioning.flows import unite

from ..identity.family import head_of
from ..models import Customer, Merge, Proposal
from .finding import find
from .previews import joining, parting
from .reading import customer_url

log = logging.getLogger(__name__)

CANDIDATES = 20


def author(request: HttpRequest) -> int:
    """Who presses the buttons: the id of an account, since nobody else gets here."""
    if request.user.pk is None:
        raise PermissionDenied
    return request.user.pk


def may_unite(request: HttpRequest) -> None:
    """Raise PermissionDenied for people who may only look."""
    if not request.user.has_perm("customers.change_customer"):
        raise PermissionDenied


def note(request: HttpRequest, customers: list[Customer], what: str) -> None:
    """Write it into the admin's log, at each customer it was done to."""
    LogEntry.objects.log_actions(
        user_id=author(request),
        queryset=customers,
        action_flag=CHANGE,
        change_message=what,
    )


def done(request: HttpRequest, do: Callable[[], object]) -> bool:
    """Do it, all or nothing; where it cannot be done, say why."""
    try:
        do()
    except unite.NotPossible as refusal:
        messages.error(request, f"Nothing was changed. {refusal}")
        return False
    except redis.RedisError:
        log.exception("who is who was not changed")
        messages.error(request, "Nothing was changed: Redis cannot be reached. Try again when it is back.")
        return False
    return True


class Uniting(ModelAdmin):
    """The pages of the customer admin that merge two customers, and that undo a merge."""

    def get_custom_urls(self) -> tuple[Any, ...]:
        """Merging, and undoing it."""
        return (
            ("<int:pk>/merge/", "customers_customer_merge", self.merge),
            ("merges/<int:pk>/undo/", "customers_customer_undo", self.undo),
        )

    def seen(self, request: HttpRequest, pk: int) -> Customer:
        """The customer, for somebody who may look at customers."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(Customer.objects.select_related("merged_into"), pk=pk)

    def merge(self, request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
        """Choose the other customer, look at both side by side, and make them one."""
        may_unite(request)
        customer = self.seen(request, pk)
        if winner := customer.merged_into:
            messages.info(request, f"{customer} is part of {winner} already; this is {winner}.")
            return redirect(customer_url(winner.pk))
        other = request.POST.get("with") or request.GET.get("with") or ""
        if not other.isdecimal():
            return self._choose(request, customer)
        return self._join(request, customer, get_object_or_404(Customer, pk=int(other)))

    def _choose(self, request: HttpRequest, customer: Customer) -> HttpResponse:
        term = request.GET.get("q", "").replace("\x00", "").strip()
        ids = [pk for pk in find(term).ids if pk != customer.pk]
        rows = (
            Customer.objects.filter(merged_into__isnull=True).prefetch_related("identities").in_bulk(ids[:CANDIDATES])
        )
        found = [rows[pk] for pk in ids if pk in rows]
        page = {"title": f"Merge {customer} with …", "customer": customer, "term": term, "found": found}
        return self._page(request, "choose", page)

    def _join(self, request: HttpRequest, customer: Customer, other: Customer) -> HttpResponse:
        if other.pk == customer.pk or other.merged_into_id is not None:
            messages.error(request, f"Nothing was changed: {other} is already part of this or another customer.")
            return redirect("admin:customers_customer_merge", customer.pk)
        plan, wrong = joining(customer, other), ""
        if request.method == "POST":
            if not plan.typed or request.POST.get("typed", "").strip() == plan.typed:
                return self._do_join(request, customer, other)
            wrong = f"Nothing was changed: this is not {plan.typed}."
        page = {
            "title": f"Make {customer} and {other} one customer?",
            "customer": customer,
            "other": other,
            "plan": plan,
            "wrong": wrong,
            "proposal": request.POST.get("proposal") or request.GET.get("proposal") or "",
        }
        return self._page(request, "merge", page)

    def _do_join(self, request: HttpRequest, customer: Customer, other: Customer) -> HttpResponse:
        proposal = request.POST.get("proposal", "")
        if proposal.isdecimal() and _between(int(proposal), customer, other):
            do = partial(unite.decide, int(proposal), True, author(request), clock.now())
        else:
            do = partial(unite.merge, customer.pk, other.pk, author(request), clock.now())
        if not done(request, do):
            return redirect(customer_url(customer.pk))
        note(request, [customer, other], f"Merged {customer} and {other}.")
        winner = Customer.objects.get(pk=head_of(customer.pk))
        messages.success(request, f"{customer} and {other} are one customer now: {winner}.")
        return redirect(customer_url(winner.pk))

    def undo(self, request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
        """Say what would move, ask, and take a merge back."""
        may_unite(request)
        merge = get_object_or_404(Merge.objects.select_related("winner__merged_into", "loser", "link"), pk=pk)
        self.seen(request, merge.winner_id)
        plan = parting(merge)
        back = customer_url(plan.owner.pk)
        if merge.undone_at is not None:
            messages.info(request, f"This merge was undone already, on {merge.undone_at:%-d %B %Y, %H:%M} UTC.")
            return redirect(back)
        if request.method == "POST":
            return self._do_undo(request, merge, back)
        page = {
            "title": f"Take {merge.loser} and {plan.owner} apart again?",
            "merge": merge,
            "plan": plan,
            "back": back,
        }
        return self._page(request, "undo", page)

    def _do_undo(self, request: HttpRequest, merge: Merge, back: str) -> HttpResponse:
        if not done(request, partial(unite.undo, merge.pk, author(request), clock.now())):
            return redirect(back)
        note(request, [merge.winner, merge.loser], f"Undid the merge of {merge.loser} into {merge.winner}.")
        messages.success(request, f"{merge.loser} and {merge.winner} are two customers again, and stay apart.")
        return redirect(customer_url(merge.loser_id))

    def _page(self, request: HttpRequest, name: str, page: dict[str, Any]) -> HttpResponse:
        urls = {"list_url": reverse("admin:customers_customer_changelist")}
        context = {**self.admin_site.each_context(request), "opts": self.opts, **urls, **page}
        return TemplateResponse(request, f"admin/customers/{name}.html", context)


def _between(pk: int, one: Customer, other: Customer) -> bool:
    """Whether this open proposal is about these two."""
    proposal = Proposal.objects.filter(pk=pk, state=Proposal.State.OPEN).first()
    return proposal is not None and {proposal.one_id, proposal.other_id} == {one.pk, other.pk}
