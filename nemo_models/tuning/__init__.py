"""The search for the decoder's settings on a development set."""
