"""The model's run in transcription against the source of an imported checkpoint."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, Wav2Vec2ForCTC

from family import write_member
from nemo_models.checkpoints.importing import import_checkpoint
from nemo_models.inference.log_probs import compute_log_probs

TOLERANCE = 1e-4  # natural log; float32 in another order differs by some 1e-6 to 1e-5
SECONDS = (0.6, 3.2, 0.6, 1.0)


@pytest.mark.parametrize("name", ["wav2vec2-base-960h", "wav2vec2-large-960h-lv60-self"])
def test_each_waveform_gives_what_its_source_gives_for_it_alone(name: str, tmp_path: Path):
    source, _ = write_member(tmp_path, name, "huggingface", layers=2)
    imported = import_checkpoint(source, ["unused"]).model
    generator = np.random.default_rng(0)
    waveforms = [generator.standard_normal(round(16_000 * seconds)).astype(np.float32) for seconds in SECONDS]
    found = compute_log_probs(imported, waveforms)
    network, extractor = Wav2Vec2ForCTC.from_pretrained(source).eval(), AutoFeatureExtractor.from_pretrained(source)
    for waveform, rows in zip(waveforms, found, strict=True):
        inputs = extractor(waveform, sampling_rate=16_000, return_tensors="pt")
        with torch.inference_mode():
            expected = network(**inputs).logits[0].log_softmax(-1)
        torch.testing.assert_close(rows, expected.roll(-1, dims=-1), rtol=0, atol=TOLERANCE)
