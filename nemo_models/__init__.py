"""XLSR-53 in NeMo: importing this package allows NeMo to build and restore its six classes, and no others.

NeMo 3 instantiates only targets on an allow-list. `ASRModel.restore_from("x.nemo")` without this import fails with
`UnsafeTargetError: … nemo_models.ctc_model.XLSRCTCModel`; with it, it works. NeMo's schedules gain `TriStage` too.

The import is fast: torch and NeMo are loaded when they are first used, and scoring transcripts needs neither.
"""

import importlib
import logging
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
