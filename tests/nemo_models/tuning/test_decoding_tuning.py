"""Settings of the beam search found on dev data, and what a bundle of model, language model and settings does."""

import json
import math
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from nemo.collections.asr.models import ASRModel
from transformers import AutoProcessor

from data_prep.job_keys import hash_file
from data_prep.text.alphabet import load_alphabet
from lm_text import lm_lines
from nemo_models.decoding.lm_bundle import LM_KEY, keep_language_model
from nemo_models.decoding.strategy import configure_decoding, decode_log_probs
from nemo_models.evaluation.scoring import score_texts
from nemo_models.export.huggingface import write_huggingface
from nemo_models.language_models.ngram_lm import train_ngram_lm
from nemo_models.tuning.decoding_tuning import TUNING_KEY, tune_decoding
from nemo_models.tuning.lm_sweep import DevData, Setting, Sweep, compute_dev_data
from project import ROOT

LABELS = load_alphabet()
BLANK = len(LABELS)
GRID = {"alphas": [0.0, 1.0], "betas": [0.0, 1.0], "beam_sizes": [2, 4]}


@pytest.fixture
def model(tiny_model, tmp_path):
    """A copy that a test may change."""
    tiny_model.save_to(str(tmp_path / "acoustic.nemo"))
    return ASRModel.restore_from(str(tmp_path / "acoustic.nemo"), map_location="cpu").eval()


@pytest.fixture
def dev(tmp_path):
    """A manifest of three recordings of noise, one of them gone."""
    generator, rows = np.random.default_rng(0), []
    for index, seconds in enumerate((0.6, 0.9, 0.7)):
        path = tmp_path / f"{index}.wav"
        soundfile.write(str(path), 0.2 * generator.standard_normal(round(16_000 * seconds)), 16_000)
        rows.append({"audio_filepath": path.name, "duration": seconds, "text": lm_lines()[index]})
    (tmp_path / "2.wav").unlink()
    manifest = tmp_path / "dev.json"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return manifest


def unsure(text: str, share: float, other: str) -> torch.Tensor:
    """Log-probs of a recogniser that is sure of `text` but for the last character: `share`, else `other`."""
    frames = torch.full((2 * len(text), BLANK + 1), -1e4)
    for index, character in enumerate(text):
        frames[2 * index, LABELS.index(character)] = 0.0
        frames[2 * index + 1, BLANK] = 0.0
    frames[-2, LABELS.index(text[-1])] = math.log(share)
    frames[-2, LABELS.index(other)] = math.log(1 - share)
    return frames


def test_sweep_finds_the_language_model_of_use(model, hindi_lm):
    """The recogniser prefers what the language model has never seen; the references are what it has."""
    frames = torch.nn.utils.rnn.pad_sequence([unsure("हैत", 0.6, "ं"), unsure("हल", 0.6, "ै")], batch_first=True)
    data = DevData([(frames, torch.tensor([6, 4]))], ["हैं", "है"], [])
    configure_decoding(model, {"strategy": "beam_batch", "beam": {"ngram_lm_model": str(hindi_lm)}})
    sweep = Sweep(model, data)
    best = sweep.search([0.0, 0.5], [0.0], [16, 4, 8])
    assert sweep.tried[Setting(0.0, 0.0, 8)].wer == 1.0, "without its weight the language model changes nothing"
    assert best.wer == best.cer == 0.0
    assert best.setting.alpha > 0 and best.setting.beam_size == 4, "of beams that are as good, the narrowest"
    assert best.rank == min(tried.rank for tried in sweep.tried.values() if tried.setting.beam_size == 4)


def test_a_setting_of_the_sweep_gives_what_it_gives_when_it_is_configured(model, hindi_lm):
    generator = torch.Generator().manual_seed(0)
    log_probs = (3 * torch.randn(4, 40, BLANK + 1, generator=generator)).log_softmax(-1)
    data = DevData([(log_probs, torch.tensor([40, 31, 8, 22]))], ["कल सुबह", "हम", "आज", "मेरे पास"], [])
    beam = {"ngram_lm_model": str(hindi_lm)}
    configure_decoding(model, {"strategy": "beam_batch", "beam": beam})
    sweep = Sweep(model, data)
    sweep.search([0.3, 0.9], [0.0, 2.0], [4])
    rates = set()
    for tried in [*sweep.tried.values()][::3]:
        setting = {"ngram_lm_alpha": tried.setting.alpha, "beam_beta": tried.setting.beta}
        beam = {**beam, **setting, "beam_size": tried.setting.beam_size}
        configure_decoding(model, {"strategy": "beam_batch", "beam": beam})
        texts = [" ".join(hyp.text.split()) for hyp in decode_log_probs(model, *data.batches[0])]
        assert (tried.wer, tried.cer) == (
            score_texts(data.references, texts).wer,
            score_texts(data.references, texts).cer,
        )
        rates.add(tried.cer)
    assert len(rates) > 1, "settings that matter"


