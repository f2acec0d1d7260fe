"""Customers: who somebody is, what they did and allowed, and the facts that follow from it."""
