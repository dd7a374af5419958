"""Synthesised speech for the demo and the tests."""
