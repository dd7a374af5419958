"""Arguments of NeMo's `transcribe_speech.py` that a CTC model has no use for: passed over with a note, or refused.

Source: NVIDIA-NeMo, `examples/asr/transcribe_speech.py`, `TranscriptionConfig` of NeMo 3.0.0.
"""

from collections.abc import Mapping
from typing import Any

from nemo_models.transcription.settings import check_types

_OTHER_MODELS = "it concerns models other than CTC"
PASSED_OVER = {
    "rnnt_decoding": _OTHER_MODELS,
    "multitask_decoding": _OTHER_MODELS,
    "prompt": _OTHER_MODELS,
    "source_lang": _OTHER_MODELS,
    "att_context_size": _OTHER_MODELS,
    "model_change": _OTHER_MODELS,
    "allow_mps": "Apple's GPU is not used; cuda=… names the device",
    "return_hypotheses": "timestamps=true writes what hypotheses hold",
    "clean_groundtruth_text": "references go through this project's Hindi normaliser",
    "langid": "references go through this project's Hindi normaliser",
    "use_cer": "both error rates are printed",
    "gt_lang_attr_name": "nothing here depends on a language",
    "run_steps": "every input is transcribed once",
}
"""Accepted without effect, and why."""
REFUSED = {
    "compute_langs": "CTC models do not tell languages apart",
    "return_transcriptions": "a command returns nothing; in Python call nemo_models.transcribe",
    "eval_config_yaml": "audio is transcribed as it is, without augmentation",
}
"""Not done, and why; the job would not be what was asked for."""
DEFAULTS = {"langid": "en", "gt_lang_attr_name": "lang", "run_steps": 1}


def check_nemo_arguments(arguments: Mapping[str, Any]) -> list[str]:
    """Check the arguments of NeMo's script that have no effect here.

    Args:
        arguments: All arguments of the job, by name.

    Returns:
        A note for each that was given and is passed over.

    Raises:
        ValueError: One asks for what cannot be done.
    """
    given = {key for key, value in arguments.items() if value and value != DEFAULTS.get(key)}
    for key, reason in REFUSED.items():
        if key in given:
            raise ValueError(f"{key}={arguments[key]}: {reason}")
    if arguments.get("decoder_type") not in (None, "ctc"):
        raise ValueError(f"decoder_type={arguments['decoder_type']}: the model is a CTC model")
    return [f"{key} has no effect: {reason}" for key, reason in PASSED_OVER.items() if key in given]


def read_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Take the word `None` for no value, as NeMo's script does, and every other value for what its key holds.

    Raises:
        ValueError: A value cannot be what its key holds.
    """
    return check_types({key: None if value == "None" else value for key, value in arguments.items()})
