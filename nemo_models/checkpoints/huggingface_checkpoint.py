"""Reading Hugging Face's form of a checkpoint: `config.json` beside safetensors or `pytorch_model.bin`."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from transformers import Wav2Vec2BertConfig, Wav2Vec2Config, Wav2Vec2CTCTokenizer

from data_prep.audio.reader import SAMPLE_RATE_HZ
from nemo_models.checkpoints.ctc_head import FAIRSEQ_TOKENIZER, SPECIAL_KEYS, CTCHead, Vocabulary
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint
from nemo_models.checkpoints.huggingface_reference import HuggingFaceReference
from nemo_models.files.tensor_files import check_is_payload, load_tensors
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
VOCABULARY_FILE = "vocab.json"
EPSILON_KEY = "variance_epsilon"
"""In `preprocessor_config.json`, this project's own: transformers keeps such keys and does not act on them. Where it is
missing the epsilon is transformers' own."""
TOKENIZER_FILES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
TOKENIZERS = ("Wav2Vec2CTCTokenizer", "Wav2Vec2Tokenizer")
"""One and the same by its new and its old name; others print tokens in other ways."""
OTHER_FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    VOCABULARY_FILE,
    *TOKENIZER_FILES,
    "*.index.json",
)
PRETRAINING_TENSORS = re.compile(r"(quantizer|project_q|project_hid|dropout_features)\.")
HEAD = "lm_head."
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
            f"{hub_id}: neither a local path nor a checkpoint that the hub could give ({reason})"
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
    config = _read_json(folder / "config.json")
    kind = _check_config(config, source)
    features = _read_front_end(folder)
    if features.get("sampling_rate", SAMPLE_RATE_HZ) != SAMPLE_RATE_HZ:
        raise ValueError(f"{source}: pretrained at {features['sampling_rate']} Hz, expected {SAMPLE_RATE_HZ} Hz")
    make_config, keys, prefix = KINDS[kind]
    weights, head, left_out = {}, {}, []
    for full_name, tensor in _read_weights(folder).items():
        name = full_name.removeprefix(prefix)
        if PRETRAINING_TENSORS.match(name):
            left_out.append(full_name)
        elif name.startswith(HEAD):
            head[name.removeprefix(HEAD)] = tensor.float()
        else:
            weights[_today_spelling(name)] = tensor.float()
    epsilon = features.get(EPSILON_KEY, HUGGING_FACE_EPSILON)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise ValueError(f"{source}: preprocessor_config.json says {EPSILON_KEY}={epsilon!r}, expected a small number")
    try:
        complete = make_config(**{key: config[key] for key in keys if key in config})
    except Exception as error:  # transformers' classes for values that cannot be are many
        raise ValueError(f"{source}: config.json holds what cannot be ({' '.join(str(error).split())})") from error
    is_group_norm = kind == "wav2vec2" and complete.feat_extract_norm == "group"
    # transformers' rule: models with group norm were trained without an attention mask, the others need one
    mask_padding = not is_group_norm or bool(features.get("return_attention_mask", False))
    normalize = bool(features.get("do_normalize", True))
    reference_epsilon = epsilon if normalize else HUGGING_FACE_EPSILON
    return EncoderCheckpoint(
        source=source,
        architecture={key: _plain(getattr(complete, key)) for key in keys},
        weights=weights,
        normalize=normalize,
        epsilon=epsilon,
        left_out=tuple(left_out),
        kind=kind,
        mask_padding=mask_padding,
        head=_read_head(folder, source, head, config) if head and with_head else None,
        reference=HuggingFaceReference(folder, kind, bool(head) and with_head, mask_padding, reference_epsilon),
    )


def _check_config(config: Mapping[str, Any], source: str) -> str:
    kind = config.get("model_type")
    if kind not in KINDS:
        raise ValueError(f"{source}: config.json says model_type={kind!r}, expected {' or '.join(map(repr, KINDS))}")
    if config.get("adapter_attn_dim") is not None:
        raise ValueError(
            f"{source}: has language adapters (adapter_attn_dim={config['adapter_attn_dim']}, as mms-1b-all), "
            "which this importer does not read; the pretrained mms-300m and mms-1b have none"
        )
    if config.get("add_adapter"):
        raise ValueError(f"{source}: has layers that shorten the encoder's output (add_adapter), which are not read")
    return str(kind)


