"""The embedded checkpoint and the training that makes it."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file
from transformers import AutoFeatureExtractor, Wav2Vec2Model

from data_prep.job_settings import read_settings
from data_prep.text.alphabet import load_alphabet
from nemo_models.pretraining import tiny_checkpoint, tiny_corpus
from nemo_models.pretraining.tiny_checkpoint import Run, build_tiny_network, compute_logits, export_encoder
from nemo_models.pretraining.tiny_corpus import Spoken, augment, make_batches, pad
from nemo_models.pretraining.tiny_settings import AugmentationSettings, TinyCheckpointSettings
from project import ROOT

CHECKPOINT = ROOT / "nemo_models" / "xlsr_tiny_hi"
TOPOLOGY = (
    *("model_type", "conv_kernel", "conv_stride", "conv_bias", "num_feat_extract_layers", "feat_extract_norm"),
    *("feat_extract_activation", "do_stable_layer_norm", "hidden_act", "layer_norm_eps"),
)


def settings(work_dir: Path, **changes: object) -> TinyCheckpointSettings:
    """The job's configuration at a width for tests."""
    cfg = OmegaConf.load(ROOT / "conf" / "make_tiny_checkpoint.yaml")
    small = {"conv_dim": [8] * 7, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    small |= {"intermediate_size": 64, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    fixed = {"work_dir": str(work_dir), "output_dir": str(work_dir / "export"), "warmup_steps": 1, "model": small}
    return read_settings(TinyCheckpointSettings, OmegaConf.to_container(OmegaConf.merge(cfg, fixed, changes)))


def build_small(cfg: TinyCheckpointSettings):
    torch.manual_seed(0)
    return build_tiny_network(cfg.model)


def tones(count: int, seconds: float = 1.0) -> list[Spoken]:
    """Utterances whose labels can be learned: each label is another tone."""
    rng, alphabet = np.random.default_rng(0), load_alphabet()
    utterances = []
    for index in range(count):
        labels = [int(label) for label in rng.choice([5, 20, 40], size=4)]
        time = np.arange(int(16000 * seconds * (1 + 0.1 * index) / 4)) / 16000
        wave = np.concatenate([np.sin(2 * np.pi * 30 * label * time) for label in labels])
        utterances.append(Spoken((wave * 8000).astype(np.int16), labels, "".join(alphabet[label] for label in labels)))
    return utterances


def test_logits_are_those_of_transformers_alone_and_padded(tmp_path: Path):
    model = build_small(settings(tmp_path)).eval()
    waves = [np.random.default_rng(0).standard_normal(length, dtype=np.float32) for length in (9000, 16000)]
    waveforms, lengths = pad(waves)
    with torch.inference_mode():
        logits, frames = compute_logits(model, waveforms, lengths)
        for row, wave in enumerate(waves):
            reference = model(torch.from_numpy(wave)[None]).logits[0]
            assert frames[row] == len(reference)
            torch.testing.assert_close(logits[row, : frames[row]], reference, atol=2e-5, rtol=0)  # float32 sums


@pytest.mark.slow
def test_loss_falls(tmp_path: Path):
    cfg = settings(tmp_path, max_steps=20, learning_rate=0.003, bf16=False)
    run, batch = Run(build_small(cfg), cfg), tones(4)
    losses = [run.update(batch) for _ in range(20)]
    assert all(np.isfinite(losses))
    assert np.mean(losses[-3:]) < 0.7 * losses[0]


@pytest.mark.parametrize("threads", [2, 3])
def test_an_update_does_not_depend_on_the_number_of_threads(tmp_path: Path, monkeypatch, threads: int):
    monkeypatch.setattr(tiny_checkpoint, "augment", lambda samples, settings, rng: tiny_corpus.normalize(samples))
    weights = []
    for count in (1, threads):
        changes = {"threads": count, "bf16": False, "model": {"mask_time_prob": 0.0}}
        cfg = settings(tmp_path, **changes)
        run = Run(build_small(cfg), cfg)
        run.model.train()
        run.update(tones(5))
        weights.append([parameter.grad for parameter in run.parameters])
    for one, other in zip(*weights, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)  # the order of float32 sums


def test_a_run_that_stopped_goes_on(tmp_path: Path):
    cfg = settings(tmp_path, max_steps=2)
    first = Run(build_small(cfg), cfg)
    first.train_epoch(tones(3), {})
    first.evaluate_and_save({"tones": tones(2)})
    second = Run(build_small(cfg), settings(tmp_path, max_steps=4))
    assert second.step == first.step > 0 and second.seconds == first.seconds
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name])
    row = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert row["step"] == first.step and set(row["tones"]) == {"cer", "wer"}


def test_batches_hold_everything_once_within_their_limit():
    utterances = tones(23)
    batches = list(make_batches(utterances, 5.0, np.random.default_rng(0)))
    assert sorted(index for batch in batches for index in batch) == list(range(23))
    for batch in batches:
        assert len(batch) * max(len(utterances[index].samples) for index in batch) <= 5.0 * 16000
    assert len(batches) < 23


