"""A recogniser that works: the embedded checkpoint with a linear head trained on a minute of synthesised speech.

Random weights give noise, which no language model helps and in which no word is ever right. Here words are right or
wrong for the reasons that they are with any model.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

from data_prep.synthesis.voices import parse_voice, speak
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import normalize_text
from project import ROOT

SAMPLE_RATE_HZ = 16000
TRAINING_VOICES = ("espeak-m3-p50-s150", "espeak-f2-p50-s150")
UPDATES = 80  # of the head alone; some 10 s on a core


def read_sentences(part: str, count: int) -> list[str]:
    """The first sentences of the demo's `train`, `dev` or `test` text; the embedded checkpoint never met them."""
    lines = (ROOT / "scripts" / "demo_data" / f"{part}.txt").read_text(encoding="utf-8").splitlines()
    return [normalize_text(line) for line in lines[:count]]


def synthesize(voice: str, sentences: Sequence[str], folder: Path) -> list[np.ndarray]:
    """Speak each sentence; float32 at 16 kHz."""
    paths = [folder / f"{voice}-{index}.wav" for index in range(len(sentences))]
    speak(parse_voice(voice), sentences, paths)
    waves = (soundfile.read(path, dtype="float32") for path in paths)
    return [soxr.resample(wave, rate, SAMPLE_RATE_HZ) for wave, rate in waves]


def train_recogniser(folder: Path, sentence_count: int = 60):
    """An `XLSRCTCModel` that writes what eSpeak says: about one word in four is wrong, one letter in twenty."""
    from nemo_models.checkpoints.loading import load_checkpoint
    from nemo_models.checkpoints.model_building import model_from_checkpoint

    labels = load_alphabet()
    model = model_from_checkpoint(load_checkpoint(str(ROOT / "nemo_models" / "xlsr_tiny_hi")), labels)
    sentences = read_sentences("train", sentence_count)
    waves, texts = [], []
    for index, voice in enumerate(TRAINING_VOICES):
        spoken = sentences[index :: len(TRAINING_VOICES)]
        waves += synthesize(voice, spoken, folder)
        texts += spoken
    context, frames = encode(model, waves)
    targets = [torch.tensor([labels.index(character) for character in text]) for text in texts]
    counts = torch.tensor([len(target) for target in targets])
    head = model.decoder.decoder_layers[0]
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=UPDATES)
    for _ in range(UPDATES):
        log_probs = head(context).transpose(1, 2).log_softmax(-1)
        loss = torch.nn.functional.ctc_loss(
            log_probs.transpose(0, 1), torch.cat(targets), frames, counts, blank=len(labels)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


@torch.no_grad()
def encode(model, waves: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """The encoder's output (B, D, T) and its valid frames (B,)."""
    signal, lengths = pad(waves)
    signal, lengths = model.preprocessor(input_signal=signal, length=lengths)
    return model.encoder(audio_signal=signal, length=lengths)


@torch.inference_mode()
def recognise(model, waves: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities (B, T, V+1) and valid frames (B,), as the model gives them."""
    signal, lengths = pad(waves)
    return model(input_signal=signal, input_signal_length=lengths)[:2]


def pad(waves: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms as one batch: (B, T) and lengths (B,)."""
    tensors = [torch.from_numpy(wave) for wave in waves]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True), torch.tensor([len(wave) for wave in tensors])
