"""Import of wav2vec 2.0 checkpoints of fairseq and Hugging Face: read safely and proven equal to their source."""
