from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import SeamlessM4TFeatureExtractor

from family import MEMBERS, narrow, write_member
from nemo_models import w2v_bert_features
from nemo_models.checkpoints.importing import import_checkpoint
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.export.exporting import export_model
from nemo_models.export.onnx import write_onnx
from nemo_models.export.probes import TOLERANCE, allowed_difference
from nemo_models.inference.model_loading import load_ctc_model
from nemo_models.w2v_bert_encoder import W2VBertEncoder
from nemo_models.w2v_bert_features import LogMelFeatures

ROUNDING = 1e-5  # a few units in the last place of float32 means around -15, in bands whose deviation may be 0.4
BATCH_INVARIANCE = 1e-4  # float32, attention over another number of keys
ARCHITECTURE = narrow(MEMBERS["w2v-bert-2.0"]["architecture"])


def padded(waves: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    batch = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(wave) for wave in waves], batch_first=True)
    return torch.nn.functional.pad(batch, (0, 777)), torch.tensor([len(wave) for wave in waves])


@pytest.fixture(scope="module")
def waves(speech: list) -> list[np.ndarray]:
    """Real speech of lengths with an even and an odd number of 10 ms frames, and silence."""
    return [speech[0][:32000], speech[1][:24000], speech[2][:24160], np.zeros(8000, dtype=np.float32)]


