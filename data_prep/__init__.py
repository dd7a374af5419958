"""Turning Hindi corpora into NeMo manifests: text, audio, checks, splits. Imports neither torch nor NeMo."""
