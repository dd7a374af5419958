"""XLSR-53 in NeMo: importing this package allows NeMo to build and restore its six classes, and no others.

NeMo 3 instantiates only targets on an allow-list. `ASRModel.restore_from("x.nemo")` without this import fails with
`UnsafeTargetError: … nemo_models.ctc_model.XLSRCTCModel`; with it, it works. NeMo's schedules gain `TriStage` too.

`restore_from` needs a `tarfile` that takes filters; the import adds them to Pythons without (Debian 12 has 3.11.2).

The import is fast: torch and NeMo are loaded when they are first used, and scoring transcripts needs neither.
"""

import importlib
import logging
import tarfile
from typing import Any

import wrapt

logging.getLogger("nv_one_logger").setLevel(logging.ERROR)
"""NeMo's telemetry client warns at every import of NeMo that it collects nothing."""

_CLASSES = {
    "LogMelFeatures": "nemo_models.w2v_bert_features",
    "W2VBertEncoder": "nemo_models.w2v_bert_encoder",
    "WaveformNormalizer": "nemo_models.waveform_normalizer",
    "XLSRCTCModel": "nemo_models.ctc_model",
    "XLSREncoder": "nemo_models.xlsr_encoder",
    "XLSRPretrainingModel": "nemo_models.pretraining_model",
}
"""The classes that a `.nemo` file of this project may name, each with its module."""

_EXPORTS = {
    **_CLASSES,
    "TriStage": "nemo_models.optimization.tri_stage",
    "TranscribeOptions": "nemo_models.transcription.options",
    "Transcriber": "nemo_models.transcription.transcribe",
    "transcribe": "nemo_models.transcription.transcribe",
}

__all__ = [*_EXPORTS]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


@wrapt.when_imported("nemo.core.classes.common")
def _admit_classes(common: Any) -> None:
    """Add the six classes to NeMo's allow-list once NeMo is imported."""
    targets = [f"{module}.{name}" for name, module in _CLASSES.items()]
    common.ALLOWED_TARGET_PREFIXES.extend(target for target in targets if target not in common.ALLOWED_TARGET_PREFIXES)


@wrapt.when_imported("nemo.core.optim.lr_scheduler")
def _register_schedule(_: Any) -> None:
    """Register `sched.name=TriStage` among NeMo's schedules."""
    importlib.import_module("nemo_models.optimization.tri_stage")


_extract = tarfile.TarFile.extract


def _extract_without_filters(
    archive: tarfile.TarFile,
    member: str | tarfile.TarInfo,
    path: str = "",
    set_attrs: bool = True,
    *,
    numeric_owner: bool = False,
    filter: str | None = None,
) -> None:
    """Do what `filter="data"` does with names that NeMo has checked: write files and folders, without owner and mode.

    Raises:
        tarfile.ExtractError: With a filter, the member is a link or a device.
    """
    if filter is not None:
        found = archive.getmember(member) if isinstance(member, str) else member
        if not (found.isfile() or found.isdir()):
            raise tarfile.ExtractError(f"{found.name}: found no file or folder; copy the archive again")
    _extract(archive, member, path, set_attrs and filter is None, numeric_owner=numeric_owner)


if not hasattr(tarfile, "data_filter"):  # Python before 3.10.12 and 3.11.4
    tarfile.TarFile.extract = _extract_without_filters  # type: ignore[assignment, method-assign]
