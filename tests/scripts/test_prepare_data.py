"""The job as a user runs it: command line, exit status, kills, real recordings."""

import json
import os
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
import soundfile

from data_prep.manifest import read_manifest, resolve_audio_path

TEXT = "कमल खिला"


def run(command: list[str], *arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False, **options)


def read_outputs(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".units" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
def test_exit_status_and_table(make_corpus, prepare_command, tmp_path):
    rows = [(f"{number}.wav", f"s{number}", TEXT) for number in range(4)]
    arguments = [f"output_dir={tmp_path / 'out'}", "num_workers=2"]
    done = run(prepare_command, f"corpus_dir={make_corpus(rows)}", *arguments)
    assert done.returncode == 0 and "corpus: 4 rows in, 4 kept" in done.stdout and "rows/s" in done.stderr
    done = run(prepare_command, f"corpus_dir={make_corpus([*rows, ('4.wav', 's1', '5 कमल')])}", *arguments)
    assert done.returncode == 0 and "note: no row was rejected as an error" in done.stdout
    done = run(prepare_command, f"corpus_dir={make_corpus([*rows, ('torn', 'row')])}", *arguments)
    assert done.returncode == 3 and "malformed_row" in done.stdout and "exit status 3" in done.stdout
    assert len(read_manifest(tmp_path / "out/train_manifest.json")) >= 1


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["corpus_dir=/absent"], "error: corpus_dir=/absent: no such folder"),
        (["corpus_dir={tmp}"], "error: {tmp}/transcripts.tsv: no such file; corpus=tsv expects it in corpus_dir"),
        (["corpus=x", "corpus_dir={tmp}"], "error: corpus=x: expected one of an4, common_voice, csv, fleurs"),
        ([], "error: missing corpus_dir=…"),
    ],
)
def test_wrong_input_is_one_line(prepare_command, tmp_path, arguments, fault):
    arguments = [argument.format(tmp=tmp_path) for argument in arguments]
    done = run(prepare_command, *arguments, f"output_dir={tmp_path / 'out'}")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(fault.format(tmp=tmp_path)) and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_splits_are_given_on_the_command_line(make_corpus, prepare_command, tmp_path):
    folder = make_corpus([(f"{number}.wav", f"s{number}", TEXT) for number in range(4)])
    run(prepare_command, f"corpus_dir={folder}", f"output_dir={tmp_path / 'a'}", "splits={test: 1.0}", "source=news")
    assert {row["source"] for row in read_manifest(tmp_path / "a/test_manifest.json")} == {"news"}
    assert not (tmp_path / "a/train_manifest.json").exists()
    run(
        prepare_command,
        f"corpus_dir={folder}",
        f"output_dir={tmp_path / 'b'}",
        "dev_speakers=[s1]",
        "test_speakers=[s0,s3]",
    )
    assert [row["speaker"] for row in read_manifest(tmp_path / "b/test_manifest.json")] == ["s0", "s3"]


def list_children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def slow_corpus(make_corpus, write_audio, tmp_path) -> tuple[Path, dict[str, str]]:
    """A corpus that only sox can decode, and an environment where that is slow enough to be stopped."""
    rows = [(f"{number}.sox", f"s{number % 9}", TEXT) for number in range(90)]
    for number, (path, *_) in enumerate(rows):
        wav = write_audio(tmp_path / f"corpus/{number}.wav", rate=44100, channels=2, seconds=0.6, pitch=300 + number)
        subprocess.run(["sox", wav, tmp_path / "corpus" / path], check=True)
    slow_sox = tmp_path / "bin" / "sox"
    slow_sox.parent.mkdir()
    slow_sox.write_text(f'#!/bin/sh\nsleep 0.05\nexec {shutil.which("sox")} "$@"\n')
    slow_sox.chmod(0o755)
    return make_corpus(rows), {**os.environ, "PATH": f"{slow_sox.parent}:{os.environ['PATH']}"}


def stop_midway(command: list[str], env: dict[str, str], units: Path, signal_number: int) -> tuple[int, str]:
    """Start a job and send its process group a signal after two more work units; return exit status and stderr."""
    before = len(list(units.glob("0*.jsonl")))
    reset = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores SIGINT
    with subprocess.Popen(
        command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=reset
    ) as job:
        while len(list(units.glob("0*.jsonl"))) < before + 2:
            assert job.poll() is None, "the job ended before it could be stopped"
            time.sleep(0.01)
        workers = list_children(job.pid)
        os.killpg(job.pid, signal_number)
        errors = job.communicate(timeout=30)[1]
    deadline = time.monotonic() + 10
    assert workers
    while any(map(is_alive, workers)):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)
    return job.returncode, errors


