"""Reading Hugging Face's form of a checkpoint: `config.json` beside safetensors or `pytorch_model.bin`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from transformers import Wav2Vec2BertConfig, Wav2Vec2Config

from data_prep.arguments import name_some, require_number
from data_prep.audio.reader import SAMPLE_RATE_HZ
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint
from nemo_models.checkpoints.huggingface_head import TOKENIZER_FILES, VOCABULARY_FILE, read_head
from nemo_models.checkpoints.huggingface_reference import HuggingFaceReference
from nemo_models.checkpoints.pyctcdecode_files import ALPHABET_FILE, LM_FOLDER, read_source_lm
from nemo_models.files.json_file import read_json_object
from nemo_models.files.model_language import FINGERPRINT_KEY, LANGUAGES_KEY
from nemo_models.files.tensor_files import load_tensors
from nemo_models.w2v_bert_encoder import W2V_BERT_ARCHITECTURE_KEYS
from nemo_models.waveform_normalizer import HUGGING_FACE_EPSILON
from nemo_models.xlsr_encoder import ARCHITECTURE_KEYS

WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""In order of preference; the indices name the parts of a checkpoint that is split."""
EPSILON_KEY = "variance_epsilon"
"""A key of this project in `preprocessor_config.json`: transformers keeps such keys and does not use them. Without it
the epsilon is that of transformers."""
OTHER_FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    VOCABULARY_FILE,
    *TOKENIZER_FILES,
    ALPHABET_FILE,
    f"{LM_FOLDER}/*",
    "*.index.json",
)
PRETRAINING_TENSORS = re.compile(r"(quantizer|project_q|project_hid|dropout_features)\.")
HEAD = "lm_head."
WRAPPER = "module."
"""What torch's DataParallel puts before the names of a model's tensors."""
KINDS: Mapping[str, tuple[Any, tuple[str, ...], str]] = {
    "wav2vec2": (Wav2Vec2Config, ARCHITECTURE_KEYS, "wav2vec2."),
    "wav2vec2-bert": (Wav2Vec2BertConfig, W2V_BERT_ARCHITECTURE_KEYS, "wav2vec2_bert."),
}
"""`model_type` → its configuration, the fields of it that decide shapes and arithmetic, the encoder's prefix."""


