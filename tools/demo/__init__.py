"""Openly published data comes in; customers, events and contents in the product's words come out."""
