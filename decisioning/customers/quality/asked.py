"""Rows of people's policies in; what learning takes, out."""

from decisioning.learning.policies import Policy

from ..models import QualityPolicy


def policies() -> dict[str, Policy]:
    """{fact: what is done about its outliers and gaps where learning reads it}; rows that ask for nothing left out."""
    rows = QualityPolicy.objects.order_by("fact")
    found = {row.fact: policy_of(row) for row in rows}
    return {fact: policy for fact, policy in found.items() if policy.asks}


def policy_of(row: QualityPolicy) -> Policy:
    """One row as learning takes it."""
    return Policy(row.outliers, row.method, row.width, row.missing)
