"""The training of make_tiny_checkpoint.py: CTC on synthesised speech in plain torch, on a few CPU threads.

It uses none of the project's models, because tests use the checkpoint to check them.
"""

import copy
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from data_prep.atomic import open_atomic
from data_prep.text.alphabet import load_alphabet
from nemo_models.evaluation.scoring import score_texts
from nemo_models.pretraining.tiny_corpus import (
    SAMPLE_RATE_HZ,
    Spoken,
    augment,
    make_batches,
    normalize,
    pad,
    read_corpus,
)
from nemo_models.pretraining.tiny_settings import TinyCheckpointSettings


def train_checkpoint(settings: TinyCheckpointSettings) -> None:
    """Train until time or updates are used up; evaluate, save and export at intervals and at the end.

    Args:
        settings: All arguments.
    """
    torch.set_num_threads(1)  # see Run.compute_part
    torch.manual_seed(settings.seed)
    train = [utterance for folder in settings.train_corpora for utterance in read_corpus(folder)]
    valid = {folder.name: read_corpus(folder) for folder in settings.valid_corpora}
    model = build_tiny_network(settings.model)
    hours = sum(len(u.samples) for u in train) / SAMPLE_RATE_HZ / 3600
    print(f"{hours:.2f} h, {model.num_parameters()} parameters", flush=True)
    run = Run(model, settings)
    while not run.finished:
        run.train_epoch(train, valid)
    run.evaluate_and_save(valid)


def build_tiny_network(widths: Any) -> Wav2Vec2ForCTC:
    """Build a Wav2Vec2ForCTC with XLSR-53's topology and the given widths; the labels are the alphabet, blank last."""
    blank = len(load_alphabet())
    kinds = ("hidden", "activation", "attention", "feat_proj", "final")
    no_dropout: dict[str, Any] = {f"{kind}_dropout": 0.0 for kind in kinds}
    config = Wav2Vec2Config(
        **widths,
        **no_dropout,
        layerdrop=0.0,
        conv_kernel=[10, 3, 3, 3, 3, 2, 2],
        conv_stride=[5, 2, 2, 2, 2, 2, 2],
        conv_bias=True,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        vocab_size=blank + 1,
        pad_token_id=blank,
    )
    return Wav2Vec2ForCTC(config)


