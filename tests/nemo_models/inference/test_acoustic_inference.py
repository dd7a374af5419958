"""The forward pass for inference: transformers values in float32, near them in fewer bits, no neighbours seen."""

import copy
import gc
import os
import subprocess
import sys
import weakref

import pytest
import torch

from nemo_models.inference import acoustic_inference
from nemo_models.inference.acoustic_inference import FORMATS, PackedEncoder, check_format, supports_packing
from nemo_models.inference.processor import has_int8, has_int8_dot_product
from nemo_models.layers import convolutions
from nemo_models.xlsr_encoder import XLSREncoder
from project import ROOT
from topology import architecture

LENGTHS = (51_234, 400, 16_000, 47_999, 1_600, 33_000)
NO_INT8 = "int8 needs an x86-64 processor with AVX2"
formats = pytest.mark.parametrize(
    "number_format",
    [
        pytest.param(
            name, marks=pytest.mark.skipif(name == "int8" and not has_int8(), reason="int8 needs x86-64 with AVX2")
        )
        for name in FORMATS
    ],
)


@pytest.fixture(scope="module")
def encoder(tiny_model):
    return tiny_model.encoder


@pytest.fixture(scope="module")
def batch():
    """Noise that rises and falls, normalised, zero behind each utterance."""
    generator = torch.Generator().manual_seed(0)
    signal = torch.zeros(len(LENGTHS), max(LENGTHS))
    for row, samples in zip(signal, LENGTHS, strict=True):
        noise = torch.randn(samples, generator=generator) * (1 + torch.sin(torch.arange(samples) / 700))
        row[:samples] = (noise - noise.mean()) / noise.std()
    return signal, torch.tensor(LENGTHS)


def _relative_error(found, expected, counts):
    rows = [(f[:, :n], e[:, :n]) for f, e, n in zip(found, expected, counts, strict=True)]
    return max(((f - e).norm() / e.norm()).item() for f, e in rows)


# float32 sums in another order: some 1e-7 a layer. bfloat16 keeps 8 bits (2^-9 = 0.2 % a product's factor), int8 a
# 254th of the largest in a row; three layers of random weights add up to less than 3 and 8 %.
@formats
def test_values_are_those_of_transformers(encoder, batch, number_format):
    tolerance = {"float32": 1e-5, "bfloat16": 0.03, "int8": 0.08}[number_format]
    signal, lengths = batch
    with torch.inference_mode():
        expected, counts = encoder(audio_signal=signal, length=lengths)
        found, found_counts = PackedEncoder(encoder, number_format)(audio_signal=signal, length=lengths)
    assert found.shape == expected.shape and found.dtype is torch.float32
    assert found_counts.tolist() == counts.tolist()
    error = _relative_error(found, expected, counts)
    assert error < tolerance
    assert number_format == "float32" or error > 1e-4, "it must have computed in fewer bits for this to mean anything"


@formats
def test_an_utterance_does_not_see_its_neighbours(encoder, batch, number_format, monkeypatch):
    """Alone, among others, and in packs of another size: equal up to the order of sums in a matrix product."""
    signal, lengths = batch
    packed = PackedEncoder(encoder, number_format)
    alone = [
        packed(audio_signal=row[None, :n], length=torch.tensor([n]))[0][0]
        for row, n in zip(signal, LENGTHS, strict=True)
    ]
    loud = signal.clone()
    loud[0] *= 50  # would set the scale of all, were there one for all
    for frames in (1, 160, 100_000):
        monkeypatch.setattr(acoustic_inference, "PACKED_FRAMES", frames)
        together, counts = packed(audio_signal=loud, length=lengths)
        error = _relative_error(together[1:], alone[1:], counts[1:])
        # a sum in another order may round to the next bfloat16 (0.4 %) or byte somewhere; it is far from the 3 and 8 %
        # that the format itself costs
        assert error < (1e-5 if number_format == "float32" else 5e-3)


