"""What is packed is read back by those who will read it: NeMo's and Lhotse's own data loaders."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.manifest import write_jsonl
from data_prep.prepare.export_shards import export_shards
from data_prep.text.alphabet import load_alphabet
from project import ROOT

SCRIPT = ROOT / "scripts" / "export_shards.py"
TEXTS = ["कमल खिला", "आज सुबह", "दुःख है", "वह हँस दिया", "छह बजे"]


@pytest.fixture
def manifest(tmp_path) -> Path:
    """Twelve rows of noise: WAV and FLAC, one at 8 kHz, one a segment, some with a speaker, one name with dots."""
    chance = np.random.default_rng(0)
    rows = []
    for number in range(12):
        name = f"{'क.sub1' if number == 3 else number}.{'flac' if number % 2 else 'wav'}"
        rate = 8000 if number == 4 else 16000
        samples = chance.integers(-9000, 9000, rate + 100 * number + 1).astype("int16")
        (tmp_path / "in").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "in" / name, samples, rate)
        row = {"audio_filepath": name, "duration": len(samples) / rate, "text": TEXTS[number % 5], "lang": "hi"}
        rows.append(row | ({"speaker": f"s{number}"} if number % 3 else {}))
    rows[5] |= {"offset": 0.25, "duration": 0.5}
    write_jsonl(tmp_path / "in/manifest.json", rows)
    return tmp_path / "in/manifest.json"


def read_expected(manifest: Path) -> list[tuple[str, np.ndarray]]:
    """Text and int16 samples of every row; `None` for the one that is resampled."""
    expected = []
    for line in manifest.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        samples, rate = soundfile.read(manifest.parent / row["audio_filepath"], dtype="int16")
        if "offset" in row:
            samples = samples[4000:12000]
        expected.append((row["text"], samples if rate == 16000 else None))
    return expected


def check_same(found: list[tuple[str, np.ndarray]], manifest: Path, lost: int = 0) -> None:
    """Compare with the manifest, up to `lost` samples at an utterance's end. No two rows are equally long."""
    expected = read_expected(manifest)
    assert len(found) == len(expected)
    by_length = {len(samples): (text, samples) for text, samples in found}
    for text, samples in expected:
        length = 2 * (8000 + 400 + 1) if samples is None else len(samples)
        length -= next(short for short in range(lost + 1) if length - short in by_length)
        assert by_length[length][0] == text
        assert samples is None or np.array_equal(by_length[length][1], samples[:length])


@pytest.mark.parametrize("audio_format", ["flac", "wav"])
@pytest.mark.parametrize("format", ["tarred", "shar"])
def test_nemo_reads_it_back_through_lhotse(manifest, tmp_path, format, audio_format):
    from nemo.collections.common.data.lhotse import get_lhotse_dataloader_from_config
    from omegaconf import OmegaConf

    report = export_shards(manifest, tmp_path / "out", format, num_shards=3, audio_format=audio_format, num_workers=2)
    assert (report["in"], report["exported"], report["shards"], report["rejected"]) == (12, 12, 3, [])

    class Collect:
        def __getitem__(self, cuts):
            return [(cut.supervisions[0].text, (cut.load_audio()[0] * 32768).astype("int16")) for cut in cuts]

    out = tmp_path / "out" / format
    source = {"shar_path": str(out)}
    if format == "tarred":
        source = {
            "manifest_filepath": f"{out}/sharded_manifests/manifest__OP_0..2_CL_.json",
            "tarred_audio_filepaths": f"{out}/audio__OP_0..2_CL_.tar",
        }
    settings = {"sample_rate": 16000, "batch_size": 4, "num_workers": 0, "force_finite": True, "shuffle": False}
    config = OmegaConf.create({**source, **settings, "use_lhotse": True, "shard_seed": 0})
    loader = get_lhotse_dataloader_from_config(config, global_rank=0, world_size=1, dataset=Collect())
    check_same([item for batch in loader for item in batch], manifest)


def test_nemos_own_tarred_dataset_reads_it_back(manifest, tmp_path):
    from nemo.collections.asr.data.audio_to_text import TarredAudioToCharDataset

    export_shards(manifest, tmp_path / "out", num_shards=2, num_workers=1)
    out, labels = tmp_path / "out/tarred", load_alphabet()
    dataset = TarredAudioToCharDataset(
        audio_tar_filepaths=[str(out / f"audio_{index}.tar") for index in range(2)],
        manifest_filepath=str(out / "tarred_audio_manifest.json"),
        labels=labels,
        sample_rate=16000,
        parser="base",
    )
    found = []
    for signal_, length, tokens, _ in (item[:4] for item in dataset):
        text = "".join(labels[token] for token in tokens.tolist())
        found.append((text, (signal_.numpy()[: int(length)] * 32768).astype("int16")))
    check_same(found, manifest, lost=1)  # NeMo reads int(duration * rate) samples, which rounding makes one too few


def read_shar(folder: Path) -> list:
    from lhotse import CutSet

    cuts = list(CutSet.from_shar(in_dir=folder))
    for cut in cuts:
        cut.custom = None  # lhotse notes there where it read the cut
    return cuts


