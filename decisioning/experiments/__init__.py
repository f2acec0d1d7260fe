"""Fair comparisons: who gets which arm, and by which dice."""
