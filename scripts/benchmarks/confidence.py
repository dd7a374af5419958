"""How well confidence separates right words from wrong ones: the share of the beam that agrees, beside NeMo's measures.

The measure is the area under the ROC curve: how often a right word has a higher confidence than a wrong one (0.5: no
better than chance). NeMo's confidences combine a character's frames, then a word's characters, for the same words.

    python scripts/benchmarks/confidence.py model.nemo test_manifest.json [lm.nemo]
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import jiwer
import numpy as np
import soundfile
import torch
from nemo.collections.asr.parts.utils.asr_confidence_utils import get_confidence_measure_bank
from nemo.utils import logging
from scipy.stats import rankdata

from data_prep.manifest import read_manifest, resolve_audio_path
from nemo_models.decoding.strategy import configure_decoding, decode_log_probs
from nemo_models.inference.model_loading import load_ctc_model

NEMO_MEASURES = {"entropy_tsallis_exp": 1 / 3, "entropy_gibbs_lin": 1.0, "max_prob": 1.0}  # its default first; with α
AGGREGATIONS = {"min": np.min, "mean": np.mean}


def main() -> None:
    logging.setLevel(logging.ERROR)
    model_path, manifest, *lm = sys.argv[1:]
    model = load_ctc_model(Path(model_path))
    rows = read_manifest(manifest)
    outputs = [run_encoder(model, resolve_audio_path(row["audio_filepath"], manifest)) for row in rows]
    settings: dict[str, dict] = {"greedy": {"strategy": "greedy_batch"}}
    for size in (8, 16):
        settings[f"beam {size}"] = {"strategy": "beam_batch", "beam": {"beam_size": size}}
        if lm:
            settings[f"beam {size} + LM"] = {
                "strategy": "beam_batch",
                "beam": {"beam_size": size, "ngram_lm_model": lm[0]},
            }
    for name, setting in settings.items():
        configure_decoding(model, setting)
        report(model, name, [row["text"] for row in rows], outputs)


@torch.inference_mode()
def run_encoder(model, audio: Path) -> tuple[torch.Tensor, torch.Tensor]:
    wave = torch.from_numpy(soundfile.read(audio, dtype="float32")[0])
    return model(input_signal=wave[None], input_signal_length=torch.tensor([len(wave)]))[:2]


def report(model, name: str, references: Sequence[str], outputs: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
    right: list[bool] = []
    confidence: dict[str, list[float]] = {}
    for reference, (log_probs, lengths) in zip(references, outputs, strict=True):
        (hyp,) = decode_log_probs(model, log_probs, lengths, timestamps=True, confidence=True)
        right += mark_right_words(reference, hyp.text)
        confidence.setdefault("agreement", []).extend(hyp.word_confidence)
        for key, value in nemo_confidence(log_probs[0], hyp):
            confidence.setdefault(key, []).append(value)
    areas = ", ".join(f"{key} {area_under_curve(values, right):.3f}" for key, values in confidence.items())
    print(f"{name}: {len(right)} words, {100 * np.mean(right):.1f} % right: {areas}")


def mark_right_words(reference: str, text: str) -> list[bool]:
    """For each word of a text whether it is right, by the least-edits alignment that counts word errors."""
    right = np.zeros(len(text.split()), dtype=bool)
    if right.size:
        for block in jiwer.process_words(reference, " ".join(text.split())).alignments[0]:
            if block.type == "equal":
                right[block.hyp_start_idx : block.hyp_end_idx] = True
    return right.tolist()


def nemo_confidence(log_probs: torch.Tensor, hyp):
    """NeMo's measures of each word, by name."""
    bank, labels = get_confidence_measure_bank(), log_probs.shape[-1]
    characters = [item for item in hyp.timestamp["char"] if item["char"] != " "]
    for measure, alpha in NEMO_MEASURES.items():
        frames = bank[measure](log_probs, labels, alpha).numpy()
        for how, aggregate in AGGREGATIONS.items():
            values = iter(aggregate(frames[item["start_offset"] : item["end_offset"]]) for item in characters)
            for word in hyp.timestamp["word"]:
                yield f"{measure} {how}", aggregate([next(values) for _ in word["word"]])


def area_under_curve(values: Sequence[float], right: Sequence[bool]) -> float:
    ranks, count = rankdata(values), sum(right)
    wrong = len(right) - count
    return (ranks[np.array(right)].sum() - count * (count + 1) / 2) / (count * wrong)


if __name__ == "__main__":
    main()