@pytest.mark.slow
def test_stopped_runs_continue_to_the_same_output(slow_corpus, prepare_command, tmp_path):
    """Killed without warning twice and interrupted once, the job ends with the files of an undisturbed run."""
    corpus, slow = slow_corpus
    command = [*prepare_command, f"corpus_dir={corpus}", "num_workers=2", "unit_size=3"]
    assert run(command, f"output_dir={tmp_path / 'undisturbed'}").returncode == 0
    stopped, units = f"output_dir={tmp_path / 'stopped'}", tmp_path / "stopped" / ".units"
    for _ in range(2):
        assert stop_midway([*command, stopped], slow, units, signal.SIGKILL)[0] == -signal.SIGKILL
        assert not (tmp_path / "stopped" / "report.json").exists()
    status, errors = stop_midway([*command, stopped], slow, units, signal.SIGINT)
    assert status == 130 and "run the same command again to continue" in errors and "Traceback" not in errors
    done = run(command, stopped)
    assert done.returncode == 0 and "from an earlier run" in done.stderr
    assert read_outputs(tmp_path / "stopped") == read_outputs(tmp_path / "undisturbed")


@pytest.mark.slow
def test_kills_at_any_moment_leave_nothing_behind(make_corpus, prepare_command, tmp_path):
    """From its start to the writing of its last files, a run is killed over and over; the last one is let live."""
    rows = [(f"{number}.wav", f"s{number % 9}", TEXT if number % 4 else "5") for number in range(400)]
    command = [*prepare_command, f"corpus_dir={make_corpus(rows)}", "num_workers=2", "shard_size=10"]
    begun = time.monotonic()
    assert run(command, f"output_dir={tmp_path / 'undisturbed'}").returncode == 0
    whole = time.monotonic() - begun
    for share in (0.5, 0.65, 0.75, 0.85, 0.9, 0.95):
        with subprocess.Popen(
            [*command, f"output_dir={tmp_path / 'killed'}"], stderr=subprocess.DEVNULL, start_new_session=True
        ) as job:
            time.sleep(share * whole)
            os.killpg(job.pid, signal.SIGKILL)
    assert run(command, f"output_dir={tmp_path / 'killed'}").returncode == 0
    assert len(read_outputs(tmp_path / "killed")) == 6
    assert read_outputs(tmp_path / "killed") == read_outputs(tmp_path / "undisturbed")


@pytest.mark.parametrize(("corpus", "rows", "speakers"), [("air_hindi", 120, "station"), ("mucs_hindi", 60, "speaker")])
def test_real_recordings(shared_data, prepare_command, tmp_path, corpus, rows, speakers):
    """Every third row of the news, so that all stations are in; all of the stories."""
    folder = tmp_path / corpus
    folder.mkdir()
    (folder / "audio").symlink_to(shared_data / corpus / "audio")
    header, *lines = (shared_data / corpus / "transcripts.tsv").read_text(encoding="utf-8").splitlines()
    assert speakers in header.split("\t")
    lines = lines[:: len(lines) // rows][:rows]
    (folder / "transcripts.tsv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    done = run(prepare_command, f"corpus_dir={folder}", f"output_dir={tmp_path / 'out'}", "num_workers=2")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert report["in"] == rows == report["kept"] + report["rejected"]
    unfit = {"numbers", "latin", "abbreviation", "outside_alphabet", "malformed_text"}
    assert set(report["rejected_by_reason"]) <= unfit and report["kept"] >= 0.9 * rows
    assert report["audio"]["converted"] == 0 and report["speakers_in_several_splits"] == []
    stated = {(folder / row[0]).resolve(): float(row[1]) for row in (line.split("\t") for line in lines)}
    for split in ("train", "dev", "test"):
        manifest = tmp_path / f"out/{split}_manifest.json"
        for row in read_manifest(manifest):
            audio = resolve_audio_path(row["audio_filepath"], manifest)
            assert row["duration"] == soundfile.info(audio).duration
            assert row["duration"] == pytest.approx(stated[audio.resolve()], abs=0.006)  # stated with two digits
