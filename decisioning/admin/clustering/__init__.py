"""Clusterings of customers as pages: the one in use, what it was chosen from, its personas, and a search for others."""

from .views import URLS

__all__ = ["URLS"]