def test_pieces_of_the_convolutions_are_those_of_the_whole(encoder, batch, monkeypatch):
    signal, lengths = batch
    packed = PackedEncoder(encoder, "float32")
    expected, counts = packed(audio_signal=signal, length=lengths)
    for frames in (1, 7, 100_000):
        monkeypatch.setattr(convolutions, "CONV_FRAMES", frames)
        assert _relative_error(packed(audio_signal=signal, length=lengths)[0], expected, counts) < 1e-5


@pytest.mark.parametrize(("number_format", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.02)])
def test_long_utterances_take_the_kernel_that_lays_out_nothing(encoder, batch, number_format, tolerance, monkeypatch):
    signal, lengths = batch
    packed = PackedEncoder(encoder, number_format)
    expected, counts = packed(audio_signal=signal, length=lengths)
    monkeypatch.setattr(acoustic_inference, "SDPA_FRAMES", 1)
    assert _relative_error(packed(audio_signal=signal, length=lengths)[0], expected, counts) < tolerance


def test_silence_is_finite(encoder):
    signal = torch.zeros(1, 16_000)
    for name in FORMATS:
        if name != "int8" or has_int8():
            assert PackedEncoder(encoder, name)(audio_signal=signal, length=torch.tensor([16_000]))[0].isfinite().all()


def test_the_encoder_itself_is_left_alone(encoder, batch):
    before = copy.deepcopy(encoder.state_dict())
    PackedEncoder(encoder, "bfloat16")(audio_signal=batch[0], length=batch[1])
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


def test_the_encoders_own_weights_are_not_kept(encoder):
    """At XLSR-53's size they are 1.3 GB."""
    doomed = copy.deepcopy(encoder)
    weight = weakref.ref(doomed.wav2vec2.encoder.layers[0].feed_forward.intermediate_dense.weight)
    packed = PackedEncoder(doomed, "bfloat16")
    del doomed
    gc.collect()
    assert weight() is None
    assert packed.receptive_field() == encoder.receptive_field()
    assert torch.equal(packed.frame_count(torch.arange(2000)), encoder.frame_count(torch.arange(2000)))


def test_only_xlsrs_topology_is_packed(encoder):
    assert supports_packing(encoder)
    others = [
        {"feat_extract_norm": "group", "conv_bias": False},
        {"do_stable_layer_norm": False},
        {"hidden_act": "relu"},
    ]
    for changes in others:
        assert not supports_packing(XLSREncoder(architecture(**changes)))
    assert not supports_packing(XLSREncoder(architecture(), mask_padding=False))
    assert not supports_packing(torch.nn.Linear(2, 2))


def test_formats_that_are_not_available_are_named(monkeypatch):
    with pytest.raises(ValueError, match="compute_dtype=int4: expected one of float32, bfloat16, int8"):
        check_format("int4")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    with pytest.raises(ValueError, match="compute_dtype=int8: expected an x86-64 processor with AVX2"):
        check_format("int8")


INT8_PRODUCT = """
import torch
from nemo_models.inference.acoustic_inference import _Int8Linear
generator = torch.Generator().manual_seed(0)
weight = torch.randint(-127, 128, (48, 512), generator=generator).float()
weight[:, 0] = 127  # the largest of each row: the scale is 1
steps = int(_Int8Linear(weight, None)._steps)
x = torch.randint(-steps, steps + 1, (9, 512), generator=generator).float()
x[:, 0] = steps
x[0], weight[0] = steps, 127  # the largest sum of products
product = _Int8Linear(weight, None)(x)
print(steps, (product - x @ weight.t()).abs().max().item())
"""


@pytest.mark.slow
@pytest.mark.skipif(not has_int8(), reason=NO_INT8)
@pytest.mark.parametrize("limit", [{}, {"ONEDNN_MAX_CPU_ISA": "AVX2"}], ids=["this processor", "AVX2 alone"])
def test_the_integer_product_is_exact_on_every_processor(limit: dict[str, str]):
    """In a new process: oneDNN reads its limit once."""
    code, environment = [sys.executable, "-c", INT8_PRODUCT], {**os.environ, **limit}
    found = subprocess.run(code, env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert int(found[0]) == (127 if has_int8_dot_product() and not limit else 63)
    assert float(found[1]) < 1e-6 * 512 * 127 * 127  # float32 holds sums up to 2^24 exactly, and scales them once
