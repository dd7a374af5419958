"""N-gram language models of characters and words: text, estimation, interpolation, perplexity, files."""
