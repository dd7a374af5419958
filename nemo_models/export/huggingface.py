"""Export to Hugging Face's `Wav2Vec2ForCTC` or `Wav2Vec2BertForCTC`: a folder for `transformers.pipeline`."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from transformers import (
    AutoFeatureExtractor,
    AutoModelForCTC,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertForCTC,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
)

from nemo_models.checkpoints.ctc_head import FAIRSEQ_TOKENIZER, Vocabulary, source_vocabulary
from nemo_models.checkpoints.huggingface_checkpoint import EPSILON_KEY, KINDS
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.decoding.lm_bundle import LM_KEY
from nemo_models.export.probes import largest_difference, run_model
from nemo_models.export.pyctcdecode_folder import open_processor_with_lm, write_word_lm
from nemo_models.files.model_language import FINGERPRINT_KEY, LANGUAGES_KEY
from nemo_models.waveform_normalizer import HUGGING_FACE_EPSILON

WORD_DELIMITER = "|"
BLANK_NAMES = ("<pad>", "[PAD]", "<blank>")
SPECIAL_NAMES = {"bos_token": ("<s>", "[BOS]"), "eos_token": ("</s>", "[EOS]"), "unk_token": ("<unk>", "[UNK]")}
"""Labels of imported heads; a head of this project has none of them."""


def write_huggingface(
    model: XLSRCTCModel, folder: Path, lm: Path | None = None, lm_alpha: float = 0.5, lm_beta: float = 3.0
) -> list[str]:
    """Write model, tokenizer and feature extractor, and a language model where one is given.

    The tensors equal the model's, bit for bit. An imported head is written in its checkpoint's order and with its
    tokens' names; another head has the blank last, as in NeMo.

    Args:
        model: A model with a wav2vec 2.0 or Wav2Vec2-BERT encoder.
        folder: An empty folder.
        lm: A word language model, see `read_unigrams`; `None`: the model's bundled word language model, if any, with
            its settings.
        lm_alpha: Weight of its score.
        lm_beta: Added for each word.

    Returns:
        Notes for the user, a sentence each.

    Raises:
        ValueError: The format does not support the labels, or `lm` is not a language model over words of them.
    """
    vocabulary = vocabulary_for_export(model)
    network = _as_hugging_face(model, vocabulary)
    beam = model.cfg.decoding.beam
    bundled = OmegaConf.select(model.cfg, LM_KEY)
    if lm is None and bundled and model.cfg.decoding.strategy == "pyctcdecode":
        lm, lm_alpha, lm_beta = Path(bundled), beam.ngram_lm_alpha, beam.beam_beta
    notes = write_word_lm(folder, lm, vocabulary, lm_alpha, lm_beta) if lm else []
    network.save_pretrained(folder)
    _write_processor(model, folder, vocabulary, with_lm=lm is not None)
    if lm is None and bundled:
        notes.append(
            "the model's character language model is not exported; transformers decodes with a word language model, "
            "which lm= takes"
        )
    temperature = model.decoder.temperature
    if temperature != 1:
        notes.append(
            f"decoding.temperature={temperature:g} is not exported; divide the logits by it (format=onnx does so)"
        )
    notes += _note_epsilon(model)
    return notes


def vocabulary_for_export(model: XLSRCTCModel) -> Vocabulary:
    """Return the tokens of the exported head: its checkpoint's, or `hugging_face_vocabulary` of the labels."""
    return source_vocabulary(model.cfg) or hugging_face_vocabulary(list(model.decoder.vocabulary))


def hugging_face_vocabulary(labels: Sequence[str]) -> Vocabulary:
    """Name the classes of a head: the labels with `|` for the space, then the blank.

    Raises:
        ValueError: Both `|` and the space are labels, a label comes twice, or every name for the blank is a label.
    """
    if WORD_DELIMITER in labels and " " in labels:
        raise ValueError(
            "labels: found both a space and '|', expected one of them: Hugging Face writes the space as '|'; export "
            "with format=onnx"
        )
    names = [WORD_DELIMITER if label == " " else label for label in labels]
    free = [name for name in BLANK_NAMES if name not in names]
    if not free or len(set(names)) != len(names):
        raise ValueError(
            "labels: found one twice, or every name for the blank, expected distinct ones; use format=onnx"
        )
    specials = {key: next((name for name in some if name in names), None) for key, some in SPECIAL_NAMES.items()}
    return Vocabulary((*names, free[0]), len(names), {**FAIRSEQ_TOKENIZER, **specials})


def compare_huggingface(model: XLSRCTCModel, folder: Path) -> float:
    """Load a folder with transformers alone and run it on noise, each waveform alone and all in a padded batch.

    Wav2Vec2-BERT gets transformers' features on both sides, since it magnifies their last bit, see `import_proof`. The
    model runs at temperature 1, since the folder has no temperature.

    Returns:
        The largest difference of a log-probability on a valid frame from the model's, natural log.

    Raises:
        ValueError: The folder has a language model, and transformers cannot open its processor.
    """
    open_processor_with_lm(folder)
    temperature, model.decoder.temperature = model.decoder.temperature, 1.0
    try:
        return _largest_difference(model, folder)
    finally:
        model.decoder.temperature = temperature


