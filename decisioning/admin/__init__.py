"""The engine's own admin pages: overview, menu, ledger, learned things, keys and accounts."""

from . import access, attribution, clustering, learned, ledger, traffic
from .menu import icon, navigation, stylesheet
from .overview import dashboard, environment_label

__all__ = [
    "access",
    "attribution",
    "clustering",
    "dashboard",
    "environment_label",
    "icon",
    "learned",
    "ledger",
    "navigation",
    "stylesheet",
    "traffic",
]