def _read_front_end(folder: Path) -> dict[str, Any]:
    """The feature extractor's settings from where transformers looks for them, in its order; empty: nowhere."""
    nested, own = folder / "processor_config.json", folder / "preprocessor_config.json"
    features = _read_json(nested).get("feature_extractor") if nested.exists() else None
    if features is None:
        return _read_json(own) if own.exists() else {}
    if not isinstance(features, dict):
        raise ValueError(f"{nested}: feature_extractor is {features!r}, expected a JSON object")
    return features


def _read_head(folder: Path, source: str, head: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> CTCHead:
    if not {"weight"} <= head.keys() <= {"weight", "bias"}:
        raise ValueError(f"{source}: the CTC head has {', '.join(sorted(head))}, expected weight and bias")
    weight = head["weight"]
    bias = head.get("bias", torch.zeros(len(weight)))
    path = folder / VOCABULARY_FILE
    if not path.exists():
        return CTCHead(weight, bias, None, str(path))
    numbers = _read_json(path)
    if any(not isinstance(number, int) for number in numbers.values()):
        raise ValueError(f"{path}: expected tokens and their numbers, found vocabularies of several languages")
    tokenizer = _read_tokenizer(folder, source, config)
    _check_vocabulary(path, set(numbers.values()), set(tokenizer.added_tokens_decoder), len(weight))
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(weight))))
    settings = {key: getattr(tokenizer, key) for key in FAIRSEQ_TOKENIZER}
    settings |= {key: None for key in SPECIAL_KEYS if settings[key] not in tokens}  # the tokenizer's own, beyond it
    return CTCHead(weight, bias, Vocabulary(tuple(tokens), int(tokenizer.pad_token_id), settings), str(path))


def _read_tokenizer(folder: Path, source: str, config: Mapping[str, Any]) -> Wav2Vec2CTCTokenizer:
    contents = {name: _read_json(folder / name) for name in TOKENIZER_FILES if (folder / name).exists()}
    own = contents.get("tokenizer_config.json", {})
    name = own.get("tokenizer_class") or config.get("tokenizer_class") or TOKENIZERS[0]
    if name not in TOKENIZERS:
        raise ValueError(
            f"{source}: its tokenizer is {name}, which prints tokens in another way than {TOKENIZERS[0]}; "
            "head=new leaves this head out and makes one over the alphabet"
        )
    try:
        tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever transformers meets in files that are JSON and no tokenizer's
        raise ValueError(f"{source}: not a tokenizer's files ({' '.join(str(error).split())})") from error
    if tokenizer.pad_token_id is None:
        raise ValueError(f"{source}: tokenizer_config.json names no pad_token, which is CTC's blank; put it there")
    return tokenizer


def _check_vocabulary(path: Path, numbers: set[int], added: set[int], rows: int) -> None:
    """Hold a vocabulary against its head; tokens that the tokenizer adds may stand beyond it, as in many checkpoints.

    Raises:
        ValueError: A row has no token, or a token no row.
    """
    without_token = set(range(rows)) - numbers - added
    without_row = {number for number in numbers if not 0 <= number < rows}
    if without_token or without_row:
        raise ValueError(
            f"{path}: {len(numbers)} tokens, but the head has {rows} rows: {len(without_token)} rows have no token, "
            f"{len(without_row)} tokens no row; put the head's own vocabulary there, or give head=new"
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
    check_is_payload(path)
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
            return _read_part(folder / name)
        places = _read_json(folder / name).get("weight_map")
        if not isinstance(places, dict) or not places or not all(isinstance(part, str) for part in places.values()):
            raise ValueError(f"{folder / name}: weight_map does not tell in which file each tensor is")
        parts = sorted(set(places.values()))
        return {key: tensor for part in parts for key, tensor in _read_part(folder / Path(part).name).items()}
    raise FileNotFoundError(f"{folder}: no weights; expected one of {', '.join(WEIGHT_FILES)}")


def _read_part(path: Path) -> dict[str, torch.Tensor]:
    if not path.exists():
        raise FileNotFoundError(f"{path}: the checkpoint's index names it, but it is not there")
    tensors = load_tensors(path)
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise ValueError(f"{path}: not a table of tensors")
    return tensors
