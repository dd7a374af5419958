"""Training encoders before any fine-tuning: on synthesised speech from nothing, and on audio without transcripts."""
