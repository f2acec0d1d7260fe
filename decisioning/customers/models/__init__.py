"""Everything about customers that PostgreSQL keeps."""

from .log import DeadLetter, Event, ImportRun, Pending, PlannedEvent, PlanProblem, Receipt
from .people import Consent, Customer, FactVocabulary, Identity, Link, Merge, Proposal, State

__all__ = [
    "Consent",
    "Customer",
    "DeadLetter",
    "Event",
    "FactVocabulary",
    "Identity",
    "ImportRun",
    "Link",
    "Merge",
    "Pending",
    "PlanProblem",
    "PlannedEvent",
    "Proposal",
    "Receipt",
    "State",
]
