"""XLSR-53 in NeMo: importing this package lets NeMo build and restore its five classes, and no others.

NeMo 3 instantiates only targets on a list of its own. `ASRModel.restore_from("x.nemo")` without this import fails with
`UnsafeTargetError: … nemo_models.ctc_model.XLSRCTCModel`; with it, it works. NeMo's schedules gain `TriStage` too.
"""

from typing import Any

from nemo.core.classes.common import ALLOWED_TARGET_PREFIXES

from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.tri_stage import TriStage
from nemo_models.w2v_bert_encoder import W2VBertEncoder
from nemo_models.w2v_bert_features import LogMelFeatures
from nemo_models.waveform_normalizer import WaveformNormalizer
from nemo_models.xlsr_encoder import XLSREncoder

__all__ = [
    "LogMelFeatures",
    "TriStage",
    "W2VBertEncoder",
    "WaveformNormalizer",
    "XLSRCTCModel",
    "XLSREncoder",
    "transcribe",
]

for _class in (WaveformNormalizer, XLSREncoder, LogMelFeatures, W2VBertEncoder, XLSRCTCModel):
    _target = f"{_class.__module__}.{_class.__qualname__}"
    if _target not in ALLOWED_TARGET_PREFIXES:
        ALLOWED_TARGET_PREFIXES.append(_target)


def __getattr__(name: str) -> Any:
    """Import `transcribe` when it is first asked for: reading audio takes libraries that restoring a model does not."""
    if name == "transcribe":
        from nemo_models.transcription.transcribe import transcribe

        return transcribe
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
