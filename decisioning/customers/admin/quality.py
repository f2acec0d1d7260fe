"""What was found wrong with facts and events in; pages that show it, set policies and start a check, out."""

from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from decisioning.console.pages import ReadOnly, enqueue
from decisioning.flows import quality

from ..models import PlannedEvent, QualityPolicy, QualityReport
from ..quality.findings import findings_of
from ..quality.preview import Preview, preview
from .quality_form import READ, PolicyForm
from .quality_rows import LARGE as LARGE_PICTURE
from .quality_rows import bars, counted, numbers_of, picture, row_of, told, words
from .uniting import author

SHOWN: Final = 200
TABS: Final = (("mend", "Needs mending"), ("fact", "Facts"), ("event", "Events"))


@admin.register(QualityReport)
class QualityReportAdmin(ReadOnly):
    """Data quality: what needs mending first, then every fact and every event."""

    def get_custom_urls(self) -> tuple[Any, ...]:
        """The button, how far a check is, and a fact's policy."""
        return (
            ("check/", "customers_qualityreport_check", self.check_now),
            ("progress/", "customers_qualityreport_progress", self.progress),
            ("<int:pk>/policy/", "customers_qualityreport_policy", self.policy),
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """One of three tabs."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        tab = next((name for name, _ in TABS if name == request.GET.get("show")), "mend")
        term = request.GET.get("q", "").replace("\x00", "").strip()
        found = list(_rows(self.get_queryset(request), tab, term)[: SHOWN + 1])
        policies = {row.fact: row for row in QualityPolicy.objects.all()}
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Data quality",
            "tab": tab,
            "tabs": _tabs(),
            "term": term,
            "rows": [row_of(row, policies.get(row.name) if row.kind == "fact" else None) for row in found[:SHOWN]],
            "more": len(found) > SHOWN,
            "shown": SHOWN,
            "checked_at": QualityReport.objects.aggregate(at=Max("at"))["at"],
            "may_check": request.user.has_perm("customers.change_qualityreport"),
            "underway": quality.underway(),
        }
        return TemplateResponse(request, "admin/quality/list.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One fact or event, whole; and a fact's policy."""
        report = self.get_object(request, object_id)
        if report is None or request.method == "POST" or not self.has_view_permission(request, report):
            return super().change_view(request, object_id, form_url, extra_context)
        return self._page(request, report, self._form(report), None)

    @method_decorator(require_POST)
    def check_now(self, request: HttpRequest, model_admin: Any) -> HttpResponse:
        """Ask a worker to look through everything now."""
        if not request.user.has_perm("customers.change_qualityreport"):
            raise PermissionDenied
        if quality.underway():
            messages.info(request, "A check is running already; this page follows it.")
        else:
            enqueue(request, "check_quality", None, "check the data")
        return redirect("admin:customers_qualityreport_changelist")

    def progress(self, request: HttpRequest, model_admin: Any) -> HttpResponse:
        """How far the running check is, and when the last one was: JSON."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = quality.underway()
        last = QualityReport.objects.aggregate(at=Max("at"))["at"]
        running = {"percent": round(100 * now.share), "what": now.what} if now else None
        return JsonResponse({"running": running, "checked": last.isoformat() if last else None})

    @method_decorator(require_POST)
    def policy(self, request: HttpRequest, model_admin: Any, pk: int) -> HttpResponse:
        """Show what a policy would do, or save it."""
        report = get_object_or_404(QualityReport, pk=pk, kind=QualityReport.Kind.FACT)
        if not _may_set(request):
            raise PermissionDenied
        form = self._form(report, request.POST)
        if form is None:
            raise PermissionDenied
        seen = preview(report.name, form.policy) if form.is_valid() else None
        if "fragment" in request.POST:
            return render(request, "admin/quality/preview.html", _preview(seen))
        if seen is None or "preview" in request.POST:
            return self._page(request, report, form, seen)
        self._save(request, report, form)
        return redirect("admin:customers_qualityreport_change", pk)

    def _save(self, request: HttpRequest, report: QualityReport, form: PolicyForm) -> None:
        adding = form.instance.pk is None
        form.instance.fact = report.name
        row = form.save()
        LogEntry.objects.log_actions(
            user_id=author(request),
            queryset=[report],
            action_flag=ADDITION if adding else CHANGE,
            change_message=f"Policy: {row_of(report, row)['policy']}.",
        )
        messages.success(request, "Saved. It holds from the next training on; what came in stays as it is.")

    def _form(self, report: QualityReport, data: Any = None) -> PolicyForm | None:
        kind = report.findings.get("figures", {}).get("type")
        if report.kind != QualityReport.Kind.FACT or kind not in READ:
            return None
        row = QualityPolicy.objects.filter(fact=report.name).first()
        return PolicyForm(data, instance=row, kind=kind)

    def _page(
        self, request: HttpRequest, report: QualityReport, form: PolicyForm | None, seen: Preview | None
    ) -> HttpResponse:
        figures = report.findings.get("figures", {})
        is_fact = report.kind == QualityReport.Kind.FACT
        policy = QualityPolicy.objects.filter(fact=report.name).first() if is_fact else None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": report,
            "title": figures.get("label") or report.name,
            "row": row_of(report, policy),
            "figures": numbers_of(figures) if is_fact else counted(figures),
            "picture": picture(figures) if is_fact else {"bars": bars(figures.get("days", []), LARGE_PICTURE)},
            "words": words(figures),
            "findings": told(findings_of(report.findings)),
            "form": form if _may_set(request) else None,
            "is_fact": is_fact,
            "plan_url": "" if is_fact else _plan_url(report.name),
            **_preview(seen),
        }
        return TemplateResponse(request, "admin/quality/report.html", context)


def _rows(rows: QuerySet[QualityReport], tab: str, term: str) -> QuerySet[QualityReport]:
    """The worst first."""
    found = rows.filter(severity__gt=0) if tab == "mend" else rows.filter(kind=tab)
    if term:
        found = found.filter(Q(name__icontains=term) | Q(findings__figures__label__icontains=term))
    return found.order_by("-severity", "kind", "name")


def _tabs() -> list[tuple[str, str, int]]:
    """Name, label and number of rows."""
    counts = {
        "mend": QualityReport.objects.filter(severity__gt=0).count(),
        "fact": QualityReport.objects.filter(kind="fact").count(),
        "event": QualityReport.objects.filter(kind="event").count(),
    }
    return [(name, label, counts[name]) for name, label in TABS]


def _may_set(request: HttpRequest) -> bool:
    return request.user.has_perm("customers.change_qualitypolicy")


def _preview(seen: Preview | None) -> dict[str, Any]:
    if seen is None:
        return {"seen": None}
    return {"seen": seen, "before": picture(seen.before), "after": picture(seen.after)}


def _plan_url(name: str) -> str:
    pk = PlannedEvent.objects.filter(name=name).values_list("pk", flat=True).first()
    return reverse("admin:customers_plannedevent_change", args=[pk]) if pk else ""
