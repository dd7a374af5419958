"""Training encoders before any fine-tuning."""
