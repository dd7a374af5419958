"""A language model inside the `.nemo` file of the acoustic model that it was tuned with, as one of NeMo's artifacts.

NeMo unpacks a `.nemo` file into a folder that it removes once the model is built, while the decoding, which reads the
language model, may be set up again at any time. A bundled language model is therefore kept in a folder of this process.
That folder also distinguishes it from a file of the user's: only a bundled one is saved with the model.
"""

import os
import shutil
import tarfile
import tempfile
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nemo.utils.app_state import AppState
from omegaconf import DictConfig, OmegaConf, open_dict

from nemo_models.files.nemo_file import read_nemo_config

if TYPE_CHECKING:
    from nemo.core import ModelPT

LM_KEY = "decoding.beam.ngram_lm_model"  # in a model's configuration
_FILE_NAME = "ngram_lm"  # with the suffix that tells a language model of characters (.nemo) from one of words (.arpa)
_IN_ARCHIVE = "nemo:"  # how NeMo marks a path inside the .nemo file


def keep_language_model(source: Path, name: str | None = None) -> Path:
    """Keep a language model's file, such that it is saved with a model.

    Args:
        source: The file; it may be removed afterwards.
        name: A name for it; `None` makes one up. A second file of the same name is taken for the same.

    Returns:
        The kept file, which exists as long as this process.
    """
    target = Path(_folder().name) / (name or uuid.uuid4().hex) / f"{_FILE_NAME}{source.suffix}"
    if not target.exists():
        target.parent.mkdir()
        try:
            os.link(source, target)  # takes no time and no space
        except OSError:
            shutil.copyfile(source, target)
    return target


def is_bundled(path: str | Path | None) -> bool:
    """Whether a language model's file is a kept one, which is saved with its model."""
    return path is not None and Path(path).parent.parent == Path(_folder().name)


def unpack_language_model(config: DictConfig) -> None:
    """Keep the language model of a `.nemo` file that is being restored; call this before the decoding is built.

    Args:
        config: The model's configuration. A path inside the archive becomes one on disk; others stay as they are.

    Raises:
        ValueError: The archive lacks the file that its configuration names.
    """
    name = OmegaConf.select(config, LM_KEY)
    if not isinstance(name, str) or not name.startswith(_IN_ARCHIVE):
        return
    name = name.removeprefix(_IN_ARCHIVE)
    folder = AppState().nemo_file_folder
    if Path(name).name != name or not folder or not (Path(folder) / name).is_file():
        raise ValueError(
            f"{LM_KEY}={name}: expected a file in the .nemo archive, found none; copy the .nemo file again"
        )
    with open_dict(config):
        OmegaConf.update(config, LM_KEY, str(keep_language_model(Path(folder) / name, name)))


def register_language_model(model: "ModelPT") -> None:
    """Make NeMo's `save_to` write the bundled language model of the current decoding, or none.

    NeMo's `register_artifact` refuses files that end in `.nemo`, taking them for models; its connector does not.
    """
    model.artifacts = dict(getattr(model, "artifacts", None) or {})
    model.artifacts.pop(LM_KEY, None)
    path = OmegaConf.select(model.cfg, LM_KEY)
    if is_bundled(path):
        model._save_restore_connector.register_artifact(model, LM_KEY, path)


def extract_language_model(model_path: Path, folder: Path) -> Path | None:
    """Write the language model that a `.nemo` file bundles, without restoring the model.

    Args:
        model_path: The acoustic model's file.
        folder: Existing folder for the language model.

    Returns:
        The written file; `None` if nothing is bundled.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a `.nemo` file, or it lacks the file that its configuration names.
    """
    config = read_nemo_config(model_path)
    name = ((config.get("decoding") or {}).get("beam") or {}).get("ngram_lm_model")
    if not isinstance(name, str) or not name.startswith(_IN_ARCHIVE):
        return None
    name = Path(name.removeprefix(_IN_ARCHIVE)).name
    with tarfile.open(model_path, "r:*") as archive:
        member = next((one for one in archive if Path(one.name).name == name and one.isfile()), None)
        stream = archive.extractfile(member) if member else None
        if stream is None:
            raise ValueError(
                f"{model_path}: found no {name} in the archive, expected its language model; copy it again"
            )
        target = folder / f"{_FILE_NAME}{Path(name).suffix}"
        with target.open("wb") as out:
            shutil.copyfileobj(stream, out)
    return target


@cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="bundled_lm_")
