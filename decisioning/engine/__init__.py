"""The resolver: a frozen snapshot, a customer and a moment in; contents with reasons and propensities out. Pure."""
