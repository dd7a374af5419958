"""Which utterances to keep: quality limits, duplicates, leaks, splits."""
