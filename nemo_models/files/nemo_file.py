"""Reading the configuration in a `.nemo` file (a tar of YAML and weights) without restoring the model."""

import tarfile
import zlib
from pathlib import Path
from typing import Any

import yaml

MAX_CONFIG_BYTES = 50 * 2**20  # far above any real one; a hostile file does not fill the memory

CHECKPOINT_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")


def read_nemo_config(path: Path) -> dict[str, Any]:
    """Read the configuration inside a `.nemo` file, without its weights and without running code from it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a `.nemo` file.
    """
    if path.is_dir():
        raise ValueError(f"{path}: found a folder, expected a .nemo file; {_say_how_to_import(path)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with tarfile.open(path, "r:*") as archive:
            member = next((m for m in archive if Path(m.name).name == "model_config.yaml" and m.isfile()), None)
            stream = archive.extractfile(member) if member and member.size <= MAX_CONFIG_BYTES else None
            config = yaml.safe_load(stream) if stream else None
    except (tarfile.TarError, EOFError, OSError, zlib.error, yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise ValueError(f"{path}: expected a .nemo file ({reason}); {_say_how_to_import(path)}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path}: found no model_config.yaml in the archive, expected a .nemo file; copy it again")
    return config


def _say_how_to_import(path: Path) -> str:
    """Give the remedy for a path that is not a `.nemo` file: the import of a checkpoint, if it looks like one."""
    if (path / "config.json").is_file() or path.suffix in CHECKPOINT_SUFFIXES:
        checkpoint = path.parent if path.suffix == ".safetensors" else path
        return f"import it first: python scripts/import_checkpoint.py checkpoint={checkpoint} output=model.nemo"
    return "give a .nemo file, or copy it again"


def read_labels(model_path: Path) -> list[str]:
    """Read an acoustic model's labels, in order, without the blank, from its `.nemo` file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a `.nemo` file of a character model.
    """
    config = read_nemo_config(model_path)
    labels = (config.get("decoder") or {}).get("vocabulary") or config.get("labels")
    if not labels:
        raise ValueError(
            f"{model_path}: found no labels (decoder.vocabulary), expected a CTC model over characters; choose one"
        )
    return [str(label) for label in labels]
