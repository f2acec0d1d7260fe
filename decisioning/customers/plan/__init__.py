"""The tracking plan: what events are expected to hold, and what does not fit."""
