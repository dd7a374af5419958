import gc
import json
import logging
import multiprocessing
import random
import tarfile
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from data_prep.prepare.export_shards import export_shards
from data_prep.text.alphabet import load_alphabet
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.training.data_errors import explain_data_error
from nemo_models.training.resume import ResumeCheckpoint
from nemo_models.training_data.seeding import seed_all
from nemo_models.training_data.stream import BatchInfo, DatasetWithInfo, StreamPosition, TrainingStream
from training_job import SETTINGS, compose, write_data

pytestmark = pytest.mark.slow

COUNT = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_data(tmp_path_factory.mktemp("data"), utterances=COUNT)


def open_stream(data: dict[str, str], **changes: object) -> TrainingStream:
    settings = {**SETTINGS, **data, "exp_manager.exp_dir": "unused", "model.train_ds.augmentor.white_noise.prob": 1.0}
    settings |= {f"model.train_ds.{key}": value for key, value in changes.items()}
    cfg = compose([f"{key}={value}" for key, value in settings.items()])
    cfg.model.labels = load_alphabet()
    stream = XLSRCTCModel(cfg=cfg.model)._train_dl
    assert isinstance(stream, TrainingStream)
    return stream


def take(stream: TrainingStream, count: int) -> list[tuple[torch.Tensor, BatchInfo]]:
    return [(batch[0], batch[4]) for batch in islice(stream, count)]


def test_every_pass_has_every_utterance_once_at_any_epoch_length(data: dict[str, str]):
    stream = open_stream(data)
    notes = [note for _ in range(12) for _, note in take(stream, 3)]  # twelve epochs of three batches
    assert [note.position.number for note in notes] == list(range(36))
    names = [[name for note in notes if note.position.pass_number == which for name in note.names] for which in (0, 1)]
    expected = {str(Path(data["model.train_ds.manifest_filepath"]).with_name(f"{at}.wav")) for at in range(COUNT)}
    for one_pass in names:
        assert set(one_pass) == expected
        assert len(one_pass) == COUNT
    assert names[0] != names[1]  # each pass has another order
    assert notes[-1].position.pass_number > 1


def test_a_stream_can_start_anywhere_and_is_the_same_for_any_number_of_workers(data: dict[str, str]):
    whole = take(open_stream(data), 24)
    for start, workers in ((0, 2), (7, 0), (17, 2)):
        stream = open_stream(data, num_workers=workers)
        stream.start_at(whole[start][1].position)
        for (audio, note), (expected, of_expected) in zip(take(stream, 24 - start), whole[start:], strict=True):
            assert note == of_expected
            assert torch.equal(audio, expected)  # its white noise too


@pytest.mark.parametrize("reads_shards", [False, True])
def test_workers_end_with_the_model_and_are_not_waited_for(
    data: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads_shards: bool
):
    changes: dict[str, object] = {"num_workers": 2}
    if reads_shards:
        export_shards(data["model.train_ds.manifest_filepath"], tmp_path, "shar", num_shards=2, num_workers=1)
        changes |= {"manifest_filepath": "null", "shar_path": tmp_path / "shar"}
    model: list = [open_stream(data, **changes)]
    take(model[0], 2)
    model.append(model)  # a cycle: only the collector of cycles deletes it
    waited: list[int | None] = []
    join = multiprocessing.Process.join

    def note(process: multiprocessing.Process, timeout: float | None = None) -> None:
        join(process, timeout)
        waited.append(process.exitcode)

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "join", note)
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 60.0)  # patience on busy machines
    del model
    gc.collect()
    assert waited[:2] == [0, 0]  # None: torch's patience ended before the worker