def compute_logits(model: Any, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Run `Wav2Vec2ForCTC` with the convolutions' LayerNorm on a contiguous axis, which halves the time on a CPU.

    `layers.convolutions` computes the same without gradients.

    Args:
        model: A Wav2Vec2ForCTC with XLSR-53's topology.
        waveforms: (B, T) float32, each normalised over its own samples, padded with zeros.
        lengths: (B,) samples.

    Returns:
        Logits (B, T', labels + 1) and frame counts (B,).
    """
    wav2vec2 = model.wav2vec2
    hidden = waveforms[:, None]
    for layer in wav2vec2.feature_extractor.conv_layers:
        norm = layer.layer_norm
        hidden = layer.conv(hidden).transpose(1, 2).contiguous()
        hidden = functional.layer_norm(hidden, hidden.shape[-1:], norm.weight, norm.bias, norm.eps)
        hidden = functional.gelu(hidden).transpose(1, 2)
    frames = model._get_feat_extract_output_lengths(lengths)
    mask = _length_mask(frames, hidden.shape[2])
    hidden, _ = wav2vec2.feature_projection(hidden.transpose(1, 2))
    hidden = wav2vec2._mask_hidden_states(hidden, attention_mask=mask.long())
    return model.lm_head(wav2vec2.encoder(hidden, attention_mask=mask)[0]), frames


def _length_mask(lengths: Tensor, size: int) -> Tensor:
    return torch.arange(size)[None] < lengths[:, None]


class Run:
    """The state of one training run: weights, optimiser, progress."""

    def __init__(self, model: Wav2Vec2ForCTC, settings: TinyCheckpointSettings) -> None:
        self.model, self.settings = model, settings
        self.parameters = list(model.parameters())
        self.pool = ThreadPoolExecutor(settings.threads)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay
        )
        self.step, self.epoch, self.seconds, self.next_evaluation_s = 0, 0, 0.0, 60.0 * settings.evaluate_minutes
        self.losses: list[float] = []
        self.work_dir = settings.work_dir
        self.work_dir.mkdir(parents=True, exist_ok=True)
        self._restore()
        self.rng = np.random.default_rng([settings.seed, self.step])

    @property
    def progress(self) -> float:
        """The share of the run that is done, 0 … 1."""
        return max(self.seconds / (60 * self.settings.max_minutes), self.step / self.settings.max_steps)

    @property
    def finished(self) -> bool:
        """Whether time or updates are used up."""
        return self.progress >= 1

    def train_epoch(self, train: list[Spoken], valid: dict[str, list[Spoken]]) -> None:
        """Go through the training set once, or until the run is over."""
        self.model.train()
        for batch in make_batches(train, self.settings.batch_seconds, self.rng):
            began = time.monotonic()
            self.losses.append(self.update([train[index] for index in batch]))
            self.seconds += time.monotonic() - began
            if self.step % 50 == 0:
                loss = np.mean(self.losses[-50:])
                minutes = self.seconds / 60
                print(f"step {self.step} epoch {self.epoch} {minutes:.1f} min loss {loss:.3f}", flush=True)
            if self.finished:
                return
            if self.seconds > self.next_evaluation_s:
                self.evaluate_and_save(valid)
        self.epoch += 1

    def update(self, batch: list[Spoken]) -> float:
        """Make one update; return the CTC loss per label."""
        settings = self.settings
        rise = min(1.0, (self.step + 1) / settings.warmup_steps)
        fall = settings.final_scale + (1 - settings.final_scale) * 0.5 * (
            1 + math.cos(math.pi * min(1.0, self.progress))
        )
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * rise * fall
        parts = [batch[at :: settings.threads] for at in range(min(settings.threads, len(batch)))]
        label_count = sum(len(u.labels) for u in batch)
        results = list(self.pool.map(lambda item: self.compute_part(item[1], item[0], label_count), enumerate(parts)))
        for parameter, *gradients in zip(self.parameters, *(gradients for _, gradients in results), strict=True):
            parameter.grad = sum(gradients[1:], start=gradients[0])
        torch.nn.utils.clip_grad_norm_(self.parameters, settings.grad_clip)
        self.optimizer.step()
        self.step += 1
        return sum(loss for loss, _ in results)

    def compute_part(self, batch: list[Spoken], part: int, label_count: int) -> tuple[float, tuple[Tensor, ...]]:
        """Compute one thread's share of the loss and its gradients.

        Each thread has its own utterances: threads that share every operation wait for each other most of the time.
        """
        rng = np.random.default_rng([self.settings.seed, self.step, part])
        waveforms, lengths = pad([augment(u.samples, self.settings.augment, rng) for u in batch])
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bf16):
            logits, frames = compute_logits(self.model, waveforms, lengths)
        loss = ctc_loss(logits.float(), frames, batch) / label_count
        return loss.item(), torch.autograd.grad(loss, self.parameters)

    def evaluate_and_save(self, valid: dict[str, list[Spoken]]) -> None:
        """Measure greedy CER and WER, append them to the log, save the state and export the encoder."""
        recent = self.losses[-500:]
        row: dict[str, Any] = {"step": self.step, "minutes": round(self.seconds / 60, 2), "epoch": self.epoch}
        row |= {"loss": round(sum(recent) / max(1, len(recent)), 4)}
        row |= {name: measure_errors(self.model, utterances) for name, utterances in valid.items()}
        print(json.dumps(row), flush=True)
        with (self.work_dir / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        self.next_evaluation_s = self.seconds + 60 * self.settings.evaluate_minutes
        state: dict[str, Any] = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        state |= {"step": self.step, "epoch": self.epoch, "seconds": self.seconds}
        with open_atomic(self.work_dir / "training.pt") as file:
            torch.save(state, file)
        export_encoder(self.model, self.settings.output_dir)

    def _restore(self) -> None:
        path = self.work_dir / "training.pt"
        if path.is_file():
            state = torch.load(path, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.epoch, self.seconds = state["step"], state["epoch"], state["seconds"]
            self.next_evaluation_s = self.seconds + 60 * self.settings.evaluate_minutes
            print(f"continuing at step {self.step}, {self.seconds / 60:.1f} min", flush=True)


def ctc_loss(logits: Tensor, frames: Tensor, batch: list[Spoken]) -> Tensor:
    """Return the sum of the CTC loss; the blank is the last class."""
    labels = torch.tensor([label for u in batch for label in u.labels])
    label_counts = torch.tensor([len(u.labels) for u in batch])
    log_probs = logits.log_softmax(-1).transpose(0, 1)
    blank = logits.shape[-1] - 1
    return functional.ctc_loss(log_probs, labels, frames, label_counts, blank, reduction="sum", zero_infinity=True)


def measure_errors(model: Wav2Vec2ForCTC, utterances: list[Spoken]) -> dict[str, float]:
    """Measure greedy CER and WER in percent."""
    alphabet, hypotheses = load_alphabet(), []
    model.eval()
    for at in range(0, len(utterances), 10):
        waveforms, lengths = pad([normalize(u.samples) for u in utterances[at : at + 10]])
        with torch.inference_mode():
            logits, frames = compute_logits(model, waveforms, lengths)
        for best, count in zip(logits.argmax(-1), frames, strict=True):
            labels = torch.unique_consecutive(best[:count]).tolist()
            hypotheses.append("".join(alphabet[label] for label in labels if label < len(alphabet)).strip())
    model.train()
    references = [u.text for u in utterances]
    scores = score_texts(references, hypotheses)
    cer, wer = scores.cer, scores.wer
    return {"cer": round(100 * cer, 2), "wer": round(100 * wer, 2)}


def export_encoder(model: Wav2Vec2ForCTC, target: Path) -> None:
    """Write the encoder as transformers writes a Wav2Vec2Model, the weights as float16."""
    target.mkdir(parents=True, exist_ok=True)
    temporary = target / ".new"
    encoder = copy.deepcopy(model.wav2vec2).half()
    encoder.save_pretrained(temporary)
    config = json.loads((temporary / "config.json").read_text())
    config["dtype"] = "float32"  # number format of computing; the file stores float16
    (temporary / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(temporary)
    for path in sorted(temporary.iterdir()):
        path.chmod(0o644)
        path.replace(target / path.name)
    temporary.rmdir()
