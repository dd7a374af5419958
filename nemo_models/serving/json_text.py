"""Writes JSON that can be sent even if a client's text has half of a surrogate pair, which UTF-8 cannot encode."""

import json
from typing import Any


def encode_json(value: Any) -> str:
    """Return a value as JSON with its letters as they are; only lone surrogates are escaped."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
