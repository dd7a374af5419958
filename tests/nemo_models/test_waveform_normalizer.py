import numpy as np
import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor

from nemo_models.waveform_normalizer import FAIRSEQ_EPSILON, HUGGING_FACE_EPSILON, WaveformNormalizer

ROUNDING = 2e-6  # float32 sums of some 10^4 samples, in another order than the reference's


def padded(waves: list[np.ndarray], extra: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(wave) for wave in waves])
    batch = torch.full((len(waves), int(lengths.max()) + extra), 7.0)  # padding that must not be read
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = torch.from_numpy(wave)
    return batch, lengths


@pytest.fixture
def waves() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [
        (random.normal(size=size) * scale + offset).astype(np.float32)
        for size, scale, offset in ((16000, 0.1, 0.0), (9001, 1e-3, 0.01), (401, 0.5, -0.2))
    ]


def test_equals_transformers_feature_extractor_with_padding(waves):
    reference = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    expected = reference(waves, sampling_rate=16000, padding=True, return_tensors="pt").input_values
    signal, lengths = padded(waves)
    found, found_lengths = WaveformNormalizer(epsilon=HUGGING_FACE_EPSILON)(input_signal=signal, length=lengths)
    torch.testing.assert_close(found, expected, rtol=0, atol=ROUNDING * 10)  # the quiet row is scaled by 1000
    assert torch.equal(found_lengths, lengths)


def test_equals_fairseq_layer_norm(waves):
    for wave in map(torch.from_numpy, waves):
        expected = torch.nn.functional.layer_norm(wave, wave.shape, eps=FAIRSEQ_EPSILON)
        found, _ = WaveformNormalizer()(input_signal=wave[None], length=torch.tensor([len(wave)]))
        torch.testing.assert_close(found[0], expected, rtol=0, atol=ROUNDING * 10)


def test_epsilons_differ_on_quiet_audio():
    quiet = torch.randn(1, 8000) * 1e-3
    results = [
        WaveformNormalizer(epsilon=epsilon)(input_signal=quiet, length=torch.tensor([8000]))[0]
        for epsilon in (FAIRSEQ_EPSILON, HUGGING_FACE_EPSILON)
    ]
    assert (results[0] - results[1]).abs().max() > 0.1


def test_padding_neither_counts_nor_remains(waves):
    normalizer = WaveformNormalizer()
    signal, lengths = padded(waves, extra=5000)
    together, _ = normalizer(input_signal=signal, length=lengths)
    for row, wave in zip(together, waves, strict=True):
        alone, _ = normalizer(input_signal=torch.from_numpy(wave)[None], length=torch.tensor([len(wave)]))
        torch.testing.assert_close(row[: len(wave)], alone[0], rtol=0, atol=ROUNDING * 10)
        assert not row[len(wave) :].any()


def test_off_leaves_valid_samples_as_they_are(waves):
    signal, lengths = padded(waves)
    found, _ = WaveformNormalizer(normalize=False)(input_signal=signal, length=lengths)
    assert torch.equal(found[0], torch.from_numpy(waves[0]))
    assert not found[2, 401:].any()


def test_silence_and_nothing_stay_finite():
    found, _ = WaveformNormalizer()(input_signal=torch.zeros(2, 800), length=torch.tensor([800, 0]))
    assert not found.any()


def test_result_is_float32_under_autocast(waves):
    signal, lengths = padded(waves)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = WaveformNormalizer()(input_signal=signal, length=lengths)
    expected, _ = WaveformNormalizer()(input_signal=signal, length=lengths)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
