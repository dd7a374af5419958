"""Reads files of tensors from other programs: code in them does not run, and errors are one line.

Files are mapped into memory if their form allows it, so that a checkpoint with an optimizer's state takes no more
memory than the tensors that are used.
"""

import pickle
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from data_prep.file_kinds import FileKind, identify_file

NO_PICKLE = "it is not what torch.save writes"
_REMEDIES = {
    FileKind.LFS_POINTER: "fetch it with `git lfs pull`",
    FileKind.HTML: "download it again",
    FileKind.EMPTY: "download it again",
}


def load_tensors(path: Path, named_classes: Sequence[Any] = ()) -> Any:
    """Read a file that `torch.save` or safetensors wrote, without running code from it.

    Args:
        path: A `.safetensors` file, or one with another suffix in one of `torch.save`'s two forms.
        named_classes: Classes beyond tensors and plain containers that the file may name, as
            `torch.serialization.safe_globals` takes them.

    Returns:
        The content; tensors on the CPU, in the number format of the file, mapped from it where possible.

    Raises:
        ValueError: The file is a Git-LFS pointer, an HTML page, empty, cut short, damaged, or names another class.
    """
    check_is_payload(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(list(named_classes)):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path}: refused, {describe_blocked_pickle(error)}; expected tensors alone") from error
    except (SafetensorError, RuntimeError, EOFError, KeyError, AttributeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), "it ends too early")
        raise ValueError(f"{path}: found it cut short or damaged ({reason}); copy it again") from error


def describe_blocked_pickle(error: pickle.UnpicklingError) -> str:
    """Say why torch refused a pickle, without torch's advice to run it all the same."""
    blocked = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"it names {blocked[1]}, which is not on the list of safe classes" if blocked else NO_PICKLE


def check_is_payload(path: Path) -> None:
    """Refuse what a failed download leaves where the real file should be.

    Raises:
        ValueError: The file is a Git-LFS pointer, an HTML page or empty.
    """
    kind = identify_file(path)
    if kind is not None and kind in _REMEDIES:
        raise ValueError(f"{path}: found {kind.value}, expected the file itself; {_REMEDIES[kind]}")
