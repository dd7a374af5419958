"""Labels and rounds from end to end: a recogniser of synthesised speech labels folders of it, and learns from that."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import pseudo_label  # noqa: F401  registers the types of its arguments
from data_prep.job_settings import read_settings
from data_prep.manifest import read_manifest, resolve_audio_path, write_jsonl
from documents import make_workspace, read_blocks, run_block
from nemo_models.decoding.lm_bundle import extract_language_model, keep_language_model
from nemo_models.decoding.strategy import configure_decoding
from nemo_models.files.nemo_file import read_nemo_config
from nemo_models.self_training import passes
from nemo_models.self_training.passes import Passes
from nemo_models.self_training.pseudo_labels import label_audio
from nemo_models.self_training.rounds import run_rounds
from nemo_models.self_training.settings import PseudoLabelSettings
from nemo_models.transcription.inputs import as_input
from recogniser import TRAINING_VOICES, read_sentences, synthesize
from training_job import CONF
from warm_python import WarmPython

pytestmark = pytest.mark.slow

RATE = 16000
LONGEST_S = 6.0
FINE_TUNING = {
    "trainer.max_steps": 2,
    "trainer.limit_train_batches": 2,
    "trainer.val_check_interval": 2,
    "model.train_ds.batch_duration": 8,
    "model.train_ds.num_buckets": 2,
}


@pytest.fixture(scope="module")
def folder(recogniser, hindi_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a bundled language model, a folder of unlabelled recordings, and labelled manifests."""
    folder = tmp_path_factory.mktemp("self_training")
    decoding = {"ngram_lm_model": str(keep_language_model(hindi_lm)), "ngram_lm_alpha": 0.3, "beam_size": 8}
    configure_decoding(recogniser, {"strategy": "beam_batch", "beam": decoding})
    recogniser.save_to(str(folder / "bundle.nemo"))
    configure_decoding(recogniser, {"strategy": "greedy_batch"})
    (folder / "audio").mkdir()
    waves = synthesize(TRAINING_VOICES[0], read_sentences("dev", 6), folder)
    for number, wave in enumerate(waves):
        soundfile.write(folder / "audio" / f"{number}.wav", wave, RATE)
    pause = np.zeros(RATE // 2, np.float32)
    soundfile.write(folder / "audio" / "long.wav", np.concatenate([waves[0], pause, waves[1], pause, waves[2]]), RATE)
    soundfile.write(folder / "audio" / "silent.wav", np.zeros(2 * RATE, np.float32), RATE)
    (folder / "audio" / "broken.wav").write_bytes(b"RIFF no audio")
    for name, part in (("train", "train"), ("dev", "test")):
        texts = read_sentences(part, 3)
        rows = []
        for number, wave in enumerate(synthesize(TRAINING_VOICES[1], texts, folder)):
            soundfile.write(folder / f"{name}{number}.wav", wave, RATE)
            rows.append({"audio_filepath": f"{name}{number}.wav", "duration": len(wave) / RATE, "text": texts[number]})
        write_jsonl(folder / f"{name}.json", rows)
    return folder


def make_settings(folder: Path, output: Path, **changes: Any) -> PseudoLabelSettings:
    given = {
        "model_path": folder / "bundle.nemo",
        "audio_dir": folder / "audio",
        "output": output,
        "limits.max_duration": LONGEST_S,
        "prepare_workers": 1,
        "cuda": -1,
        **changes,
    }
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("pseudo_label", overrides=[f"{key}={value}" for key, value in given.items()])
    arguments: Any = OmegaConf.to_container(cfg, resolve=True)
    return read_settings(PseudoLabelSettings, arguments)


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_recording_is_labelled_or_left_out_with_its_reason(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    output = tmp_path / "pseudo.json"
    filters = {"filters.min_confidence": 0.2, "filters.max_perplexity": 1000, "filters.max_greedy_cer": 0.9}
    report = label_audio(make_settings(folder, output, **filters))
    files = tmp_path / "pseudo_files"
    labels, rejected = read_rows(files / "labels.jsonl"), read_rows(files / "rejected.jsonl")
    kept = read_manifest(output)
    assert report["in"] == len(labels) == len(kept) + len(rejected)
    reasons = {Path(row["path"]).name: row["reason"] for row in rejected}
    assert reasons["broken.wav"] == "unreadable_audio" and reasons["silent.wav"] == "silent_audio"
    pieces = [row for row in labels if "offset" in row]
    assert {Path(row["audio_filepath"]).name for row in pieces} == {"long.wav"} and len(pieces) >= 2
    assert all({"confidence", "perplexity", "greedy_cer"} <= row.keys() for row in labels if row["text"])
    whole = {Path(row["audio_filepath"]).name: row["text"] for row in labels if "offset" not in row}
    assert len(kept) >= 4
    for row in kept:
        audio = resolve_audio_path(row["audio_filepath"], output)
        assert soundfile.info(audio).duration == pytest.approx(row["duration"]) and row["duration"] <= LONGEST_S
        assert row["text"] and row["source"] == "pseudo"
        assert whole.get(audio.name, row["text"]) == row["text"]
    page = (files / "report.html").read_text(encoding="utf-8")
    assert "unreadable_audio" in page and "silent_audio" in page

    def refuse(*_: Any) -> None:
        raise AssertionError("transcribed again")

    monkeypatch.setattr(passes, "run_job", refuse)
    strict = {**filters, "filters.min_confidence": 0.95, "filters.max_greedy_cer": "null"}
    report = label_audio(make_settings(folder, output, **strict))
    low = [row for row in read_rows(files / "labels.jsonl") if row.get("confidence", 1) < 0.95]
    assert low and report["rejected_by_reason"]["low_confidence"] == len(low)
    assert all(row["excluded"].startswith("low_confidence: mean 0.") for row in low)


def test_a_job_that_keeps_nothing_is_an_error_with_the_reasons(folder: Path, tmp_path: Path):
    rows = [{"audio_filepath": str(folder / "audio" / "silent.wav"), "duration": 2.0}]
    write_jsonl(tmp_path / "audio.json", rows)
    changes = {"audio_dir": "null", "dataset_manifest": tmp_path / "audio.json"}
    with pytest.raises(
        ValueError,
        match=r"pseudo.json: found no label to keep among 1 .silent_audio 1.; see .*rejected.jsonl, and loosen",
    ):
        label_audio(make_settings(folder, tmp_path / "pseudo.json", **changes))
    assert not (tmp_path / "pseudo.json").exists()


def test_dropout_changes_texts_and_its_seed_chooses_how(folder: Path, tmp_path: Path):
    inputs = [as_input(folder / "audio" / f"{number}.wav") for number in range(3)]
    run = Passes(make_settings(folder, tmp_path / "pseudo.json"), tmp_path).run
    usual, first, second = (
        [row["pred_text"] for row in run(name, inputs, dropout=dropout, dropout_seed=seed)]
        for name, dropout, seed in (("a", 0.0, 0), ("b", 0.4, 0), ("c", 0.4, 1))
    )
    assert usual != first != second != usual


def test_rounds_go_on_where_they_were_stopped(folder: Path, tmp_path: Path):
    from nemo_models.training.finetuning import fine_tune

    changes = {
        "rounds": 2,
        "fine_tuning.recipe": "xlsr_tiny_hi",
        "fine_tuning.train_manifest": folder / "train.json",
        "fine_tuning.validation_manifest": folder / "dev.json",
        "fine_tuning.labelled_weight": 0.3,
        "filters.max_greedy_cer": "null",
        "filters.min_confidence": 0.2,
        **{f"++fine_tuning.arguments.{key}": value for key, value in FINE_TUNING.items()},
    }
    settings = make_settings(folder, tmp_path / "pseudo.json", **changes)
    started: list[Sequence[str]] = []
    told: list[tuple[int, bool]] = []

    def train(arguments: Sequence[str]) -> None:
        started.append(arguments)
        if len(started) == 2:
            raise ValueError("stopped")
        assert arguments[:2] == ["--config-name", "xlsr_tiny_hi"]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("xlsr_tiny_hi", overrides=["+trainer.enable_progress_bar=false", *arguments[2:]])
        weights = [part.weight for part in cfg.model.train_ds.input_cfg]
        assert weights == pytest.approx([0.7, 0.3]) and cfg.trainer.max_steps == 2
        fine_tune(cfg)

    def tell(number: int, report: dict[str, Any] | None) -> None:
        told.append((number, report is not None))

    with pytest.raises(ValueError, match="stopped"):
        run_rounds(settings, train, tell)
    model = run_rounds(settings, train, tell)
    assert told == [(1, True), (1, False), (2, True)]
    assert len(started) == 3  # the second round's training was asked for twice
    teachers = [next(one for one in arguments if one.startswith("+init_from_nemo_model")) for arguments in started]
    assert str(folder / "bundle.nemo") in teachers[0] and "round_1" in teachers[1] and teachers[1] == teachers[2]
    lm = extract_language_model(model, tmp_path)
    assert lm is not None and lm.stat().st_size > 0
    beam = read_nemo_config(model)["decoding"]["beam"]
    assert (beam["ngram_lm_alpha"], beam["beam_size"]) == (0.3, 8)
    assert all(Path(row["audio_filepath"]).is_file() for row in read_manifest(settings.output))


def test_commands_of_the_document_run(folder: Path, tmp_path: Path, warm_python: WarmPython):
    workspace = make_workspace(tmp_path, warm_python)
    (tmp_path / "bundle.nemo").symlink_to(folder / "bundle.nemo")
    (tmp_path / "recordings").mkdir()
    for number in range(3):
        (tmp_path / "recordings" / f"{number}.wav").symlink_to(folder / "audio" / f"{number}.wav")
    for name, source in {"train": "train", "dev": "dev", "test": "dev"}.items():
        path = tmp_path / "work/data" / f"{name}_manifest.json"
        rows = read_manifest(folder / f"{source}.json")
        write_jsonl(path, [{**row, "audio_filepath": str(folder / row["audio_filepath"])} for row in rows])
    arguments = " ".join(f"fine_tuning.arguments.{key}={value}" for key, value in FINE_TUNING.items())
    short = {"fine_tuning.recipe=xlsr_hi": f"fine_tuning.recipe=xlsr_tiny_hi cuda=-1 {arguments}"}
    short |= {"fine_tuning.arguments.trainer.max_steps=20000": "", "rounds=3": "rounds=1"}
    lenient = "filters.min_confidence=0.2 filters.max_greedy_cer=1"
    short["output=work/pseudo.json"] = f"output=work/pseudo.json cuda=-1 {lenient}"
    short["output=work/rounds.json"] = f"output=work/rounds.json {lenient}"
    printed = [run_block(block, workspace, short) for block in read_blocks("docs/self-training.md")]
    assert "labels: work/pseudo.json" in printed[0]
    assert "round 1:" in printed[1] and list(tmp_path.glob("work/rounds_files/round_1_*/model.nemo"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 1}, "fine_tuning.validation_manifest"),
        ({"output": "labels.txt"}, "output=labels.txt: expected a name that ends in .json or .jsonl"),
        ({"audio_dir": "null"}, "found 0 of them, expected one"),
        ({"model_path": "recogniser.nemo", "filters.max_perplexity": 9}, "recogniser.nemo: no such file"),
    ],
    ids=["validation", "output", "audio", "model"],
)
def test_a_setting_that_cannot_work_is_one_line(folder: Path, tmp_path: Path, changes: dict, message: str):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        label_audio(make_settings(folder, **{"output": tmp_path / "pseudo.json", **changes}))
