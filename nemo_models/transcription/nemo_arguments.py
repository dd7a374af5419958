"""Arguments of NeMo's `transcribe_speech.py` that do nothing for a CTC model: accepted with a note, or refused.

They are not in `conf/transcribe_speech.yaml`, but a command line for NeMo's script works.
Source: NVIDIA-NeMo, `examples/asr/transcribe_speech.py`, `TranscriptionConfig` of NeMo 3.0.0.
"""

from collections.abc import Mapping
from typing import Any

_OTHER_MODELS = "it is for models other than CTC"
WITHOUT_EFFECT = {
    "rnnt_decoding": _OTHER_MODELS,
    "multitask_decoding": _OTHER_MODELS,
    "prompt": _OTHER_MODELS,
    "source_lang": _OTHER_MODELS,
    "att_context_size": _OTHER_MODELS,
    "model_change": _OTHER_MODELS,
    "random_seed": "nothing is random in transcription",
    "allow_mps": "Apple's GPU is not used; cuda=… chooses the device",
    "return_hypotheses": "timestamps=true writes what hypotheses hold",
    "clean_groundtruth_text": "references go through this project's Hindi normaliser",
    "langid": "references go through this project's Hindi normaliser",
    "use_cer": "both error rates are printed",
    "gt_lang_attr_name": "nothing here depends on a language",
    "run_steps": "every input is transcribed once",
}
"""Accepted, and the reason why they have no effect."""
REFUSED = {
    "compute_langs": "CTC models do not recognise languages",
    "return_transcriptions": "a command returns nothing; in Python call nemo_models.transcribe",
    "eval_config_yaml": "audio is transcribed without augmentation",
}
"""Refused, for the job would not be what was asked for, and the reason."""
DEFAULTS = {"langid": "en", "gt_lang_attr_name": "lang", "run_steps": 1}
_FALSE = ("", "false", "no", "n", "off", "0", "null", "none", "{}", "[]")
NEMO_KEYS = (*WITHOUT_EFFECT, *REFUSED, "decoder_type")
OPEN_GROUPS = ("ctc_decoding",)
"""Groups of arguments that take keys which the YAML does not list; `decoding.settings` checks them."""


def rewrite_argument(argument: str) -> str:
    """Rewrite an argument of NeMo's script for Hydra: the word `None` is no value, and `NEMO_KEYS` are added keys."""
    key, has_value, value = argument.partition("=")
    if has_value and value == "None":
        argument = f"{key}=null"
    group = key.lstrip("+").partition(".")[0]
    is_open = group in NEMO_KEYS or (group in OPEN_GROUPS and "." in key)
    return f"++{argument.lstrip('+')}" if is_open else argument


def check_nemo_arguments(arguments: Mapping[str, Any]) -> list[str]:
    """Check the arguments of NeMo's script that do nothing here.

    Args:
        arguments: All arguments of the job, by name.

    Returns:
        A note for each that was given and has no effect.

    Raises:
        ValueError: An argument asks for something that cannot be done.
    """
    given = {
        key
        for key in NEMO_KEYS
        if str(arguments.get(key, "")).lower() not in _FALSE and arguments[key] != DEFAULTS.get(key)
    }
    for key, reason in REFUSED.items():
        if key in given:
            raise ValueError(f"{key}={arguments[key]}: expected no value, {reason}; remove it")
    if "decoder_type" in given and arguments["decoder_type"] != "ctc":
        raise ValueError(f"decoder_type={arguments['decoder_type']}: expected ctc, because the model is a CTC model")
    return [f"{key} has no effect: {reason}" for key, reason in WITHOUT_EFFECT.items() if key in given]