def download_huggingface(hub_id: str) -> Path:
    """Fetch a checkpoint from the hub, or find it in the local cache.

    Args:
        hub_id: `owner/name`.

    Returns:
        The folder that holds it.

    Raises:
        FileNotFoundError: There is no such checkpoint, or no network and nothing in the cache.
    """
    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=[*OTHER_FILES, "model*.safetensors"]))
        if not any((folder / name).exists() for name in WEIGHT_FILES):
            folder = Path(snapshot_download(hub_id, allow_patterns=[*OTHER_FILES, "pytorch_model*.bin"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise FileNotFoundError(
            f"{hub_id}: found no such local path, and no checkpoint on the hub ({reason}); correct the name, or "
            "download the folder by hand"
        ) from error
    return folder


def load_huggingface(folder: Path, source: str, with_head: bool = True) -> EncoderCheckpoint:
    """Read a wav2vec 2.0 or Wav2Vec2-BERT folder, pretrained or with a CTC head.

    Args:
        folder: Holds `config.json`, the weights, mostly `preprocessor_config.json` (or transformers 5's
            `processor_config.json`), and a head's `vocab.json`.
        source: What to call it in errors and in the result.
        with_head: Read a CTC head; otherwise none of its files is opened.

    Returns:
        The encoder and the head.

    Raises:
        FileNotFoundError: `config.json` or the weights are missing.
        ValueError: A file is damaged, or the model is of another type.
    """
    config = read_json_object(folder / "config.json")
    kind = _check_config(config, source)
    features = _read_front_end(folder)
    if features.get("sampling_rate", SAMPLE_RATE_HZ) != SAMPLE_RATE_HZ:
        raise ValueError(
            f"{source}: found sampling_rate={features['sampling_rate']}, expected {SAMPLE_RATE_HZ} Hz; "
            "choose a checkpoint of that rate"
        )
    make_config, keys, prefix = KINDS[kind]
    tensors = _read_weights(folder)
    weights, head, left_out = _divide(tensors, prefix, source, with_head)
    epsilon = features.get(EPSILON_KEY, HUGGING_FACE_EPSILON)
    require_number(f"{source}: {EPSILON_KEY}", epsilon, above=0, most=1)
    try:
        complete = make_config(**{key: config[key] for key in keys if key in config})
    except Exception as error:  # transformers raises many types for invalid values
        reason = " ".join(str(error).split())
        raise ValueError(f"{source}: invalid value in config.json ({reason}); download it again") from error
    is_group_norm = kind == "wav2vec2" and complete.feat_extract_norm == "group"
    # transformers' rule: models with group norm were trained without an attention mask, the others need one
    mask_padding = not is_group_norm or bool(features.get("return_attention_mask", False))
    normalize = bool(features.get("do_normalize", True))
    ctc_head = read_head(folder, source, head, config) if head and with_head else None
    vocabulary = ctc_head.vocabulary if ctc_head else None
    reference_epsilon = epsilon if normalize else HUGGING_FACE_EPSILON
    return EncoderCheckpoint(
        source=source,
        architecture={key: _plain(getattr(complete, key)) for key in keys},
        weights=weights,
        normalize=normalize,
        epsilon=float(epsilon),
        left_out=tuple(left_out),
        kind=kind,
        mask_padding=mask_padding,
        head=ctc_head,
        word_lm=read_source_lm(folder, vocabulary) if vocabulary else None,
        **(_read_languages(config) if ctc_head else {}),
        reference=HuggingFaceReference(folder, kind, bool(head) and with_head, mask_padding, reference_epsilon),
        objective={name: tensors[name].float() for name in left_out if PRETRAINING_TENSORS.match(name)},
    )


def _read_languages(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an export of this project says about the languages of a head that has several."""
    languages, fingerprint = config.get(LANGUAGES_KEY), config.get(FINGERPRINT_KEY)
    if not isinstance(languages, dict) or not isinstance(fingerprint, str):
        return {}
    return {"languages": languages, "normalizer_fingerprint": fingerprint}


def _divide(
    tensors: Mapping[str, torch.Tensor], prefix: str, source: str, with_head: bool
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], list[str]]:
    """Divide a file's tensors into the encoder's, a CTC head's, and the names of those that are left out.

    Raises:
        ValueError: There is another head than CTC's, and a head is asked for; or the names have DataParallel's prefix.
    """
    if tensors and all(name.startswith(WRAPPER) for name in tensors):
        raise ValueError(
            f"{source}: found names of tensors that begin with {WRAPPER!r}, expected transformers' names; "
            "save the wrapped model: model.module.save_pretrained(…)"
        )
    weights, head, left_out, others = {}, {}, [], []
    has_prefix = any(name.startswith(prefix) for name in tensors)
    for full_name, tensor in tensors.items():
        name = full_name.removeprefix(prefix)
        if PRETRAINING_TENSORS.match(name):
            left_out.append(full_name)
        elif name.startswith(HEAD):
            head[name.removeprefix(HEAD)] = tensor.float()
        elif has_prefix and name == full_name:
            others.append(full_name)
        else:
            weights[_today_spelling(name)] = tensor.float()
    if others and with_head:
        raise ValueError(
            f"{source}: found a head of another kind ({name_some(others)}), expected a CTC head ({HEAD}weight) or "
            "none; head=new leaves it out and makes a new one over the alphabet"
        )
    return weights, head, [*left_out, *others]


def _check_config(config: Mapping[str, Any], source: str) -> str:
    kind = config.get("model_type")
    if kind not in KINDS:
        raise ValueError(
            f"{source}: found model_type={kind!r} in config.json, expected {' or '.join(map(repr, KINDS))}; "
            "choose a checkpoint of such a model"
        )
    if config.get("adapter_attn_dim") is not None:
        raise ValueError(
            f"{source}: found language adapters (adapter_attn_dim={config['adapter_attn_dim']}, as mms-1b-all), "
            "expected none; take the pretrained mms-300m or mms-1b"
        )
    if config.get("add_adapter"):
        raise ValueError(
            f"{source}: found add_adapter=true, layers that shorten the encoder's output, expected none; "
            "choose a checkpoint without them"
        )
    return str(kind)


def _read_front_end(folder: Path) -> dict[str, Any]:
    """Return the feature extractor's settings from the first file in which transformers looks; empty without any."""
    nested, own = folder / "processor_config.json", folder / "preprocessor_config.json"
    features = read_json_object(nested).get("feature_extractor") if nested.exists() else None
    if features is None:
        return read_json_object(own) if own.exists() else {}
    if not isinstance(features, dict):
        raise ValueError(f"{nested}: found feature_extractor={features!r}, expected a JSON object")
    return features


def _today_spelling(name: str) -> str:
    """Give weight norm's two tensors the names of today's torch; checkpoints have either spelling."""
    name = re.sub(r"\.conv\.weight_g$", ".conv.parametrizations.weight.original0", name)
    return re.sub(r"\.conv\.weight_v$", ".conv.parametrizations.weight.original1", name)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    for name in WEIGHT_FILES:
        if not (folder / name).exists():
            continue
        if not name.endswith(".index.json"):
            return _read_part(folder / name)
        places = read_json_object(folder / name).get("weight_map")
        if not isinstance(places, dict) or not places or not all(isinstance(part, str) for part in places.values()):
            raise ValueError(
                f"{folder / name}: found no file for each tensor in weight_map, expected one; download it again"
            )
        parts = sorted(set(places.values()))
        return {key: tensor for part in parts for key, tensor in _read_part(folder / Path(part).name).items()}
    raise FileNotFoundError(f"{folder}: no weights; expected one of {', '.join(WEIGHT_FILES)}")


def _read_part(path: Path) -> dict[str, torch.Tensor]:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file, but the checkpoint's index names it; download it too")
    tensors = load_tensors(path)
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise ValueError(f"{path}: found no table of tensors, expected tensors by name; download it again")
    return tensors
