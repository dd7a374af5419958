"""Every member of the family, in every form that it is published in, against transformers on the same weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2FeatureExtractor, pipeline

from family import MEMBERS, mark_slow, random_model, vocabulary_of, write_huggingface, write_member
from nemo_models.checkpoints.import_proof import TOLERANCE, fixed_waveforms
from nemo_models.checkpoints.importing import import_checkpoint
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.decoding.strategy import decode_log_probs
from nemo_models.w2v_bert_features import LogMelFeatures

SAME_ARITHMETIC = 1e-5  # of the greatest value: float32, sums in another order
FORMS = [(name, form) for name, member in MEMBERS.items() for form in member["forms"]]
HEADS = [(name, form) for name, form in FORMS if MEMBERS[name]["head"]]


def source_inputs(name: str, form: str, waves: list[np.ndarray]) -> dict[str, torch.Tensor]:
    """What the source's own front-end gives its model: fairseq normalises before it pads and always masks."""
    if MEMBERS[name].get("kind") == "wav2vec2-bert":
        return SeamlessM4TFeatureExtractor()(waves, sampling_rate=16000, return_tensors="pt")
    if form == "huggingface":
        mask = MEMBERS[name]["attention_mask"]
        extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=mask)
        return extractor(waves, sampling_rate=16000, padding=True, return_tensors="pt")
    tensors = [torch.from_numpy(wave) for wave in waves]
    if MEMBERS[name]["fairseq_normalize"]:
        tensors = [torch.nn.functional.layer_norm(wave, wave.shape) for wave in tensors]
    values = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)
    lengths = torch.tensor([len(wave) for wave in waves])
    return {"input_values": values, "attention_mask": (torch.arange(values.shape[1]) < lengths[:, None]).long()}


def encode(model: XLSRCTCModel, waves: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(wave) for wave in waves])
    signal = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(wave) for wave in waves], batch_first=True)
    processed, processed_lengths = model.preprocessor(input_signal=signal, length=lengths)
    return model.encoder(audio_signal=processed, length=processed_lengths)


def texts(model: XLSRCTCModel, waves: list[np.ndarray]) -> list[str]:
    lengths = torch.tensor([len(wave) for wave in waves])
    signal = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(wave) for wave in waves], batch_first=True)
    log_probs, frames, _ = model(input_signal=signal, input_signal_length=lengths)
    return [hypothesis.text for hypothesis in decode_log_probs(model, log_probs, frames)]


@pytest.fixture(scope="module")
def clips(speech: list) -> list[np.ndarray]:
    """Two pieces of real speech, 2 s and 1.2 s."""
    return [speech[2][16000:48000], speech[3][16000:35200]]


@torch.inference_mode()
@pytest.mark.parametrize(("name", "form"), mark_slow(FORMS))
def test_member_computes_what_its_source_computes(name: str, form: str, clips: list, tmp_path: Path):
    checkpoint, source = write_member(tmp_path, name, form)
    model = import_checkpoint(checkpoint, [" ", "क"]).model
    for waves in (clips[:1], clips):
        found, lengths = encode(model, waves)
        expected = source.base_model(**source_inputs(name, form, waves)).last_hidden_state
        for row, reference, count in zip(found, expected, lengths, strict=True):
            allowed = SAME_ARITHMETIC * float(reference[:count].abs().max())
            torch.testing.assert_close(row[:, :count].T, reference[:count], rtol=0, atol=allowed)
    weights = model.encoder.network.state_dict()
    for key, tensor in source.base_model.state_dict().items():
        assert torch.equal(weights[key], tensor), key
    proof = model.cfg.import_proof
    assert {key for key in proof if key.startswith("encoder")} == {"encoder_alone", "encoder_padded"}
    assert ("head_padded" in proof) == MEMBERS[name]["head"]


@torch.inference_mode()
@pytest.mark.parametrize(("name", "form"), mark_slow(HEADS))
def test_text_is_the_pipelines(name: str, form: str, clips: list, tmp_path: Path):
    checkpoint, source = write_member(tmp_path, name, form)
    write_huggingface(tmp_path / "reference", name, source, vocabulary_of(name))
    model = import_checkpoint(checkpoint, ["unused"]).model
    waves = clips
    if form == "fairseq":  # transformers' front-end normalises otherwise (epsilon, base at all): hand both the same
        waves = [(wave - wave.mean()) / wave.std() for wave in clips]
    recognise = pipeline("automatic-speech-recognition", model=str(tmp_path / "reference"))
    for wave in waves:
        expected = recognise({"raw": wave, "sampling_rate": 16000})["text"]
        (found,) = texts(model, [wave])
        assert found == expected
        assert [hypothesis.text for hypothesis in model.transcribe([torch.from_numpy(wave)], verbose=False)] == [found]
        assert len(expected) > 10
    if MEMBERS[name]["architecture"].get("feat_extract_norm") != "group":
        assert texts(model, waves) == [texts(model, [wave])[0] for wave in waves]