def _largest_difference(model: XLSRCTCModel, folder: Path) -> float:
    network = AutoModelForCTC.from_pretrained(folder).eval()
    vocabulary = vocabulary_for_export(model)
    extractor = AutoFeatureExtractor.from_pretrained(folder)

    def extract(waveforms: Sequence[torch.Tensor]) -> Any:
        arrays = [waveform.numpy() for waveform in waveforms]
        return extractor(arrays, sampling_rate=16000, padding=True, return_tensors="pt")

    def run_on_features(waveforms: Sequence[torch.Tensor]) -> tuple[torch.Tensor, list[int]]:
        features = extract(waveforms)
        log_probs, frames, _ = model(
            processed_signal=features["input_features"].transpose(1, 2),
            processed_signal_length=features["attention_mask"].sum(dim=1),
        )
        return log_probs, frames.tolist()

    reference = partial(run_model, model) if _kind(model) == "wav2vec2" else run_on_features

    def run(waveforms: Sequence[torch.Tensor]) -> tuple[torch.Tensor, None]:
        rows = network(**extract(waveforms)).logits.log_softmax(-1).movedim(-1, 0)
        return vocabulary.blank_last(rows).movedim(0, -1), None

    return largest_difference(run, reference)


def _kind(model: XLSRCTCModel) -> str:
    return str(model.encoder.network.config.model_type)


def _as_hugging_face(model: XLSRCTCModel, vocabulary: Vocabulary) -> Wav2Vec2ForCTC | Wav2Vec2BertForCTC:
    """Put the model's tensors under transformers' names; only the head is copied."""
    head = model.decoder.decoder_layers[0]
    make_config, keys, prefix = KINDS[_kind(model)]
    config = make_config(
        **{key: getattr(model.encoder.network.config, key) for key in keys},
        vocab_size=head.out_channels,
        pad_token_id=vocabulary.blank,
        bos_token_id=None,
        eos_token_id=None,
        ctc_loss_reduction="mean",
        ctc_zero_infinity=True,
    )
    if languages := model.cfg.get(LANGUAGES_KEY):  # transformers keeps keys that it does not know
        config.update(
            {LANGUAGES_KEY: OmegaConf.to_container(languages), FINGERPRINT_KEY: model.cfg.normalizer_fingerprint}
        )
    with torch.device("meta"):
        network = (Wav2Vec2ForCTC if _kind(model) == "wav2vec2" else Wav2Vec2BertForCTC)(config)
    setattr(network, prefix.rstrip("."), model.encoder.network)
    rows = vocabulary.nemo_indices
    network.lm_head.weight = torch.nn.Parameter(head.weight.detach()[rows, :, 0], requires_grad=False)
    network.lm_head.bias = torch.nn.Parameter(head.bias.detach()[rows], requires_grad=False)
    return network


def _note_epsilon(model: XLSRCTCModel) -> list[str]:
    if _kind(model) != "wav2vec2" or not model.preprocessor.normalize:
        return []
    epsilon = model.preprocessor.epsilon
    if epsilon == HUGGING_FACE_EPSILON:
        return []
    return [
        f"the model adds {epsilon:g} to a waveform's variance, Hugging Face's feature extractor "
        f"{HUGGING_FACE_EPSILON:g}: the quieter the audio, the more outputs differ (texts below some -30 dBFS RMS); "
        f"waveforms multiplied by {(HUGGING_FACE_EPSILON / epsilon) ** 0.5:.3g} give the model's own"
    ]


def _write_processor(model: XLSRCTCModel, folder: Path, vocabulary: Vocabulary, with_lm: bool) -> None:
    numbers = {token: row for row, token in enumerate(vocabulary.tokens)}
    (folder / "vocab.json").write_text(json.dumps(numbers, ensure_ascii=False), encoding="utf-8")
    assert vocabulary.tokenizer is not None
    absent = {key: None for key in SPECIAL_NAMES if vocabulary.tokenizer[key] not in numbers}  # else they are added
    Wav2Vec2CTCTokenizer(
        str(folder / "vocab.json"),
        **{**vocabulary.tokenizer, **absent},
        pad_token=vocabulary.tokens[vocabulary.blank],
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
    sample_rate = int(model.cfg.sample_rate)
    if _kind(model) == "wav2vec2":
        processor_class = "Wav2Vec2Processor"
        epsilon = float(model.preprocessor.epsilon)
        extractor: Any = Wav2Vec2FeatureExtractor(
            sampling_rate=sample_rate,
            do_normalize=model.preprocessor.normalize,
            return_attention_mask=model.encoder.mask_padding,
            **({EPSILON_KEY: epsilon} if epsilon != HUGGING_FACE_EPSILON else {}),
        )
    else:
        processor_class = "Wav2Vec2BertProcessor"
        extractor = SeamlessM4TFeatureExtractor(sampling_rate=sample_rate)
    extractor.save_pretrained(folder)
    if with_lm:
        processor_class = "Wav2Vec2ProcessorWithLM"
    for name in ("preprocessor_config.json", "tokenizer_config.json"):
        content: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
        content["processor_class"] = processor_class
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
