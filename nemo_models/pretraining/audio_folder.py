"""Folders of recordings as manifests: what pre-training reads needs no transcripts, so a folder is enough."""

import logging
from collections import Counter
from pathlib import Path

from omegaconf import DictConfig, open_dict

from data_prep.manifest import write_jsonl
from nemo_models.transcription.inputs import find_audio_inputs, measure_durations

logger = logging.getLogger(__name__)

SETS = ("train_ds", "validation_ds")


def list_audio_folders(cfg: DictConfig) -> None:
    """Write a manifest for each data set that names a folder (`audio_dir`), and let the data set read it.

    The manifest is in the run's folder; each process writes the same one.

    Args:
        cfg: The whole configuration, changed in place.

    Raises:
        FileNotFoundError: A folder does not exist.
        ValueError: A folder has no readable recording, or is given beside a manifest.
    """
    for name in SETS:
        dataset = cfg.model[name]
        folder = dataset.get("audio_dir")
        if not folder:
            continue
        for other in ("manifest_filepath", "shar_path"):
            if dataset.get(other):
                raise ValueError(
                    f"model.{name}.audio_dir={folder}: expected null beside model.{name}.{other}; give one of them"
                )
        # not in the run's folder itself, from which NeMo moves files when a run is resumed
        manifest = Path(cfg.exp_manager.exp_dir) / cfg.name / "audio_folders" / f"{name}.json"
        write_folder_manifest(Path(folder), manifest)
        with open_dict(cfg):
            dataset.manifest_filepath = str(manifest.absolute())


def write_folder_manifest(folder: Path, manifest: Path) -> None:
    """List the recordings of a folder and its subfolders in a manifest without transcripts.

    Args:
        folder: The folder.
        manifest: The manifest to write, with absolute paths.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: No recording in it is readable.
    """
    found = measure_durations(find_audio_inputs(folder))
    left_out = Counter("not found" if audio.error else "no readable header" for audio in found if not audio.header_s)
    rows = [
        {"audio_filepath": str(audio.path.absolute()), "duration": round(audio.header_s, 4)}
        for audio in found
        if audio.header_s
    ]
    for reason, count in left_out.items():
        example = next(str(audio.path) for audio in found if not audio.header_s)
        logger.warning("%s: left out %d × %s, e.g. %s", folder, count, reason, example)
    if not rows:
        raise ValueError(f"{folder}: found no readable recording among {len(found)}, expected at least one")
    write_jsonl(manifest, rows)
