"""scripts/train_ngram_lm.py and scripts/transcribe_speech.py as a user runs them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lm_text import lm_lines

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def place(tiny_model, tmp_path_factory):
    """A folder with a model, a text, three recordings (in two folders), and manifests, one with a bad row."""
    folder = tmp_path_factory.mktemp("place")
    tiny_model.save_to(str(folder / "tiny.nemo"))
    (folder / "text.txt").write_text("\n".join([*lm_lines(), "कोविड19"]), encoding="utf-8")
    generator, rows = np.random.default_rng(0), []
    for name, seconds in (("audio/a.wav", 0.8), ("audio/more/b.flac", 1.4), ("audio/c.wav", 0.5)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(str(folder / name), 0.2 * generator.standard_normal(round(16_000 * seconds)), 16_000)
        rows.append({"audio_filepath": name, "duration": seconds, "text": "कल सुबह", "speaker": name[-5]})
    for name, lines in (("good.json", rows), ("bad.json", [rows[0], {"audio_filepath": "lost.wav"}, rows[1]])):
        (folder / name).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    (folder / "broken.json").write_text('{"audio_filepath": "a.wav"}\n{"audio\n')
    return folder


def _run(place, script, *arguments):
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300)


def _rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_manifest_greedy_then_beam_search_with_a_language_model(place, lmplz):
    done = _run(place, "train_ngram_lm", "text=text.txt", "model_path=tiny.nemo", "order=3", "output=lm.nemo")
    assert done.returncode == 0, done.stderr
    assert "10 lines = 9 used + 0 empty + 1 left out" in done.stdout
    assert "U+0031 DIGIT ONE 1" in done.stdout

    common = ("model_path=tiny.nemo", "dataset_manifest=good.json", "cuda=-1")
    done = _run(place, "transcribe_speech", *common, "output_filename=greedy.json")
    assert done.returncode == 0, done.stderr
    assert "WER " in done.stdout and "CER " in done.stdout
    greedy = _rows(place / "greedy.json")
    assert [{k: v for k, v in row.items() if k != "pred_text"} for row in greedy] == _rows(place / "good.json")
    assert all(row["pred_text"] for row in greedy)

    beam = ("ctc_decoding.strategy=beam_batch", "ctc_decoding.beam.ngram_lm_model=lm.nemo")
    weights = ("ctc_decoding.beam.ngram_lm_alpha=1.0", "ctc_decoding.beam.beam_beta=0.5")
    done = _run(place, "transcribe_speech", *common, *beam, *weights, "output_filename=beam.json", "batch_size=2")
    assert done.returncode == 0, done.stderr
    assert [row["pred_text"] for row in _rows(place / "beam.json")] != [row["pred_text"] for row in greedy]


def test_folder_and_default_names(place):
    done = _run(place, "transcribe_speech", "model_path=tiny.nemo", "audio_dir=audio", "cuda=-1")
    assert done.returncode == 0, done.stderr
    assert "WER" not in done.stdout
    rows = _rows(place / "audio.json")
    assert [row["audio_filepath"] for row in rows] == ["audio/a.wav", "audio/c.wav", "audio/more/b.flac"]
    assert [row["duration"] for row in rows] == [0.8, 0.5, 1.4]
    before = (place / "audio.json").stat().st_mtime_ns
    done = _run(place, "transcribe_speech", "model_path=tiny.nemo", "audio_dir=audio", "overwrite_transcripts=false")
    assert done.returncode == 0 and "nothing done" in done.stdout
    assert (place / "audio.json").stat().st_mtime_ns == before


def test_bad_file_is_a_line_and_status_3(place):
    arguments = ("model_path=tiny.nemo", "dataset_manifest=bad.json", "append_pred=true", "pred_name_postfix=v1")
    done = _run(place, "transcribe_speech", *arguments, "cuda=-1", "amp=true", "amp_dtype=bfloat16")
    assert done.returncode == 3, done.stderr
    assert "1 inputs failed" in done.stdout and "missing 1" in done.stdout
    first, lost, last = _rows(place / "bad_v1.json")
    assert first["pred_text_v1"] and last["pred_text_v1"] and lost["pred_text_v1"] == ""
    assert lost["error"].startswith("missing: no such file") and "lost.wav" in lost["error"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("model_path=absent.nemo dataset_manifest=good.json", "absent.nemo: no such file"),
        ("model_path=tiny.nemo dataset_manifest=broken.json", "broken.json:2: "),
        ("model_path=tiny.nemo dataset_manifest=good.json ctc_decoding.strategy=wfst", "greedy_batch, beam_batch"),
    ],
)
def test_wrong_arguments_are_one_line(place, arguments, named):
    done = _run(place, "transcribe_speech", *arguments.split())
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and named in errors[0]
    assert "Traceback" not in done.stderr
