"""A job as a whole: nothing is lost to a kill, to bad files or bad manifests, and nothing depends on how it ran."""

import json
import multiprocessing
import os
import random
import signal
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tqdm import tqdm

from nemo_models.decoding.strategy import configure_decoding
from nemo_models.transcription.batch_job import OutputPlan, Summary, make_job_key, run_job
from nemo_models.transcription.inputs import AudioInput, as_input, list_inputs
from nemo_models.transcription.progress import TranscriptionProgress
from nemo_models.transcription.transcribe import transcribe

RATE = 16_000


@pytest.fixture(scope="module")
def model(tiny_model):
    configure_decoding(tiny_model)
    return tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve short recordings."""
    folder, generator = tmp_path_factory.mktemp("audio"), np.random.default_rng(0)
    for index in range(12):
        samples = 0.1 * generator.standard_normal(round((0.3 + 0.05 * index) * RATE))
        soundfile.write(folder / f"{index:02}.wav", samples, RATE)
    return folder


def run(model, inputs, output, formats=(), slowly=0.0, **options):
    """Run a job; `slowly`: seconds that each transcript takes longer."""

    def recognise(waiting):
        for transcript in transcribe(model, waiting, **options):
            time.sleep(slowly)
            yield transcript

    plan = OutputPlan(output, formats=formats, formats_dir=output.with_name("files"))
    with TranscriptionProgress(1.0) as progress:
        return run_job(recognise, inputs, plan, make_job_key("model", {}, inputs), progress)


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def in_a_process_of_its_own(model, inputs, output, slowly):
    torch.set_num_threads(1)  # a forked process cannot use the threads of its parent
    tqdm.set_lock(threading.RLock())  # killed with tqdm's own lock, which processes share, it would stop its parent
    run(model, inputs, output, ["srt", "txt"], slowly, batch_size=1, num_workers=0)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_the_output_is_the_same(model, folder, tmp_path):
    inputs = [*list_inputs(audio_dir=folder), as_input("absent.wav")]
    whole = run(model, inputs, tmp_path / "whole/out.json", ["srt", "txt"])
    assert (whole.inputs, whole.resumed, dict(whole.errors)) == (13, 0, {"missing_audio": 1})
    output = tmp_path / "killed/out.json"
    output.parent.mkdir()
    partial_file, done = output.with_name(".out.json.partial"), 0
    for wanted in (0, 1, 4, 4, 9, 12):  # rows after which the process is killed, the first time before any
        process = multiprocessing.get_context("fork").Process(
            target=in_a_process_of_its_own, args=(model, inputs, output, 0.05)
        )
        process.start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.is_alive():
            if partial_file.exists() and partial_file.read_bytes().count(b"\n") - 1 >= wanted:
                break
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL and not output.exists(), "killed too late to test anything"
        lines = partial_file.read_bytes().count(b"\n")
        assert lines > done, "what was finished before is still there"
        done = max(lines - 1, done)
    with partial_file.open("ab") as journal:
        journal.write(b'{"index": 3, "audio_s": 0.4, "row": {"pred_')  # as a kill in the middle of a write leaves it
    finished = run(model, inputs, output, ["srt", "txt"])
    assert finished.resumed == done >= 9
    assert output.read_bytes() == (tmp_path / "whole/out.json").read_bytes()
    assert not partial_file.exists()
    for made in (tmp_path / "whole/files").iterdir():
        assert (tmp_path / "killed/files" / made.name).read_bytes() == made.read_bytes()
    assert abs(finished.audio_s - whole.audio_s) < 1e-6, "audio of earlier runs counts"


def test_output_does_not_depend_on_how_it_ran(model, folder, tmp_path):
    inputs = list_inputs(audio_dir=folder)
    outputs = set()
    for number, options in enumerate(
        ({}, {"batch_size": 1, "num_workers": 0}, {"batch_size": 5, "num_workers": 4}, {"sort_by_duration": False})
    ):
        run(model, inputs, tmp_path / f"{number}.json", **options)
        outputs.add((tmp_path / f"{number}.json").read_bytes())
    assert len(outputs) == 1


def test_the_key_knows_everything_that_a_row_depends_on(folder, tmp_path):
    inputs = list_inputs(audio_dir=folder)
    lm = tmp_path / "lm.nemo"
    lm.write_text("one")
    options = {"ctc_decoding": {"beam": {"ngram_lm_model": str(lm)}}, "formats": ["srt"]}
    keys = {make_job_key("m", options, inputs)}
    assert keys == {make_job_key("m", options, list(inputs))}
    keys.add(make_job_key("n", options, inputs))
    keys.add(make_job_key("m", {**options, "formats": []}, inputs))
    keys.add(make_job_key("m", options, inputs[::-1]))
    keys.add(make_job_key("m", options, [AudioInput(inputs[0].path, 0.1), *inputs[1:]]))
    lm.write_text("another")
    keys.add(make_job_key("m", options, inputs))
    soundfile.write(folder / "00.wav", np.zeros(4800), RATE)
    keys.add(make_job_key("m", options, inputs))
    assert len(keys) == 7


def test_summary_says_what_came_of_it():
    summary = Summary(Path("out.json"), inputs=1203, resumed=200, audio_s=7200, new_audio_s=3600, seconds=61.5)
    summary.errors.update({"missing": 2, "unreadable": 1})
    said = str(summary)
    for part in ("1,203 = 1,200 transcribed + 3 failed", "200 of them by an earlier run", "2.00 h", "58.5 × real time"):
        assert part in said
    assert said.index("2 × missing") < said.index("1 × unreadable")


MUTATIONS = 1000


@pytest.mark.parametrize(("length", "status"), [(0, 0), (2 * RATE, 3)])
def test_only_missing_audio_makes_a_job_incomplete(model, tmp_path, length, status):
    """A recorder's header without a length is a warning; a file that is cut is one too, and something is missing."""
    samples = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[40:44] = struct.pack("<I", length)
    if status:
        content = content[: 44 + RATE]
    (tmp_path / "a.wav").write_bytes(content)
    summary = run(model, [as_input(tmp_path / "a.wav")], tmp_path / "out.jsonl")
    (row,) = rows_of(tmp_path / "out.jsonl")
    assert row["warning"].startswith("truncated_audio: " if status else "unclear_header: ") and "error" not in row
    assert summary.is_complete is not bool(status)
    assert ("damaged" if status else "read to the end") in str(summary)