@pytest.mark.slow
@torch.inference_mode()
def test_group_norm_depends_on_padding_as_its_source_does(clips: list, tmp_path: Path):
    (tmp_path / "hf").mkdir()
    (tmp_path / "fs").mkdir()
    ways = {}
    for form, folder in (("huggingface", "hf"), ("fairseq", "fs")):
        checkpoint, source = write_member(tmp_path / folder, "wav2vec2-base", form)
        imported = import_checkpoint(checkpoint, [" "])
        ways[form] = imported.model.cfg.encoder.mask_padding
        assert any("group norm: padding changes the output" in line for line in imported.report)
        alone, _ = encode(imported.model, clips[1:])
        together, frames = encode(imported.model, clips)
        assert (together[1, :, : frames[1]] - alone[0]).abs().max() > 1e-2
        reference = source.base_model(**source_inputs("wav2vec2-base", form, clips[1:])).last_hidden_state
        torch.testing.assert_close(alone[0].T, reference[0], rtol=0, atol=1e-5 * float(reference.abs().max()))
    assert ways == {"huggingface": False, "fairseq": True}


@torch.inference_mode()
def test_group_norm_gives_the_text_of_its_source_in_every_batch_and_at_any_length(clips: list, tmp_path: Path):
    name = "wav2vec2-base-960h"
    checkpoint, _ = write_member(tmp_path, name, "huggingface", layers=2)
    recognise = pipeline("automatic-speech-recognition", model=checkpoint)
    model = import_checkpoint(checkpoint, ["unused"]).model
    waves = [*clips, clips[0][:9600], clips[1][:4000]]  # NeMo pads samples below 1 s by itself
    expected = [recognise({"raw": wave, "sampling_rate": 16000})["text"] for wave in waves]
    for batch_size in (1, 4):
        found = model.transcribe([torch.from_numpy(wave) for wave in waves], batch_size=batch_size, verbose=False)
        assert [hypothesis.text for hypothesis in found] == expected
    assert all(expected)


@pytest.mark.slow
@torch.inference_mode()
def test_conformer_of_24_layers_is_as_near_to_exact_arithmetic_as_its_source(tmp_path: Path):
    """At that depth a conformer magnifies the last bit of its features beyond the tolerance, in transformers too."""
    name = "w2v-bert-2.0"
    checkpoint, _ = write_member(tmp_path, name, "huggingface", layers=24)
    proof = import_checkpoint(checkpoint, [" "]).model.cfg.import_proof
    judged = {f"{part}_{batch}" for part in ("front_end", "encoder") for batch in ("alone", "padded")}
    assert all(proof[figure] <= TOLERANCE for figure in judged)
    assert set(proof) == judged | {
        *("end_to_end_alone", "end_to_end_padded", "end_to_end_transcription_alone"),
        *("reference", "tolerance"),
    }

    waves = fixed_waveforms()
    theirs = SeamlessM4TFeatureExtractor()([wave.numpy() for wave in waves], sampling_rate=16000, return_tensors="pt")
    signal = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    ours, _ = LogMelFeatures()(input_signal=signal, length=torch.tensor([len(wave) for wave in waves]))
    exact = torch.nn.utils.rnn.pad_sequence([exact_features(wave.numpy()) for wave in waves], batch_first=True)
    mask = theirs["attention_mask"]
    errors = {"ours": 0.0, "theirs": 0.0}
    for seed in range(3):
        network = random_model(name, seed, layers=24)
        found = {"ours": ours.transpose(1, 2), "theirs": theirs["input_features"]}
        outputs = {who: network(features, mask).last_hidden_state for who, features in found.items()}
        expected = network.double()(exact, mask).last_hidden_state[mask.bool()]
        for who, output in outputs.items():
            errors[who] += float((output[mask.bool()] - expected).abs().max() / expected.abs().max()) / 3
    assert errors["theirs"] > 1e-7
    assert errors["ours"] < 2 * errors["theirs"]  # both are noise; a wrong feature would be beyond it by far


def exact_features(wave: np.ndarray) -> torch.Tensor:
    """transformers' log-mels, scaled in float64: (frames, 160)."""
    bands = torch.from_numpy(SeamlessM4TFeatureExtractor()._extract_fbank_features(wave).copy()).double()
    scaled = (bands - bands.mean(0)) / torch.sqrt(bands.var(0) + 1e-7)
    return scaled[: len(scaled) // 2 * 2].reshape(-1, 2 * bands.shape[1])
