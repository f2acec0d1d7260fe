"""Everything about customers that PostgreSQL keeps."""

from .facts import CustomFact, Distribution, Due, QualityPolicy, QualityReport
from .log import DeadLetter, Event, ImportRun, Pending, PlannedEvent, PlanProblem, Receipt
from .people import Consent, Customer, FactVocabulary, Identity, Link, Merge, Proposal, State

__all__ = [
    "Consent",
    "CustomFact",
    "Customer",
    "DeadLetter",
    "Distribution",
    "Due",
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
    "QualityPolicy",
    "QualityReport",
    "Receipt",
    "State",
]
