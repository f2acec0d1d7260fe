"""What events and traits add up to: facts, for one customer and for all."""
