"""Self-training: filtered labels that a model writes for unlabelled audio, and rounds of learning from them."""
