"""Export of a `.nemo` to other runtimes: the steps that every format shares.

A folder appears complete or not at all, and only after the exported files were run without this project's models and
gave the model's log-probabilities.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.arguments import require_choice
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.export.huggingface import compare_huggingface, write_huggingface
from nemo_models.export.onnx import compare_onnx, require_onnx_packages, write_onnx
from nemo_models.export.pretraining_folder import compare_pretraining_folder, write_pretraining_folder
from nemo_models.export.probes import TOLERANCE, allowed_difference
from nemo_models.inference.model_loading import is_pretraining_model, load_ctc_model, load_pretraining_model

FORMATS = ("onnx", "huggingface")
QUANTIZATIONS = ("int8",)


@dataclass
class ExportReport:
    """The files of an export, and their comparison with the model.

    Attributes:
        folder: The exported folder.
        files: Names of its files, with their sizes in bytes.
        difference: Largest difference of a log-probability (natural log), or of a pre-training model's projected
            state, from the model's; `None` without comparison.
        seconds: From the restored model to the finished folder.
        notes: Notes for the user, a sentence each.
    """

    folder: Path
    files: dict[str, int]
    difference: float | None
    seconds: float
    notes: list[str] = field(default_factory=list)


def export_model(
    model_path: Path,
    format: str,
    output_dir: Path,
    quantization: str | None = None,
    lm: Path | None = None,
    lm_alpha: float = 0.5,
    lm_beta: float = 3.0,
    verify: bool = True,
) -> ExportReport:
    """Write a model in the form of another runtime.

    Args:
        model_path: The `.nemo` file.
        format: One of `FORMATS`; a pre-training model has only `huggingface`.
        output_dir: The folder to make; it must be missing or empty.
        quantization: With `onnx`: one of `QUANTIZATIONS`; `None` keeps float32.
        lm: With `huggingface`: a word language model for pyctcdecode, see `read_unigrams`.
        lm_alpha: Weight of that model's score.
        lm_beta: Added for each word.
        verify: Run the exported files and compare them with the model.

    Returns:
        The report of the export.

    Raises:
        FileNotFoundError: The model or the language model is missing.
        ValueError: An argument is invalid, a package is missing, the format does not support the model, or the
            exported files give other log-probabilities.
    """
    _check_arguments(format, quantization, lm, output_dir)
    if format == "onnx":
        require_onnx_packages(quantization is not None or verify)
    if is_pretraining_model(model_path):
        return _export_pretraining_model(model_path, format, output_dir, lm, verify)
    model = load_ctc_model(model_path)
    if not isinstance(model, XLSRCTCModel):
        raise ValueError(
            f"{model_path}: found a {type(model).__name__}, expected a model of this project; choose another"
        )
    started = time.monotonic()
    with new_folder(output_dir) as folder:
        if format == "onnx":
            path, notes = write_onnx(model, folder, quantization, source=model_path.name)
            difference = compare_onnx(model, path) if verify else None
        else:
            notes = write_huggingface(model, folder, lm, lm_alpha, lm_beta)
            difference = compare_huggingface(model, folder) if verify else None
        if difference is not None and quantization is None and not difference <= TOLERANCE:
            allowed = allowed_difference(model)
            if not difference <= allowed:
                raise ValueError(
                    f"{model_path}: the {format} export differs from the model by {difference:.2g} "
                    f"(log-probabilities), expected {allowed:g} at most; nothing is written, report this with the model"
                )
    return ExportReport(output_dir, _measure_files(output_dir), difference, time.monotonic() - started, notes)


def _export_pretraining_model(
    model_path: Path, format: str, output_dir: Path, lm: Path | None, verify: bool
) -> ExportReport:
    """Write a pre-training model as a `Wav2Vec2ForPreTraining` folder; see `export_model`."""
    if format != "huggingface":
        raise ValueError(
            f"format={format}: expected huggingface for {model_path}, a pre-training model, which has no labels; "
            "fine-tune it first"
        )
    if lm is not None:
        raise ValueError(f"lm={lm}: expected null for {model_path}, a pre-training model, which writes no text")
    model = load_pretraining_model(model_path)
    started = time.monotonic()
    with new_folder(output_dir) as folder:
        notes = write_pretraining_folder(model, folder)
        difference = compare_pretraining_folder(model, folder) if verify else None
        if difference is not None and not difference <= TOLERANCE:
            raise ValueError(
                f"{model_path}: the exported folder differs from the model by {difference:.2g} (projected states), "
                f"expected {TOLERANCE:g} at most; nothing is written, report this with the model"
            )
    return ExportReport(output_dir, _measure_files(output_dir), difference, time.monotonic() - started, notes)


def _measure_files(folder: Path) -> dict[str, int]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


@contextmanager
def new_folder(output_dir: Path) -> Iterator[Path]:
    """Give a hidden folder beside `output_dir`, renamed to it unless the block raises, and removed otherwise."""
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{output_dir.name}.", dir=output_dir.parent))
    try:
        yield partial
        for path in (partial, *partial.rglob("*")):  # mkdtemp and some libraries allow only the owner to read
            path.chmod(0o755 if path.is_dir() else 0o644)
        partial.replace(output_dir)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_arguments(format: str, quantization: str | None, lm: Path | None, output_dir: Path) -> None:
    require_choice("format", format, FORMATS)
    require_choice("quantization", quantization, QUANTIZATIONS, optional=True)
    if quantization is not None and format != "onnx":
        raise ValueError(f"quantization={quantization}: expected null with format={format}; it is for format=onnx")
    if lm is not None and format != "huggingface":
        raise ValueError(f"lm={lm}: expected null with format={format}; a graph holds no language model")
    if lm is not None and not lm.is_file():
        raise FileNotFoundError(f"lm={lm}: no such file")
    if output_dir.exists() and (not output_dir.is_dir() or any(output_dir.iterdir())):
        raise ValueError(f"output_dir={output_dir}: expected a missing or empty folder; remove it or name another")