def test_augmentation_stays_within_its_settings():
    cfg = AugmentationSettings(speed=0.1, noise_db=[100, 100], tilt=0.0)
    samples = tones(1)[0].samples
    for seed in range(5):
        wave = augment(samples, cfg, np.random.default_rng(seed))
        assert 0.9 <= len(samples) / len(wave) <= 1.1 and wave.dtype == np.float32
        assert abs(wave.mean()) < 1e-4 and wave.std() == pytest.approx(1, abs=1e-3)
    plain = OmegaConf.create({"speed": 0.0, "noise_db": [100, 100], "tilt": 0.0})
    wave = augment(samples, plain, np.random.default_rng(0))
    expected = tiny_corpus.normalize(samples)[:-1]  # interpolation ends before the last sample
    np.testing.assert_allclose(wave, expected, atol=1e-3)  # noise at −100 dB


def test_error_rates_are_counted_on_greedy_texts(monkeypatch: pytest.MonkeyPatch):
    alphabet, blank = load_alphabet(), len(load_alphabet())
    paths = torch.tensor([[5, 5, blank, 20, 40, 7], [blank, 5, 20, 40, blank, 40]])  # the first has five frames

    def give_logits(model, waveforms, lengths):
        return torch.nn.functional.one_hot(paths, blank + 1).float(), torch.tensor([5, 6])

    monkeypatch.setattr(tiny_checkpoint, "compute_logits", give_logits)
    texts = ["".join(alphabet[label] for label in labels) for labels in ((5, 20, 5), (5, 20, 40, 40))]
    said = [Spoken(np.zeros(9, np.int16), [], text) for text in texts]
    rates = tiny_checkpoint.measure_errors(torch.nn.Identity(), said)
    assert rates == {"cer": round(100 / 7, 2), "wer": 50.0}  # one letter of seven, one word of two


def test_export_is_what_transformers_reads(tmp_path: Path):
    cfg = settings(tmp_path)
    model = build_small(cfg).eval()
    export_encoder(model, tmp_path / "out")
    loaded = Wav2Vec2Model.from_pretrained(tmp_path / "out").eval()
    assert loaded.dtype == torch.float32
    for name, tensor in model.wav2vec2.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, atol=1e-6, rtol=2**-11)  # half a unit of float16
    samples = np.random.default_rng(0).integers(-9000, 9000, 8000).astype(np.int16)
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path / "out")
    features = extractor(samples.astype(np.float32), sampling_rate=16000, return_tensors="np").input_values[0]
    np.testing.assert_allclose(features, tiny_corpus.normalize(samples), atol=1e-6)


def test_corpus_without_rows_is_an_error(tmp_path: Path):
    (tmp_path / "transcripts.tsv").write_text("path\tduration_s\tsample_rate\tspeaker\ttext\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"transcripts\.tsv: found no utterance"):
        tiny_corpus.read_corpus(tmp_path)


def test_corpus_is_read_with_its_labels(tmp_path: Path):
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "a.wav", np.array([1, -2, 3], np.int16), 16000)
    row = "audio/a.wav\t0.1\t16000\tespeak-hi-p50-s150\tअ आ"
    (tmp_path / "transcripts.tsv").write_text(
        f"path\tduration_s\tsample_rate\tspeaker\ttext\n{row}\n", encoding="utf-8"
    )
    (spoken,) = tiny_corpus.read_corpus(tmp_path)
    assert spoken.samples.tolist() == [1, -2, 3] and spoken.labels == [1, 0, 2] and spoken.text == "अ आ"


def test_committed_checkpoint_has_the_topology_of_xlsr_53(shared_data: Path):
    published = shared_data / "checkpoints" / "wav2vec2-large-xlsr-53.hf_config.json"
    theirs = json.loads(published.read_text(encoding="utf-8"))
    ours = json.loads((CHECKPOINT / "config.json").read_text(encoding="utf-8"))
    assert {key: ours[key] for key in TOPOLOGY} == {key: theirs[key] for key in TOPOLOGY}
    assert ours["architectures"] == ["Wav2Vec2Model"]


def test_committed_checkpoint_is_small_finite_and_without_a_head():
    files = {path.name: path.stat().st_size for path in CHECKPOINT.iterdir()}
    assert set(files) == {"README.md", "config.json", "model.safetensors", "preprocessor_config.json"}
    assert sum(files.values()) <= 4_000_000
    tensors = load_file(CHECKPOINT / "model.safetensors")
    assert not [name for name in tensors if "lm_head" in name or name.startswith("wav2vec2.")]
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    model = Wav2Vec2Model.from_pretrained(CHECKPOINT).eval()
    assert set(model.state_dict()) == set(tensors)
    with torch.inference_mode():
        context = model(torch.randn(1, 16000)).last_hidden_state
    assert context.shape == (1, 49, model.config.hidden_size) and context.isfinite().all()
