"""Looking into a `.nemo` file (a tar of a YAML configuration and weights) without restoring the model in it."""

import tarfile
import zlib
from pathlib import Path
from typing import Any

import yaml

MAX_CONFIG_BYTES = 50 * 2**20  # far above any real one; keeps a hostile file from filling the memory


def read_nemo_config(path: Path) -> dict[str, Any]:
    """Read the configuration inside a `.nemo` file, without its weights and without running anything from it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a `.nemo` file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with tarfile.open(path, "r:*") as archive:
            member = next((m for m in archive if Path(m.name).name == "model_config.yaml" and m.isfile()), None)
            stream = archive.extractfile(member) if member and member.size <= MAX_CONFIG_BYTES else None
            config = yaml.safe_load(stream) if stream else None
    except (tarfile.TarError, EOFError, OSError, zlib.error, yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise ValueError(f"{path}: not a .nemo file, or damaged ({reason})") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path}: not a .nemo file: no model_config.yaml in the archive")
    return config


def read_labels(model_path: Path) -> list[str]:
    """Read an acoustic model's labels, in order, without the blank, from its `.nemo` file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a `.nemo` file of a character model.
    """
    config = read_nemo_config(model_path)
    labels = (config.get("decoder") or {}).get("vocabulary") or config.get("labels")
    if not labels:
        raise ValueError(f"{model_path}: holds no labels (decoder.vocabulary); expected a CTC model over characters")
    return [str(label) for label in labels]