def test_dev_data_is_what_the_model_gives_and_names_what_it_cannot_read(model, dev):
    data = compute_dev_data(model, dev, batch_size=2)
    assert data.references == [lm_lines()[1], lm_lines()[0]], "longest first"
    assert len(data.failed) == 1 and "2.wav" in data.failed[0]
    wave = torch.from_numpy(soundfile.read(dev.parent / "0.wav", dtype="float32")[0])
    with torch.inference_mode():
        alone, frames, _ = model(input_signal=wave[None], input_signal_length=torch.tensor([len(wave)]))
    log_probs, lengths = data.batches[-1]
    assert lengths[-1] == frames[0]
    assert torch.allclose(log_probs[-1, : lengths[-1]], alone[0], atol=1e-4)  # float32 sums in another order


@pytest.mark.slow
def test_bundle_decodes_anywhere_and_is_saved_again(model, dev, hindi_lm, tmp_path, monkeypatch, capsys, warm_python):
    """The job as a user runs it; NeMo alone, in another process, after everything beside the bundle is gone."""
    lm, output = tmp_path / "lm.nemo", tmp_path / "bundle.nemo"
    lm.write_bytes(hindi_lm.read_bytes())
    arguments = [f"model_path={tmp_path / 'acoustic.nemo'}", f"dataset_manifest={dev}", f"lm={lm}", f"output={output}"]
    grid = [f"{key}={values}".replace(" ", "") for key, values in GRID.items()]
    monkeypatch.setattr(sys, "argv", ["tune_decoding.py", *arguments, *grid, "cuda=-1"])
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "scripts" / "tune_decoding.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert ended.value.code == 3, "a row was left out"
    assert "1 rows were left out" in printed and "greedy: WER" in printed
    table = json.loads((tmp_path / "bundle.tuning.json").read_text(encoding="utf-8"))
    assert (tmp_path / "bundle.tuning.png").read_bytes().startswith(b"\x89PNG")
    best = min(table["tried"], key=lambda row: (row["wer"], row["cer"], row["beam_size"]))
    assert best["beam_size"] in (2, 4, 8)
    assert table["manifest_sha256"] == hash_file(dev) and table["lm_sha256"] == hash_file(lm)

    waveform = soundfile.read(dev.parent / "0.wav", dtype="float32")[0]
    beam = {"ngram_lm_model": str(hindi_lm), "ngram_lm_alpha": table["alpha"], "beam_beta": table["beta"]}
    configure_decoding(model, {"strategy": "beam_batch", "beam": {**beam, "beam_size": table["beam_size"]}})
    expected = model.transcribe([waveform], verbose=False)[0].text
    np.save(tmp_path / "elsewhere.npy", waveform)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    output.rename(elsewhere / "renamed.nemo")
    for gone in (lm, tmp_path / "acoustic.nemo"):
        gone.unlink()
    code = (
        "import numpy, nemo_models; from nemo.collections.asr.models import ASRModel\n"
        "model = ASRModel.restore_from('renamed.nemo', map_location='cpu'); model.save_to('again.nemo')\n"
        "text = lambda: model.transcribe([numpy.load('../elsewhere.npy')], verbose=False)[0].text\n"
        "first = text(); model.change_decoding_strategy(None, verbose=False); assert text() == first\n"
        "open('text', 'w').write(first)"
    )
    (elsewhere / "restore.py").write_text(code, encoding="utf-8")
    done = warm_python.run("restore.py", folder=elsewhere)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (elsewhere / "text").read_text() == expected != ""

    (elsewhere / "renamed.nemo").unlink()
    again = ASRModel.restore_from(str(elsewhere / "again.nemo"), map_location="cpu")
    assert again.transcribe([waveform], verbose=False)[0].text == expected
    assert again.cfg[TUNING_KEY].manifest_sha256 == hash_file(dev)
    configure_decoding(again, {"strategy": None, "beam": {"beam_size": 3, "beam_beta": None}})
    assert again.cfg.decoding.strategy == "beam_batch"
    assert (again.cfg.decoding.beam.beam_size, again.cfg.decoding.beam.beam_beta) == (3, table["beta"])
    configure_decoding(again, {"strategy": "greedy_batch"})
    again.save_to(str(elsewhere / "greedy.nemo"))
    greedy = ASRModel.restore_from(str(elsewhere / "greedy.nemo"), return_config=True)
    assert greedy.decoding.beam.ngram_lm_model is None, "a language model that is not in use is not carried along"


