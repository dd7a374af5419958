"""Reads a JSON object from a file of another program."""

import json
from pathlib import Path
from typing import Any

from nemo_models.files.tensor_files import check_is_payload


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object, with or without a byte order mark.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file does not hold a JSON object.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; a Hugging Face checkpoint has it beside its weights")
    check_is_payload(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: found text that is not JSON ({error}); download it again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: found {type(content).__name__}, expected a JSON object; download it again")
    return content
