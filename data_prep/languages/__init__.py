"""The languages: one data file each, read by `language.py`."""
