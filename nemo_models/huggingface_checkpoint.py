"""Reading Hugging Face's form of a wav2vec 2.0 checkpoint: `config.json` beside safetensors or `pytorch_model.bin`."""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import Wav2Vec2Config

from data_prep.audio import SAMPLE_RATE_HZ
from nemo_models.checkpoint import EncoderCheckpoint
from nemo_models.waveform_normalizer import HUGGING_FACE_EPSILON
from nemo_models.xlsr_encoder import ARCHITECTURE_KEYS

WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""In order of preference; the indices name the parts of a checkpoint that is split."""
NOT_ENCODER = re.compile(r"(quantizer|project_q|project_hid|lm_head|dropout_features)\.")
"""Pretraining's tensors, and a CTC head's."""


def download_huggingface(hub_id: str) -> Path:
    """Fetch a checkpoint from the hub, or find it in the local cache.

    Args:
        hub_id: `owner/name`.

    Returns:
        The folder that holds it.

    Raises:
        FileNotFoundError: There is no such checkpoint, or no network and nothing in the cache.
    """
    patterns = ["config.json", "preprocessor_config.json", "*.safetensors", "*.index.json"]
    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=patterns))
        if not any((folder / name).exists() for name in WEIGHT_FILES):
            folder = Path(snapshot_download(hub_id, allow_patterns=[*patterns, "pytorch_model*.bin"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise FileNotFoundError(
            f"{hub_id}: neither a local path nor a checkpoint that the hub could give ({reason})"
        ) from error
    return folder


def load_huggingface(folder: Path, source: str) -> EncoderCheckpoint:
    """Read the encoder of a `Wav2Vec2Model`, `Wav2Vec2ForPreTraining` or `Wav2Vec2ForCTC` folder.

    Args:
        folder: Holds `config.json`, the weights, and mostly `preprocessor_config.json`.
        source: What to call it in errors and in the result.

    Returns:
        The encoder; a head is named in `left_out`.

    Raises:
        FileNotFoundError: `config.json` or the weights are missing.
        ValueError: A file is damaged, or the model is of another type.
    """
    config = _read_json(folder / "config.json")
    if config.get("model_type") != "wav2vec2":
        raise ValueError(f"{source}: config.json says model_type={config.get('model_type')!r}, expected 'wav2vec2'")
    features = _read_json(folder / "preprocessor_config.json") if (folder / "preprocessor_config.json").exists() else {}
    if features.get("sampling_rate", SAMPLE_RATE_HZ) != SAMPLE_RATE_HZ:
        raise ValueError(f"{source}: pretrained at {features['sampling_rate']} Hz, expected {SAMPLE_RATE_HZ} Hz")
    weights, left_out = {}, []
    for full_name, tensor in _read_weights(folder).items():
        name = full_name.removeprefix("wav2vec2.")
        if NOT_ENCODER.match(name):
            left_out.append(full_name)
        else:
            weights[_today_spelling(name)] = tensor.float()
    complete = Wav2Vec2Config(**{key: config[key] for key in ARCHITECTURE_KEYS if key in config})
    return EncoderCheckpoint(
        source=source,
        architecture={key: _plain(getattr(complete, key)) for key in ARCHITECTURE_KEYS},
        weights=weights,
        normalize=bool(features.get("do_normalize", True)),
        epsilon=HUGGING_FACE_EPSILON,
        left_out=tuple(left_out),
    )


def _today_spelling(name: str) -> str:
    """torch renamed weight norm's two tensors; checkpoints have either spelling."""
    name = re.sub(r"\.conv\.weight_g$", ".conv.parametrizations.weight.original0", name)
    return re.sub(r"\.conv\.weight_v$", ".conv.parametrizations.weight.original1", name)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(f"{path}: not there; a Hugging Face checkpoint has one beside its weights")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    for name in WEIGHT_FILES:
        if not (folder / name).exists():
            continue
        if not name.endswith(".index.json"):
            return _read_tensors(folder / name)
        parts = sorted(set(_read_json(folder / name).get("weight_map", {}).values()))
        return {key: tensor for part in parts for key, tensor in _read_tensors(folder / Path(part).name).items()}
    raise FileNotFoundError(f"{folder}: no weights; expected one of {', '.join(WEIGHT_FILES)}")


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = next(iter(str(error).splitlines()), "it ends too early")
        raise ValueError(f"{path}: damaged, or not a file of tensors ({reason})") from error