def test_joined_utterances_are_named_and_complete(data: dict[str, str]):
    names = [name for _, note in take(open_stream(data), 12) if note.position.pass_number == 0 for name in note.names]
    joined = {"concatenate_samples": "true", "concatenate_gap_seconds": 0.5, "batch_duration": 6}
    rows = [
        (wave, name.split(" + "), seconds)
        for audio, note in take(open_stream(data, **joined), 12)
        if note.position.pass_number == 0
        for wave, name, seconds in zip(audio, note.names, note.seconds, strict=True)
    ]
    assert sorted(name for _, row, _ in rows for name in row) == sorted(names)
    assert max(len(row) for _, row, _ in rows) > 1
    for wave, row, seconds in rows:
        parts = [soundfile.read(name, dtype="float32")[0] for name in row]
        assert seconds == pytest.approx(sum(map(len, parts)) / 16000 + 0.5 * (len(parts) - 1), abs=1e-3)
        at = 0
        for part in parts:
            loud = np.corrcoef(wave[at : at + len(part)], part)[0, 1]  # white noise is added
            assert loud > 0.9
            at += len(part) + 8000


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_batches_are_skipped_and_named(tmp_path: Path, workers: int):
    data = write_data(tmp_path, utterances=6)
    manifest, broken = Path(data["model.train_ds.manifest_filepath"]), tmp_path / "broken.flac"
    soundfile.write(broken, np.random.default_rng(0).normal(scale=0.1, size=64000), 16000)
    whole = broken.read_bytes()
    broken.write_bytes(whole[:200] + bytes(len(whole) - 200))  # its header is intact
    row = json.dumps({"audio_filepath": "broken.flac", "duration": 4.0, "text": "आज मौसम"})
    manifest.write_text(manifest.read_text("utf-8") + row + "\n", encoding="utf-8")
    notes = [note for _, note in take(open_stream(data, num_workers=workers), 12)]  # alone in its batch
    first = [note for note in notes if note.position.pass_number == 0]
    assert sorted(name for note in first for name in note.names) == sorted(
        str(tmp_path / f"{at}.wav") for at in range(6)
    )
    assert {name for note in notes for name in note.lost} == {str(broken)}
    joined = {"concatenate_samples": "true", "batch_duration": 30, "num_buckets": 1}
    lost = {name for _, note in take(open_stream(data, **joined), 3) for name in note.lost}
    assert all(name.startswith(str(broken)) for name in lost)
    assert any(name.startswith(f"{broken} (joined with {tmp_path}") for name in lost)
    manifest.write_text(row + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"found no readable audio in 100 batches in a row .*broken\.flac"):
        take(open_stream(data, num_buckets=1), 1)


