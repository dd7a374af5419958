"""scripts/train_ngram_lm.py and scripts/transcribe_speech.py as a user runs them."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from lm_text import lm_lines
from project import ROOT

pytestmark = pytest.mark.slow


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
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (folder / "good.json").write_text("".join(lines), encoding="utf-8")
    bad = [lines[0], '{"audio_filepath": "lost.wav"}\n', '{"audio\n', lines[1]]
    (folder / "bad.json").write_text("".join(bad), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(place, warm_python):
    """Run a script in `place`, in a process that has NeMo already."""

    def run(script, *arguments):
        return warm_python.run(ROOT / "scripts" / f"{script}.py", *arguments, folder=place)

    return run


def _rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _fields(rows):
    """What a row had before it was transcribed."""
    return [{key: value for key, value in row.items() if key not in ("pred_text", "words")} for row in rows]


def test_manifest_greedy_then_beam_search_with_a_language_model(place, run, lmplz):
    done = run("train_ngram_lm", "text=text.txt", "model_path=tiny.nemo", "order=3", "output=lm.nemo")
    assert done.returncode == 0, done.stderr
    assert "10 lines = 9 used + 0 empty + 1 left out" in done.stdout
    assert "U+0031 DIGIT ONE 1" in done.stdout

    common = ("model_path=tiny.nemo", "dataset_manifest=good.json", "cuda=-1")
    command = [sys.executable, ROOT / "scripts/transcribe_speech.py", *common, "output_filename=greedy.json"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300)  # as a user runs it
    assert done.returncode == 0, done.stderr
    assert "WER " in done.stdout and "CER " in done.stdout
    greedy = _rows(place / "greedy.json")
    assert _fields(greedy) == _rows(place / "good.json")
    for row in greedy:
        assert " ".join(word["word"] for word in row["words"]) == row["pred_text"] != ""
        assert all(0 <= word["start"] < word["end"] <= row["duration"] for word in row["words"])
        assert all(0 <= word["confidence"] <= 1 for word in row["words"])

    beam = ("ctc_decoding.strategy=beam_batch", "ctc_decoding.beam.ngram_lm_model=lm.nemo")
    weights = ("ctc_decoding.beam.ngram_lm_alpha=1.0", "ctc_decoding.beam.beam_beta=0.5")
    done = run("transcribe_speech", *common, *beam, *weights, "output_filename=beam.json", "batch_size=2")
    assert done.returncode == 0, done.stderr
    assert [row["pred_text"] for row in _rows(place / "beam.json")] != [row["pred_text"] for row in greedy]


def test_folder_and_default_names(place, run):
    formats = "output_formats=[srt,TextGrid]"
    done = run("transcribe_speech", "model_path=tiny.nemo", "audio_dir=audio", "cuda=-1", formats)
    assert done.returncode == 0, done.stderr
    assert "WER" not in done.stdout
    rows = _rows(place / "audio.json")
    assert [row["audio_filepath"] for row in rows] == ["audio/a.wav", "audio/c.wav", "audio/more/b.flac"]
    assert [row["duration"] for row in rows] == [0.8, 0.5, 1.4]
    made = sorted(str(path.relative_to(place / "audio_files")) for path in (place / "audio_files").rglob("*.*"))
    assert made == ["a.TextGrid", "a.srt", "c.TextGrid", "c.srt", "more/b.TextGrid", "more/b.srt"]
    before = (place / "audio.json").stat().st_mtime_ns
    done = run("transcribe_speech", "model_path=tiny.nemo", "audio_dir=audio", "overwrite_transcripts=false")
    assert done.returncode == 0 and "nothing was done" in done.stdout
    assert (place / "audio.json").stat().st_mtime_ns == before


def test_bad_file_is_a_line_and_status_3(place, run):
    arguments = ("model_path=tiny.nemo", "dataset_manifest=bad.json", "append_pred=true", "pred_name_postfix=v1")
    done = run("transcribe_speech", *arguments, "cuda=-1", "amp=true", "amp_dtype=bfloat16")
    assert done.returncode == 3, done.stderr
    assert "2 transcribed + 2 failed" in done.stdout
    assert "1 × missing" in done.stdout and "1 × manifest" in done.stdout
    first, lost, broken, last = _rows(place / "bad_v1.json")
    assert first["pred_text_v1"] and last["pred_text_v1"] and lost["pred_text_v1"] == ""
    assert lost["error"].startswith("missing_audio: ") and "lost.wav: no such file (bad.json:2)" in lost["error"]
    assert broken["error"].startswith("manifest: bad.json:3: found no line of JSON") and broken["pred_text_v1"] == ""


def test_command_line_written_for_nemos_script(place, run):
    """Each group of arguments that NeMo's own script takes, in its spelling; paths from standard input beside."""
    arguments = (
        "model_path=tiny.nemo pretrained_name=None dataset_manifest=good.json output_filename=nemo.json batch_size=2 "
        "cuda=-1 amp=False amp_dtype=bfloat16 compute_dtype=float32 timestamps=True confidence=True audio_type=wav "
        "ctc_decoding.strategy=greedy_batch ctc_decoding.greedy.preserve_alignments=False "
        "ctc_decoding.confidence_cfg.method_cfg.alpha=0.5 ctc_decoding.ctc_timestamp_type=all "
        "rnnt_decoding.fused_batch_size=-1 +prompt.source_lang=hi calculate_wer=True clean_groundtruth_text=True "
        "langid=hi use_cer=True append_pred=False overwrite_transcripts=True presort_manifest=True "
        "calculate_rtfx=True warmup_steps=1 channel_selector=0 audio_key=audio_filepath random_seed=7 num_workers=1"
    )
    done = run("transcribe_speech", *arguments.split())
    assert done.returncode == 0, done.stderr
    assert "RTFx" in done.stdout and "WER " in done.stdout and "CER " in done.stdout
    for noted in ("rnnt_decoding", "prompt", "clean_groundtruth_text", "langid", "use_cer"):
        assert f"{noted} has no effect: " in done.stderr
    for row in _rows(place / "nemo.json"):
        assert " ".join(stamp["word"] for stamp in row["word"]) == row["pred_text"]
        assert row["word"][0].keys() == {"word", "start_offset", "end_offset", "start", "end"}
        assert len(row["word_confidence"]) == len(row["word"]) and row["char"] and row["segment"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("model_path=absent.nemo dataset_manifest=good.json", "absent.nemo: no such file"),
        ("model_path=tiny.nemo dataset_manifest=good.json compute_langs=true", "compute_langs=True: expected no value"),
        ("model_path=tiny.nemo dataset_manifest=good.json ctc_decoding.strategy=wfst", "greedy_batch, beam_batch"),
        ("model_path=tiny.nemo dataset_manifest=good.json amp=maybe", "amp=maybe: expected true or false"),
        ("model_path=tiny.nemo dataset_manifest=good.json batch_size=0", "batch_size=0: expected a whole number, 1"),
        ("model_path=tiny.nemo dataset_manifest=good.json channel_selector=-1", "channel_selector=-1: expected auto"),
        ("model_path=tiny.nemo audio_list=[audio/a.wav] output_filename=audio/a.wav", "than the recording audio/a.wav"),
        ("model_path=tiny.nemo audio_dir=हिंदी", """quote the value: 'audio_dir="हिंदी"'"""),
        ("model_path=tiny.nemo audio_list=[x{1}.wav,b]", """quote the value: 'audio_list=["x{1}.wav","b"]'"""),
    ],
)
def test_wrong_arguments_are_one_line(place, run, arguments, named):
    done = run("transcribe_speech", *arguments.split())
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and named in errors[0]
    assert "Traceback" not in done.stderr
    assert not list(place.glob(".*.partial")) and not list(place.glob("audio/.*.partial"))