def mutate_audio(content: bytes, chance: random.Random) -> bytes:
    """Damage a file as disks, networks and people do."""
    data = bytearray(content)
    kind = chance.randrange(8)
    if kind == 0:
        return bytes(data[: chance.randrange(len(data))])
    if kind == 1:
        for _ in range(chance.randrange(1, 30)):
            data[chance.randrange(len(data))] = chance.randrange(256)
    elif kind == 2:  # in the header, where lengths, rates and channels are
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(min(60, len(data)))] = chance.randrange(256)
    elif kind == 3:
        at = chance.randrange(len(data))
        data[at : at + chance.randrange(1, 2000)] = b""
    elif kind == 4:
        at = chance.randrange(len(data))
        data[at:at] = chance.randbytes(chance.randrange(1, 2000))
    elif kind == 5:
        at = chance.randrange(len(data))
        data[at : at + 400] = bytes(len(data[at : at + 400]))
    elif kind == 6:
        return chance.choice([b"", b"\0", b"RIFF", b"just text\n", chance.randbytes(500), "आज".encode()])
    else:
        at = 4 * chance.randrange(11, max(12, len(data) // 4))
        data[at : at + 4] = chance.choice([struct.pack("<f", float("nan")), b"\xff\xff\xff\xff", b"\0\0\x80\x7f"])
    return bytes(data)


def mutate_line(line: str, chance: random.Random) -> str:
    kind = chance.randrange(5)
    at = chance.randrange(len(line))
    if kind == 0:
        return line[:at]
    if kind == 1:
        return line[:at] + chance.choice('{}[]",:\\0eN-\t ') + line[at + 1 :]
    if kind == 2:
        return line.replace("audio_filepath", chance.choice(["audio", "", "audio_filepath\\u0000"]))
    if kind == 3:
        value = chance.choice(["null", "-1", "1e99", "[]", '"x"', "{}", "NaN", "true", "0.0000001", "1" * 400])
        return line.replace("0.25", value)
    return chance.choice(["", "null", "[" * 3000, '"a"', "\x00", "{}" + line, line + line])


@pytest.mark.slow
def test_a_thousand_damaged_files_and_lines_cost_nothing_else(model, tmp_path, monkeypatch):
    """Every input gives one row, in order; sound ones their text; damaged ones a text or a reason of one line."""
    monkeypatch.setenv("PATH", "")  # no sox: a process for each would be the test's whole time
    chance, generator = random.Random(0), np.random.default_rng(0)
    samples = 0.1 * generator.standard_normal(round(0.25 * RATE))
    sources = {}
    for name, subtype in (
        ("a.wav", "PCM_16"),
        ("b.wav", "FLOAT"),
        ("c.flac", "PCM_16"),
        ("d.ogg", "VORBIS"),
        ("e.mp3", "MPEG_LAYER_III"),
    ):
        soundfile.write(tmp_path / name, samples, RATE, subtype=subtype)
        sources[name] = (tmp_path / name).read_bytes()
    lines, kinds = [], []
    for number in range(MUTATIONS):
        name = chance.choice(list(sources))
        line = json.dumps({"audio_filepath": name, "offset": 0, "duration": 0.25, "n": number})
        kind = chance.choice(["sound", "audio", "audio", "audio", "line"])
        if kind == "audio":
            damaged = f"{number}-{name}"
            (tmp_path / damaged).write_bytes(mutate_audio(sources[name], chance))
            duration = {} if chance.random() < 0.5 else {"offset": 0.01, "duration": 0.2}
            line = json.dumps({"audio_filepath": damaged, "n": number} | duration)
        elif kind == "line":
            line = mutate_line(line, chance).replace("\n", "")
            if not line.strip():
                continue  # an empty line is no input
        lines.append(line)
        kinds.append((kind, name))
    (tmp_path / "m.json").write_text("\n".join(lines), encoding="utf-8", errors="replace")
    started = time.monotonic()
    inputs = list_inputs(tmp_path / "m.json")
    assert len(inputs) == len(lines)
    summary = run(model, inputs, tmp_path / "out.json", ["srt"], batch_size=64)
    assert time.monotonic() - started < 300, "it hangs"
    rows = rows_of(tmp_path / "out.json")
    assert len(rows) == len(lines)
    texts = {name: set() for name in sources}
    for (kind, name), row in zip(kinds, rows, strict=True):
        assert isinstance(row["pred_text"], str)
        if kind == "sound":
            assert "error" not in row
            texts[name].add(row["pred_text"])
        if "error" in row:
            assert row["pred_text"] == "" and "\n" not in row["error"] and "m.json:" in row["error"]
            assert row["error"].split(":")[0] in summary.errors
    assert all(len(found) == 1 for found in texts.values()), "a sound file's text changed beside damaged ones"
    errors = sum(summary.errors.values())
    assert MUTATIONS / 5 < errors < MUTATIONS * 0.8, "the damage must be real, and not total"
    assert set(summary.errors) <= {
        *(
            "manifest",
            "missing_audio",
            "unreadable_audio",
            "truncated_audio",
            "damaged_audio",
            "not_finite_audio",
            "damaged_audio",
            "too short",
            "several_channels",
            "bad_segment",
        ),
    }
    assert len(summary.errors) >= 5