def test_features_are_transformers_own(waves: list):
    signal, lengths = padded(waves)
    found, frames = LogMelFeatures()(input_signal=signal, length=lengths)
    assert not found[3].any()  # silence; transformers' own rounding makes noise of it
    expected = SeamlessM4TFeatureExtractor()(waves, sampling_rate=16000, return_tensors="pt")
    assert frames.tolist() == expected["attention_mask"].sum(dim=1).tolist()
    assert len({int(1 + (length - 400) // 160) % 2 for length in lengths}) == 2
    for row, reference, count in list(zip(found, expected["input_features"], frames, strict=True))[:3]:
        torch.testing.assert_close(row[:, :count].T, reference[:count], rtol=0, atol=ROUNDING)
        assert not row[:, count:].any()


def test_log_mels_before_scaling_are_bit_for_bit_transformers_own(waves: list):
    for wave in waves[:3]:
        expected = torch.from_numpy(SeamlessM4TFeatureExtractor()._extract_fbank_features(wave).copy())
        found = LogMelFeatures()._log_mel(torch.from_numpy(wave)[None])[0].float()
        assert (found != expected).float().mean() < 1e-3  # another FFT may round the last bit otherwise
        torch.testing.assert_close(found, expected, rtol=0, atol=4e-6)


@torch.inference_mode()
def test_utterance_alone_equals_utterance_in_a_padded_batch(waves: list):
    torch.manual_seed(0)
    features, encoder = LogMelFeatures(), W2VBertEncoder(architecture=ARCHITECTURE).eval()
    signal, lengths = padded(waves)
    processed, counts = features(input_signal=signal, length=lengths)
    together, frames = encoder(audio_signal=processed, length=counts)
    for row, inside, count, wave in zip(together, processed, frames, waves, strict=True):
        alone, one = features(input_signal=torch.from_numpy(wave)[None], length=torch.tensor([len(wave)]))
        torch.testing.assert_close(inside[:, :count], alone[0], rtol=0, atol=1e-6)
        output, _ = encoder(audio_signal=alone, length=one)
        assert output.shape[2] == int(one) == int(count)
        torch.testing.assert_close(row[:, :count], output[0], rtol=0, atol=BATCH_INVARIANCE)


def test_audio_too_short_for_a_frame_is_no_error_and_no_nan():
    features, encoder = LogMelFeatures(), W2VBertEncoder(architecture=ARCHITECTURE).eval()
    assert encoder.receptive_field() == 560
    for samples, made in ((100, 0), (559, 0), (560, 1)):
        processed, counts = features(input_signal=torch.randn(1, samples), length=torch.tensor([samples]))
        output, frames = encoder(audio_signal=processed, length=counts)
        assert frames.tolist() == [made]
        assert torch.isfinite(output).all()


def test_features_do_not_follow_a_model_into_float16(waves: list):
    signal, lengths = padded(waves[:1])
    expected, _ = LogMelFeatures()(input_signal=signal, length=lengths)
    found, _ = LogMelFeatures().half()(input_signal=signal, length=lengths)
    assert torch.equal(found, expected)


def test_masks_act_in_training_only_and_spare_short_audio():
    torch.manual_seed(0)
    encoder = W2VBertEncoder(architecture=ARCHITECTURE, mask_time_prob=0.5)
    signal, lengths = torch.randn(1, 160, 60), torch.tensor([60])
    with torch.no_grad():
        unmasked, _ = encoder.eval()(audio_signal=signal, length=lengths)
        masked, _ = encoder.train()(audio_signal=signal, length=lengths)
        encoder(audio_signal=signal[..., :8], length=torch.tensor([8]))
    assert not torch.allclose(unmasked, masked, atol=1e-2)


def test_other_position_embeddings_are_refused():
    with pytest.raises(ValueError, match=r"rotary.*relative_key"):
        W2VBertEncoder(architecture={**ARCHITECTURE, "position_embeddings_type": "rotary"})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> XLSRCTCModel:
    folder = tmp_path_factory.mktemp("bert")
    checkpoint, _ = write_member(folder, "w2v-bert-2.0 with CTC", "huggingface", layers=2)
    return import_checkpoint(checkpoint, ["unused"]).model


def test_an_import_with_other_features_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    checkpoint, _ = write_member(tmp_path, "w2v-bert-2.0", "huggingface", layers=1)
    monkeypatch.setattr(w2v_bert_features, "PREEMPHASIS", 0.96)
    with pytest.raises(ValueError, match=r"differs from its source.*front_end_alone.*front_end_padded"):
        import_checkpoint(checkpoint, [" "])


@pytest.mark.slow
@torch.inference_mode()
def test_one_graph_takes_audio_of_any_length_with_the_features_inside(model: XLSRCTCModel, waves: list, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    path, notes = write_onnx(model, tmp_path)
    assert notes == []
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    speech = np.concatenate(waves[:3])
    for samples in (160, 1_600, 33_333, 320_000):
        wave = np.resize(speech, samples)
        expected, frames, _ = model(
            input_signal=torch.from_numpy(wave)[None], input_signal_length=torch.tensor([samples])
        )
        found, counts = session.run(None, {"waveforms": wave[None]})
        assert counts.tolist() == frames.tolist() == [max(0, (samples - 400) // 160 + 1) // 2]
        count = int(frames[0])
        # this head's log-probabilities go to -57, where PyTorch itself is up to 2.4e-4 from float64
        allowed = ROUNDING * float(expected[0, :count].abs().max()) if count else 0.0
        np.testing.assert_allclose(found[0, :count], expected[0, :count].numpy(), rtol=0, atol=allowed)


@torch.inference_mode()
def test_sherpa_onnx_reads_it_and_writes_the_models_text(model: XLSRCTCModel, waves: list, tmp_path: Path):
    pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    sherpa_onnx = pytest.importorskip("sherpa_onnx", reason="needs the package sherpa-onnx")
    path, _ = write_onnx(model, tmp_path)
    recognizer = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(path), tokens=str(tmp_path / "tokens.txt"), num_threads=1
    )
    stream = recognizer.create_stream()
    stream.accept_waveform(16000, waves[0])
    recognizer.decode_stream(stream)
    log_probs, frames, _ = model(
        input_signal=torch.from_numpy(waves[0])[None], input_signal_length=torch.tensor([len(waves[0])])
    )
    text = model.decoding.ctc_decoder_predictions_tensor(log_probs, frames)[0].text
    assert stream.result.text.split() == text.split()  # sherpa-onnx scales the waveform, which the features undo


@pytest.mark.slow
@torch.inference_mode()
def test_int8_is_smaller_and_chooses_nearly_the_same_labels(model: XLSRCTCModel, waves: list, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    sizes = []
    for quantization in (None, "int8"):
        folder = tmp_path / str(quantization)
        folder.mkdir()
        path, _ = write_onnx(model, folder, quantization)
        sizes.append(path.stat().st_size)
    assert sizes[1] < sizes[0]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    same = []
    for wave in waves[:3]:
        expected, _, _ = model(input_signal=torch.from_numpy(wave)[None], input_signal_length=torch.tensor([len(wave)]))
        found, _ = session.run(None, {"waveforms": wave[None]})
        same += (found[0].argmax(-1) == expected[0].argmax(-1).numpy()).tolist()
    # Random weights decide between labels more closely than trained ones. 0.98 was measured on AVX2; 0.72 with weights
    # of 8 bits there.
    assert np.mean(same) > 0.9


@pytest.mark.slow
def test_an_export_of_24_layers_passes_its_own_check(tmp_path: Path):
    pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    (tmp_path / "source").mkdir()
    checkpoint, _ = write_member(tmp_path / "source", "w2v-bert-2.0 with CTC", "huggingface", seed=1, layers=24)
    import_checkpoint(checkpoint, ["unused"]).model.save_to(str(tmp_path / "x.nemo"))
    report = export_model(tmp_path / "x.nemo", "onnx", tmp_path / "onnx")
    allowed = allowed_difference(load_ctc_model(tmp_path / "x.nemo"))  # its head's log-probabilities go to -49
    assert report.difference is not None and 0 < report.difference <= allowed < 6e-4


@torch.inference_mode()
def test_nemos_own_export_gives_the_same_log_probabilities(model: XLSRCTCModel, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    model.export(str(tmp_path / "encoder.onnx"))
    signal, lengths = model.encoder.input_example()
    encoded, _ = model.encoder(audio_signal=signal, length=lengths)
    expected = model.decoder(encoder_output=encoded)
    session = onnxruntime.InferenceSession(str(tmp_path / "encoder.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"audio_signal": signal.numpy(), "length": lengths.numpy()})
    for row, other, count in zip(found, expected.numpy(), lengths, strict=True):
        np.testing.assert_allclose(row[:count], other[:count], rtol=0, atol=TOLERANCE)
