"""A challenger in; what it would have done with live decisions, beside the champion, and what the gate says, out.

Nobody is shown anything by a shadow: the worker scores what the ledger kept of live decisions. So it costs the request
nothing, and a look that was killed is simply made again.
"""

import logging
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import Q

from ..learning import dataset
from ..learning.bench import Champion, Question
from ..learning.contest import Taught
from ..learning.gate import CHAMPION, Verdict, judge
from ..learning.live import Live
from ..learning.scorer import Scorer
from ..learning.shadowing import Shadowed, constants_from, shadowed
from ..models import Artefact
from ..store import artefacts
from .alert import alert
from .showings import ingredients
from .watch import sampled

log = logging.getLogger(__name__)

NAME: Final = "shadow"
DECISIONS: Final = 20_000  # of all since it began; of more, an even sample
MOST: Final = 3  # at once


def begin(number: int, now: datetime) -> Artefact:
    """Let a scorer run as a shadow of the one in use from now on. Raises ValueError where that makes no sense."""
    artefact = Artefact.objects.filter(pk=number, kind=Artefact.Kind.SCORER).first()
    if artefact is None:
        raise ValueError(f"There is no scorer {number}; the page of learned things lists them.")
    if artefact.active:
        raise ValueError(f"{artefact} is in use: everything it scores is shown. Choose another one as its shadow.")
    if artefacts.active(Artefact.Kind.SCORER) is None:
        raise ValueError("No scorer is in use to be held against; activate one first.")
    others = list(shadows().exclude(pk=artefact.pk))
    if len(others) >= MOST:
        names = ", ".join(str(one) for one in others)
        raise ValueError(f"{MOST} shadows run already ({names}); stop one with `learn shadow NUMBER --stop`.")
    milliseconds = artefacts.trial(artefact)
    artefact.shadow_since = now
    artefact.save(update_fields=["shadow_since"])
    artefacts.note(artefact, {NAME: {"since": now.isoformat(), "milliseconds": milliseconds, "decisions": 0}})
    return artefact


def end(number: int) -> Artefact:
    """Stop it; what it saw stays with it."""
    artefact = shadows().filter(pk=number).first()
    if artefact is None:
        raise ValueError(f"No scorer {number} runs as a shadow.")
    artefact.shadow_since = None
    artefact.save(update_fields=["shadow_since"])
    return artefact


def shadows() -> Any:
    """Those that run."""
    mine = Q(kind=Artefact.Kind.SCORER, shadow_since__isnull=False, active=False)
    return Artefact.objects.filter(mine).order_by("pk")


def look(now: datetime) -> list[dict[str, Any]]:
    """Score what was decided since with every shadow, and keep what came of it; the reports."""
    champion = artefacts.active(Artefact.Kind.SCORER)
    if champion is None:
        return []
    return [report for one in shadows() if (report := _look(one, champion, now)) is not None]


def _look(one: Artefact, champion: Artefact, now: datetime) -> dict[str, Any] | None:
    try:
        challenger, used = (Scorer.from_artefact(artefacts.read(each)) for each in (one, champion))
    except ValueError as error:
        log.error("%s cannot run as a shadow: %s", one, error)
        return None
    assert one.shadow_since is not None
    since = max(moment for moment in (one.shadow_since, one.until, champion.until) if moment)
    shown = sampled(since, now, DECISIONS)
    if shown.is_empty():
        return None
    objective = one.metrics.get("objective", dataset.CONVERSION)
    closed = dataset.closed(shown, now, None, objective)
    sensitive = tuple(settings.SENSITIVE_FACTS)
    question = Question(since, now, objective, type(challenger), None, sensitive)
    found = shadowed(
        Live(shown, closed, ingredients(shown), question),
        challenger,
        Champion(used, since),
        shown,
        _taught(one),
        constants_from(challenger),
    )
    return _kept(one, champion, found, shown["group"].n_unique(), now)


def _taught(one: Artefact) -> Taught:
    rows, hits = int(one.metrics.get("rows") or 0), int(one.metrics.get("conversions") or 0)
    return Taught(rows, min(hits, max(rows - hits, 0)))


def _kept(one: Artefact, champion: Artefact, found: Shadowed, decisions: int, now: datetime) -> dict[str, Any]:
    before = one.metrics.get(NAME) or {}
    verdict = judged(found, before.get("milliseconds"))
    report = {
        "since": one.shadow_since.isoformat() if one.shadow_since else None,
        "at": now.isoformat(),
        "milliseconds": before.get("milliseconds"),
        "scorer": one.pk,
        "beside": champion.pk,
        "decisions": decisions,
        **found.to_dict(),
        "gate": verdict.to_dict(),
    }
    artefacts.note(one, {NAME: report})
    opened = verdict.promoted and not (before.get("gate") or {}).get("promoted")
    if opened:
        text = f"{one} did better than {champion} on {decisions:,} live decisions: {verdict.words}. Promote it, or not."
        alert(f"{one} would do better than {champion}", text)
    return report


def judged(found: Shadowed, milliseconds: float | None) -> Verdict:
    """What the gate says of it."""
    if found.unfit:
        return Verdict(False, f"keep {CHAMPION}: {found.unfit:,} of its scores are no numbers", ())
    if found.contest is None:
        return Verdict(False, f"keep {CHAMPION}: nothing that was decided since has closed yet", ())
    return judge(found.contest.evidence(milliseconds))


def promote(number: int) -> Artefact:
    """Put a shadow to work where the gate, asked with what it saw, lets it; raises ValueError with the reason else."""
    one = shadows().filter(pk=number).first()
    if one is None:
        raise ValueError(f"No scorer {number} runs as a shadow.")
    said = (one.metrics.get(NAME) or {}).get("gate")
    used = artefacts.active(Artefact.Kind.SCORER)
    if said is None:
        raise ValueError(f"{one} has seen nothing yet; wait until something was decided and its outcomes are known.")
    if not said["promoted"]:
        raise ValueError(f"The gate refuses it: {said['words']}")
    if used is None or used.pk != one.metrics[NAME]["beside"]:
        raise ValueError("Another scorer is in use than the one it was held against; wait for its next look.")
    artefacts.activate(one, f"it did better as a shadow: {said['words']}")
    return one
