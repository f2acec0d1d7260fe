"""Customers who may be one person in; a page that sets two beside each other and takes a yes or a no, out."""

from functools import partial
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from decisioning.config import clock
from decisioning.console.pages import ReadOnly
from decisioning.flows import unite

from ..models import Proposal
from .previews import joining
from .reading import customer_url
from .uniting import author, done, may_unite, note

SHOWN: Final = 20


@admin.register(Proposal)
class ProposalAdmin(ReadOnly):
    """Possibly the same person: nothing merges by itself."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Proposal]:
        """With both customers."""
        return super().get_queryset(request).select_related("one", "other", "decided_by")

    def get_custom_urls(self) -> tuple[Any, ...]:
        """The answer to a proposal."""
        return (("<int:pk>/decide/", "customers_proposal_decide", self.decide),)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """What is to be decided, the surest first; or what was decided, the latest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        decided = request.GET.get("show") == "decided"
        rows = self.get_queryset(request)
        found = _decided(rows) if decided else _open(rows)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Possibly the same person",
            "decided": decided,
            "proposals": [] if decided else [_beside(row) for row in found[:SHOWN]],
            "history": found[: 5 * SHOWN] if decided else [],
            "more": not decided and len(found) > SHOWN,
            "may_change": request.user.has_perm("customers.change_customer"),
        }
        return TemplateResponse(request, "admin/customers/proposals.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A proposal is read where it is decided."""
        proposal = self.get_object(request, object_id)
        if proposal is None or not self.has_view_permission(request, proposal):
            return super().change_view(request, object_id, form_url, extra_context)
        return redirect(customer_url(proposal.one_id))

    @method_decorator(require_POST)
    def decide(self, request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
        """Take a yes or a no; a yes to two user ids is asked for once more, in words."""
        may_unite(request)
        proposal = get_object_or_404(Proposal.objects.select_related("one", "other"), pk=pk)
        accept = request.POST.get("answer") == "accept"
        if not accept and request.POST.get("answer") != "dismiss":
            messages.error(request, "Nothing was changed: the answer must be accept or dismiss.")
        elif proposal.state != Proposal.State.OPEN:
            messages.info(request, f"Nothing was changed: this was decided already ({proposal.get_state_display()}).")
        elif accept and joining(proposal.one, proposal.other).typed:
            return redirect(_ask_again(proposal))
        else:
            self._decide(request, proposal, accept)
        return redirect("admin:customers_proposal_changelist")

    def _decide(self, request: HttpRequest, proposal: Proposal, accept: bool) -> None:
        pair = f"{proposal.one} and {proposal.other}"
        if not done(request, partial(unite.decide, proposal.pk, accept, author(request), clock.now())):
            return
        what = f"Merged {pair}: the proposal was accepted." if accept else f"Said that {pair} are not the same."
        note(request, [proposal.one, proposal.other], what)
        messages.success(request, f"{pair} are one customer now." if accept else f"{pair} stay two customers.")


def _open(rows: QuerySet[Proposal]) -> list[Proposal]:
    """The surest open ones, and one more than is shown; those whose customers were merged meanwhile are moot."""
    apart = rows.filter(one__merged_into__isnull=True, other__merged_into__isnull=True)
    return list(apart.filter(state=Proposal.State.OPEN).order_by("-score", "pk")[: SHOWN + 1])


def _decided(rows: QuerySet[Proposal]) -> list[Proposal]:
    return list(rows.exclude(state=Proposal.State.OPEN).order_by("-decided_at", "-pk")[: 5 * SHOWN])


def _beside(proposal: Proposal) -> dict[str, Any]:
    """One proposal with both sides, in the order it names them."""
    plan = joining(proposal.one, proposal.other)
    return {
        "row": proposal,
        "percent": round(100 * proposal.score),
        "plan": plan,
        "ask": _ask_again(proposal) if plan.typed else "",
    }


def _ask_again(proposal: Proposal) -> str:
    url = reverse("admin:customers_customer_merge", args=[proposal.one_id])
    return f"{url}?with={proposal.other_id}&proposal={proposal.pk}"