def test_quoted_as_the_error_says_a_value_is_taken(place, run):
    done = run("transcribe_speech", "model_path=tiny.nemo", 'audio_dir="हिंदी (1)"')
    assert done.returncode == 1 and "error: audio_dir=हिंदी (1): found no such folder" in done.stderr


def test_a_single_recording_and_values_of_other_types(place, run):
    arguments = ("model_path=tiny.nemo", "audio_list=audio/a.wav", "cuda=-1", "output_filename=2024")
    done = run("transcribe_speech", *arguments, "output_formats=txt", "overwrite_transcripts=yes")
    assert done.returncode == 0, done.stderr
    assert [row["audio_filepath"] for row in _rows(place / "2024")] == ["audio/a.wav"]
    assert [path.name for path in (place / "2024_files").iterdir()] == ["a.txt"]
    again = run("transcribe_speech", *arguments, "overwrite_transcripts=no")
    assert again.returncode == 0 and "nothing was done" in again.stdout


def test_two_processes_write_what_one_writes(place, run):
    common = ("model_path=tiny.nemo", "dataset_manifest=bad.json", "cuda=-1")
    for name, more in (("one", ()), ("two", ("devices=2",)), ("short", ("compute_dtype=bfloat16",))):
        done = run("transcribe_speech", *common, *more, f"output_filename={name}.json")
        assert done.returncode == 3, done.stderr
        assert f"computed in     {'bfloat16' if name == 'short' else 'float32'}" in done.stdout
    assert (place / "one.json").read_bytes() == (place / "two.json").read_bytes()
    assert len(_rows(place / "short.json")) == 4
