"""Reading, decoding and measuring audio."""
