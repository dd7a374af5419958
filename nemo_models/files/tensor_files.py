"""Opening files of tensors that somebody else wrote: nothing in them runs, and what is wrong is said in one line.

Files are mapped into memory where their form allows it, so that a checkpoint that also holds an optimiser's state costs
no more than the tensors that are used.
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

GIT_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
HTML_START = re.compile(rb"\s*<(!doctype|html|head|\?xml)", flags=re.IGNORECASE)
NO_PICKLE = "it is not what torch.save writes"


def load_tensors(path: Path, named_classes: Sequence[Any] = ()) -> Any:
    """Read a file that `torch.save` or safetensors wrote, without running anything from it.

    Args:
        path: `.safetensors`, or anything else for `torch.save`'s two forms.
        named_classes: Classes beyond tensors and plain containers that the file may name, as
            `torch.serialization.safe_globals` takes them.

    Returns:
        What was saved; tensors on the CPU, in the number format of the file, mapped from it where possible.

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
        raise ValueError(f"{path}: refused, {describe_refusal(error)}") from error
    except (SafetensorError, RuntimeError, EOFError, KeyError, AttributeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), "it ends too early")
        raise ValueError(f"{path}: cut short or damaged ({reason})") from error


def describe_refusal(error: pickle.UnpicklingError) -> str:
    """Why torch refused a pickle: what it names, without torch's advice to run it all the same."""
    blocked = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"it names {blocked[1]}, which this reader does not admit" if blocked else NO_PICKLE


def check_is_payload(path: Path) -> None:
    """Tell the files that a download leaves behind where the real one should be.

    Raises:
        ValueError: The file is a Git-LFS pointer, an HTML page or empty.
    """
    with path.open("rb") as stream:
        start = stream.read(512)
    if start.startswith(GIT_LFS_POINTER):
        raise ValueError(f"{path}: a Git-LFS pointer, not the file itself; fetch it with `git lfs pull`")
    if HTML_START.match(start):
        raise ValueError(f"{path}: an HTML page saved under this name, not the file itself; download it again")
    if not start:
        raise ValueError(f"{path}: empty; download it again")
