"""JSON that can be sent whatever a client wrote: UTF-8 has no bytes for half of a surrogate pair."""

import json
from typing import Any


def write_json(value: Any) -> str:
    """Return a value as JSON with its letters as they are; only lone surrogates are escaped."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
