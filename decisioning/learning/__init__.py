"""Learned things, without a framework: features, scorers, clusterings, and what they are worth."""
