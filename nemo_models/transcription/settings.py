"""The types of `conf/transcribe_speech.yaml`: each value is made what its key holds, or refused, before it is used."""

from collections.abc import Callable, Mapping
from typing import Any

_TRUE, _FALSE = ("true", "yes", "y", "on", "1"), ("false", "no", "n", "off", "0")  # as OmegaConf reads them


def check_types(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Make each value what its key holds: `overwrite_transcripts=no` is a text for Hydra, `audio_dir=2024` a number.

    Args:
        settings: Arguments of the job, by name. Those that are not in `TYPES` stay as they are.

    Raises:
        ValueError: A value cannot be what its key holds.
    """
    return {key: TYPES[key](key, value) if key in TYPES else value for key, value in settings.items()}


def _boolean(key: str, value: Any) -> bool:
    word = str(value).lower()
    if isinstance(value, bool | int | str) and word in (*_TRUE, *_FALSE):
        return word in _TRUE
    raise ValueError(f"{key} is {value!r}, expected true or false")


def _text(key: str, value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    remedy = f"; quote what looks like something else: '{key}=\"{value}\"'" if isinstance(value, bool | float) else ""
    raise ValueError(f"{key} is {value!r}, expected a text{remedy}")


def _texts(key: str, value: Any) -> list[str]:
    if value is None:
        return []
    return [_text(key, item) for item in value] if isinstance(value, list | tuple) else [_text(key, value)]


def _text_or_texts(key: str, value: Any) -> str | list[str]:
    return _texts(key, value) if isinstance(value, list | tuple) else _text(key, value)


def _integer(least: int | None = None) -> Callable[[str, Any], int]:
    def convert(key: str, value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least):
            return value
        raise ValueError(f"{key} is {value!r}, expected a whole number{'' if least is None else f', {least} or more'}")

    return convert


def _optional(convert: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda key, value: None if value is None else convert(key, value)


TYPES: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("append_pred", "overwrite_transcripts", "confidence", "extract_nbest", "itn"), _boolean),
    **dict.fromkeys(("presort_manifest", "amp", "calculate_rtfx", "calculate_wer"), _boolean),
    **dict.fromkeys(("return_hypotheses", "return_transcriptions", "compute_langs", "allow_mps"), _boolean),
    **dict.fromkeys(("clean_groundtruth_text", "use_cer"), _boolean),
    "timestamps": _optional(_boolean),
    **dict.fromkeys(("audio_key", "gt_text_attr_name", "itn_digits", "engine", "amp_dtype"), _text),
    "matmul_precision": _text,
    **dict.fromkeys(("model_path", "pretrained_name", "dataset_manifest", "audio_dir", "audio_type"), _optional(_text)),
    **dict.fromkeys(("output_filename", "pred_name_postfix", "formats_dir", "address"), _optional(_text)),
    "compute_dtype": _optional(_text),
    "audio_list": _optional(_text_or_texts),
    "output_formats": _texts,
    "batch_size": _integer(1),
    **dict.fromkeys(("num_workers", "warmup_steps"), _integer(0)),
    "cuda": _optional(_integer()),
    "devices": _optional(_integer(1)),
}
"""What each key holds."""