def test_shar_is_what_lhotse_itself_would_write(manifest, tmp_path):
    from lhotse import CutSet

    export_shards(manifest, tmp_path / "out", "shar", num_shards=1, num_workers=1)
    ours = read_shar(tmp_path / "out/shar")
    assert {cut.supervisions[0].speaker for cut in ours} == {None, *(f"s{n}" for n in range(12) if n % 3)}
    (tmp_path / "theirs").mkdir()
    CutSet.from_cuts(ours).to_shar(tmp_path / "theirs", fields={"recording": "flac"}, shard_size=100)
    for one, other in zip(ours, read_shar(tmp_path / "theirs"), strict=True):
        assert np.array_equal(one.load_audio(), other.load_audio())
        one.recording.sources = other.recording.sources = []  # what is left but for the audio in memory
        assert one == other


def read_files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".shards" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("format", ["tarred", "shar"])
def test_any_number_of_workers_gives_the_same_bytes_and_a_second_run_does_nothing(manifest, tmp_path, format):
    export_shards(manifest, tmp_path / "one", format, num_shards=5, num_workers=1)
    export_shards(manifest, tmp_path / "two", format, num_shards=5, num_workers=3)
    files = read_files(tmp_path / "one")
    assert len(files) >= 11 and files == read_files(tmp_path / "two")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "one" / format).rglob("*0*.tar")}
    export_shards(manifest, tmp_path / "one", format, num_shards=5, num_workers=1)
    assert times == {path: path.stat().st_mtime_ns for path in times}
    export_shards(manifest, tmp_path / "one", format, num_shards=2, num_workers=1)
    assert len(list((tmp_path / "one" / format).glob("*.tar"))) == 2  # those of five shards do not stay
    export_shards(manifest, tmp_path / "other", format, num_shards=2, seed=1, num_workers=1)
    assert read_files(tmp_path / "other") != read_files(tmp_path / "one")


@pytest.mark.slow
def test_killed_runs_continue_to_the_same_bytes(manifest, tmp_path):
    rows = manifest.read_text(encoding="utf-8").splitlines()
    (manifest.parent / "many.json").write_text("\n".join(rows * 150) + "\n", encoding="utf-8")
    command = [
        sys.executable,
        str(SCRIPT),
        f"manifest={manifest.parent / 'many.json'}",
        "num_shards=60",
        "num_workers=2",
    ]
    for _ in range(3):
        states = tmp_path / "killed/.shards"
        before = len(list(states.glob("tarred-*.json")))
        with subprocess.Popen(
            [*command, f"output_dir={tmp_path / 'killed'}"], start_new_session=True, stderr=subprocess.DEVNULL
        ) as job:
            while len(list(states.glob("tarred-*.json"))) < before + 3 and job.poll() is None:
                time.sleep(0.002)
            assert job.poll() is None, "the job ended before it could be killed"
            os.killpg(job.pid, signal.SIGKILL)
        assert not (tmp_path / "killed/tarred/tarred_audio_manifest.json").exists()
    subprocess.run([*command, f"output_dir={tmp_path / 'killed'}"], check=True, capture_output=True)
    export_shards(manifest.parent / "many.json", tmp_path / "whole", num_shards=60, num_workers=1)
    assert read_files(tmp_path / "killed") == read_files(tmp_path / "whole")


def test_unreadable_audio_is_listed_and_the_rest_packed(manifest, tmp_path):
    (manifest.parent / "0.wav").unlink()
    (manifest.parent / "2.wav").write_text("no audio")
    arguments = [f"manifest={manifest}", f"output_dir={tmp_path / 'out'}", "num_shards=2", "num_workers=1"]
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "12 rows in, 10 packed" in done.stdout, done.stderr
    rejected = [json.loads(line) for line in (tmp_path / "out/tarred.rejected.jsonl").read_text("utf-8").splitlines()]
    assert [(row["row"], row["reason"]) for row in rejected] == [(1, "missing_audio"), (3, "unreadable_audio")]
    with tarfile.open(tmp_path / "out/tarred/audio_0.tar") as tar:
        names = tar.getnames()
    listed = (tmp_path / "out/tarred/sharded_manifests/manifest_0.json").read_text("utf-8").splitlines()
    assert names == [json.loads(line)["audio_filepath"] for line in listed] and all(
        "-sub" not in name for name in names
    )


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"format": "tar"}, "format=tar: expected one of tarred, shar"),
        ({"audio_format": "mp3"}, "audio_format=mp3: expected one of flac, wav"),
        ({"num_shards": 0}, "num_shards=0: expected a whole number, 1 or more, or null"),
    ],
)
def test_wrong_settings_are_named(manifest, tmp_path, arguments, fault):
    with pytest.raises(ValueError, match=fault):
        export_shards(manifest, tmp_path / "out", **arguments)


def test_the_shards_of_another_manifest_are_not_overwritten(manifest, tmp_path):
    export_shards(manifest, tmp_path / "out", num_shards=2, num_workers=1)
    before = read_files(tmp_path / "out")
    (manifest.parent / "dev.json").write_bytes(manifest.read_bytes())
    with pytest.raises(ValueError, match=r"found the tarred shards of .*/in/manifest\.json, expected an empty folder"):
        export_shards(manifest.parent / "dev.json", tmp_path / "out", num_shards=2, num_workers=1)
    assert read_files(tmp_path / "out") == before


def test_an_empty_manifest_is_refused(tmp_path):
    (tmp_path / "empty.json").touch()
    with pytest.raises(ValueError, match="found no row"):
        export_shards(tmp_path / "empty.json", tmp_path / "out")
