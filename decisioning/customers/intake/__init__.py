"""From what somebody sends to committed rows of the event log."""
