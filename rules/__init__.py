"""Who may see what: the rule language, segments and rules."""