@pytest.mark.parametrize("header", [b"RIFF", None], ids=["damaged", "missing"])
def test_a_row_whose_header_is_unreadable_is_left_out_and_named(tmp_path: Path, header: bytes | None):
    """NeMo reads headers to learn their rate: of more than 20,000 files, the check before training reads only some."""
    data = write_data(tmp_path, utterances=6)
    manifest, broken = Path(data["model.train_ds.manifest_filepath"]), tmp_path / "broken.wav"
    if header is not None:
        broken.write_bytes(header)
    rows = [{"audio_filepath": "broken.wav", "duration": 1.1, "text": "आज"}]
    rows.append({**rows[0], "offset": 2.0})
    manifest.write_text(manifest.read_text("utf-8") + "".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    infos = [info for _, info in take(open_stream(data, num_buckets=1), 8)]
    first = [info for info in infos if info.position.pass_number == 0]
    assert {name for info in first for name in info.names} == {str(tmp_path / f"{at}.wav") for at in range(6)}
    name = str(broken) if header is not None else "broken.wav"  # as NeMo names a file that does not exist
    assert {name for info in infos for name in info.lost} == {name, f"{name} at 2.00 s"}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_recording_missing_from_its_tars_manifest_gives_one_line(data: dict[str, str], tmp_path: Path, workers: int):
    export_shards(data["model.train_ds.manifest_filepath"], tmp_path, "tarred", num_shards=2, num_workers=1)
    tar = tmp_path / "tarred/audio_1.tar"
    with tarfile.open(tar, "a") as members:
        members.add(Path(data["model.train_ds.manifest_filepath"]).with_name("0.wav"), "extra.wav")
    changes: dict[str, object] = {
        "num_workers": workers,
        "manifest_filepath": tmp_path / "tarred/sharded_manifests/manifest__OP_0..1_CL_.json",
        "tarred_audio_filepaths": tmp_path / "tarred/audio__OP_0..1_CL_.tar",
    }
    with pytest.raises(RuntimeError) as caught:
        take(open_stream(data, **changes), 20)
    line = explain_data_error(caught.value)
    assert line is not None and line.startswith(f"{tar}: found extra.wav, which {tmp_path}")
    assert "manifest_1.json does not list" in line and "skip_missing_manifest_entries=true" in line
    settings = {**SETTINGS, **data, "exp_manager.exp_dir": "unused"}
    settings |= {f"model.train_ds.{key}": value for key, value in changes.items()}
    settings |= {"+model.train_ds.skip_missing_manifest_entries": "true"}  # the remedy that the line names
    cfg = compose([f"{key}={value}" for key, value in settings.items()])
    cfg.model.labels = load_alphabet()
    names = {name for batch in islice(XLSRCTCModel(cfg=cfg.model)._train_dl, 20) for name in batch[4].names}
    assert names and "extra.wav" not in names


def test_each_pass_mixes_in_different_noise(data: dict[str, str]):
    manifest = data["model.train_ds.manifest_filepath"]
    changes = {"noise_path": manifest, "noise_mix_prob": 0.5, "augmentor.white_noise.prob": 0.0}
    heard: list[dict[str, torch.Tensor]] = [{}, {}]
    for audio, note in take(open_stream(data, **changes), 36):
        for wave, name, seconds in zip(audio, note.names, note.seconds, strict=True):
            assert " + " not in name  # noise is not an utterance
            if note.position.pass_number < 2:
                heard[note.position.pass_number][name] = wave[: round(16000 * seconds)]
    assert len(heard[0]) == len(heard[1]) == COUNT
    same = [torch.equal(heard[0][name], heard[1][name]) for name in heard[0]]
    assert 0 < sum(same) < COUNT / 2  # without noise in both


class Draws:
    """A dataset that returns random numbers for any cuts."""

    def __getitem__(self, cuts: list) -> tuple:
        return float(torch.rand(())), float(np.random.rand()), random.random(), []


def test_randomness_depends_on_position_and_process_and_leaves_the_state_unchanged():
    def draw(number: int, rank: int) -> tuple[float, ...]:
        return DatasetWithInfo(Draws(), seed=0, rank=rank)[StreamPosition(number, 0, number), []][:3]

    seed_all(7)
    undisturbed = Draws()[[]]
    seed_all(7)
    draws = [draw(3, 0), draw(4, 0), draw(3, 1)]
    assert Draws()[[]] == undisturbed
    assert draw(3, 0) == draws[0]
    for values in zip(*draws, strict=True):  # torch's, numpy's, Python's
        assert len(set(values)) == 3


@pytest.mark.parametrize("kind", ["tarred", "shar"])
def test_readers_of_shards_read_different_orders_and_can_start_anywhere(
    data: dict[str, str], tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    export_shards(data["model.train_ds.manifest_filepath"], tmp_path, kind, num_shards=4, num_workers=1)
    changes: dict[str, object] = {"num_workers": 2}
    if kind == "tarred":
        changes["manifest_filepath"] = tmp_path / "tarred/sharded_manifests/manifest__OP_0..3_CL_.json"
        changes["tarred_audio_filepaths"] = tmp_path / "tarred/audio__OP_0..3_CL_.tar"
    else:
        changes |= {"manifest_filepath": "null", "shar_path": tmp_path / "shar"}
    whole = take(open_stream(data, **changes), 6)
    first, second = whole[0][1].names, whole[1][1].names  # of one worker, of the other
    assert first != second
    stream = open_stream(data, **changes)
    state = ResumeCheckpoint(tmp_path / "x", stream, 1, 0).state_dict() | {"next": StreamPosition(4, 0, 4)}
    with caplog.at_level(logging.WARNING):
        ResumeCheckpoint(tmp_path / "x", stream, 1, 0).load_state_dict(state)
        assert "num_workers" not in caplog.text
        other = open_stream(data, **changes | {"num_workers": 1})
        ResumeCheckpoint(tmp_path / "x", other, 1, 0).load_state_dict(state)
    assert "model.train_ds.num_workers=1: expected 2" in caplog.text
    for (audio, note), (expected, of_expected) in zip(take(stream, 2), whole[4:], strict=True):
        assert note == of_expected
        assert torch.equal(audio, expected)
    orders = []
    for rank in (0, 1):  # processes that read for themselves
        monkeypatch.setattr(XLSRCTCModel, "global_rank", property(lambda _, rank=rank: rank))
        orders.append([note.names for _, note in take(open_stream(data, **changes | {"num_workers": 0}), 6)])
    assert orders[0] != orders[1]