@pytest.mark.slow
def test_a_language_model_of_words_is_bundled_and_goes_out_to_hugging_face(model, dev, lmplz, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n".join(lm_lines()) + "\n", encoding="utf-8")
    words = tmp_path / "words.arpa"
    train_ngram_lm([text], LABELS, words, order=2, kind="word")
    report = tune_decoding(model, dev, words, tmp_path / "bundle.nemo", [0.2, 0.6], [0.0, 1.5], [4])
    words.unlink()
    bundle = ASRModel.restore_from(str(tmp_path / "bundle.nemo"), map_location="cpu").eval()
    configure_decoding(bundle)
    best = report.best.setting
    assert bundle.cfg.decoding.strategy == "pyctcdecode"
    beam = bundle.cfg.decoding.beam
    assert (beam.ngram_lm_alpha, beam.beam_beta, beam.beam_size) == (best.alpha, best.beta, best.beam_size)
    frames = unsure("कत", 0.4, "ल")
    (found,) = decode_log_probs(bundle, frames[None], torch.tensor([len(frames)]))
    assert found.text == "कल"

    (tmp_path / "hf").mkdir()
    (note,) = [note for note in write_huggingface(bundle, tmp_path / "hf") if "language model" in note]
    assert "words can be written" in note
    processor = AutoProcessor.from_pretrained(tmp_path / "hf")
    assert type(processor).__name__ == "Wav2Vec2ProcessorWithLM"
    assert (processor.decoder.model_container[processor.decoder._model_key].alpha) == best.alpha
    generator = torch.Generator().manual_seed(0)
    log_probs = (3 * torch.randn(3, 40, BLANK + 1, generator=generator)).log_softmax(-1)
    configure_decoding(bundle, {"strategy": "pyctcdecode", "beam": {"beam_size": 100}})
    texts = [found.text for found in decode_log_probs(bundle, log_probs, torch.full((3,), 40))]
    assert processor.batch_decode(log_probs.numpy(), num_processes=1).text == texts


@pytest.mark.slow
def test_saving_a_bundle_again_and_again_neither_loses_nor_grows(model, hindi_lm, tmp_path):
    kept = keep_language_model(hindi_lm)
    configure_decoding(model, {"strategy": "beam_batch", "beam": {"ngram_lm_model": str(kept), "beam_size": 2}})
    sizes = []
    for turn in range(3):
        model.save_to(str(tmp_path / f"{turn}.nemo"))
        sizes.append((tmp_path / f"{turn}.nemo").stat().st_size)
        model = ASRModel.restore_from(str(tmp_path / f"{turn}.nemo"), map_location="cpu")
        name = Path(model.cfg.decoding.beam.ngram_lm_model)
        assert name.read_bytes() == hindi_lm.read_bytes()
        assert len(name.parent.name) < 60, "names do not grow either"
    assert max(sizes) - min(sizes) < 4096  # tar pads


def test_a_path_out_of_the_archive_is_refused(model, hindi_lm, tmp_path):
    config = model.cfg.copy()
    config.decoding.strategy = "beam_batch"
    for name in ("nemo:../lm.nemo", "nemo:absent.nemo"):
        config.decoding.beam.ngram_lm_model = name
        with pytest.raises(ValueError, match=r"expected a file in the \.nemo archive, found none"):
            type(model)(cfg=config.copy())
    assert LM_KEY == "decoding.beam.ngram_lm_model"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"alphas": []}, "alphas="),
        ({"alphas": [-0.1]}, r"alphas=\[-0.1\]: expected different numbers from 0"),
        ({"betas": ["x"]}, r"betas=\['x'\]: expected different numbers, at least one"),
        ({"betas": [float("nan")]}, "betas="),
        ({"betas": [1, 1]}, "betas="),
        ({"beam_sizes": [0]}, "beam_sizes="),
        ({"beam_sizes": [4.5]}, "beam_sizes="),
        ({"output": Path("bundle.zip")}, r"ends in \.nemo"),
        ({"lm": Path("words.arpa")}, r"words\.arpa"),
        ({"lm": Path("empty.nemo")}, r"empty\.nemo"),  # the file that was given, not a copy
        ({"dataset_manifest": Path("empty.json")}, r"found no usable row among 0 with a text, expected dev data"),
    ],
)
def test_impossible_arguments_are_named(model, dev, hindi_lm, tmp_path, monkeypatch, changes, named):
    monkeypatch.chdir(tmp_path)
    Path("empty.json").touch()
    Path("empty.nemo").touch()
    arguments = {"dataset_manifest": dev, "lm": hindi_lm, "output": Path("bundle.nemo"), **GRID, **changes}
    with pytest.raises((ValueError, FileNotFoundError), match=named) as error:
        tune_decoding(model, **arguments)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("bundle*"))
