"""Learning-rate schedule and parameter groups."""
