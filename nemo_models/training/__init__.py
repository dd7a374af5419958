"""Fine-tuning: what is checked before it, watched during it, and resumed after it."""
