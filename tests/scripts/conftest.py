"""Fixtures of the tests of scripts."""

from corpus_fixtures import make_corpus, prepare_command, write_audio

__all__ = ["make_corpus", "prepare_command", "write_audio"]
