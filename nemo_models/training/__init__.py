"""Fine-tuning: checks before it, reports during it, and exact resume."""
