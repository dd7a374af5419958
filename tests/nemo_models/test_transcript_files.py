"""Manifests and folders in, JSON lines out."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from nemo_models.transcript_files import (
    AudioInput,
    Transcript,
    list_inputs,
    measure_durations,
    plan_output,
    score_transcripts,
    transcript_row,
    write_transcripts,
)


def _write_manifest(path, *rows):
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def test_manifest_rows(tmp_path):
    rows = [{"audio_filepath": "a.wav"}, {"audio_filepath": "/b.wav", "offset": 1.5, "duration": 2, "text": "क"}]
    first, second = list_inputs(_write_manifest(tmp_path / "m.json", *rows))
    assert (first.path, first.offset_s, first.duration_s) == (tmp_path / "a.wav", 0.0, None)
    assert (second.path, second.offset_s, second.duration_s) == (Path("/b.wav"), 1.5, 2)
    assert [first.fields, second.fields] == rows


def test_manifest_with_another_key(tmp_path):
    manifest = _write_manifest(tmp_path / "m.json", {"wav": "a.wav"})
    assert list_inputs(manifest, audio_key="wav")[0].path == tmp_path / "a.wav"
    with pytest.raises(ValueError, match=r"m\.json:1: no audio_filepath"):
        list_inputs(manifest)


@pytest.mark.parametrize("row", [{"offset": -1}, {"duration": "long"}, {"duration": float("nan")}, {"offset": True}])
def test_a_row_with_impossible_times_is_an_error_of_its_own(tmp_path, row):
    (audio,) = list_inputs(_write_manifest(tmp_path / "m.json", {"audio_filepath": "a.wav", **row}))
    assert audio.error.startswith(f"manifest: {next(iter(row))} is ")


def test_line_that_is_not_json_is_named(tmp_path):
    (tmp_path / "m.json").write_text('{"audio_filepath": "a.wav"}\n{"audio_filepath": \n')
    with pytest.raises(ValueError, match=r"m\.json:2: "):
        list_inputs(tmp_path / "m.json")
    (tmp_path / "m.json").write_text('{"audio_filepath": 3}\n')
    with pytest.raises(ValueError, match=r"m\.json.*audio_filepath is 3"):
        list_inputs(tmp_path / "m.json")


def test_folder_is_searched_in_order(tmp_path):
    for name in ("b.WAV", "a/c.flac", "a/b/d.mp3", "notes.txt", "z.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    paths = [str(audio.path.relative_to(tmp_path)) for audio in list_inputs(audio_dir=tmp_path)]
    assert paths == ["a/b/d.mp3", "a/c.flac", "b.WAV", "z.wav"]
    assert [audio.path.name for audio in list_inputs(audio_dir=tmp_path, audio_type="wav")] == ["b.WAV", "z.wav"]
    assert list_inputs(audio_dir=tmp_path)[0].fields == {"audio_filepath": str(tmp_path / "a/b/d.mp3")}


def test_nothing_to_do_is_an_error(tmp_path):
    (tmp_path / "empty.json").touch()
    for options, named in (
        ({}, "give either"),
        ({"audio_dir": tmp_path, "dataset_manifest": tmp_path / "empty.json"}, "give either"),
        ({"audio_dir": tmp_path}, "holds no file"),
        ({"audio_dir": tmp_path / "absent"}, "no such folder"),
        ({"dataset_manifest": tmp_path / "absent.json"}, "absent.json"),
        ({"dataset_manifest": tmp_path / "empty.json"}, "an empty manifest"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=named):
            list_inputs(**options)


def test_durations_come_from_headers(tmp_path):
    soundfile.write(str(tmp_path / "a.wav"), np.zeros(24_000), 16_000)
    known = AudioInput(tmp_path / "a.wav", duration_s=0.5)
    whole, rest, given, absent = measure_durations(
        [AudioInput(tmp_path / "a.wav"), AudioInput(tmp_path / "a.wav", 1.0), known, AudioInput(tmp_path / "b.wav")]
    )
    assert (whole.duration_s, rest.duration_s, given, absent.duration_s) == (1.5, 0.5, known, None)


def test_output_names_are_nemos(tmp_path):
    manifest = _write_manifest(tmp_path / "m.json", {})
    assert plan_output(None, manifest, "big") == (tmp_path / "m_big.json", "pred_text")
    assert plan_output(None, manifest, "big", append_pred=True) == (tmp_path / "m_big.json", "pred_text_big")
    assert plan_output(None, manifest, "big", True, "v2") == (tmp_path / "m_v2.json", "pred_text_v2")
    assert plan_output(None, tmp_path, "big")[0] == tmp_path.with_name(tmp_path.name + ".json")
    assert plan_output(str(tmp_path / "new/out.json"), manifest, "big")[0].parent.is_dir()
    assert plan_output(str(manifest), manifest, "big", append_pred=True)[0] == manifest
    with pytest.raises(ValueError, match="the manifest itself"):
        plan_output(str(manifest), manifest, "big")
    with pytest.raises(ValueError, match="a folder"):
        plan_output(str(tmp_path), manifest, "big")


def test_rows_keep_the_inputs_fields_and_order(tmp_path):
    def audio(**fields):
        return AudioInput(Path("x.wav"), fields={"audio_filepath": "x.wav", **fields})

    done = Transcript(1, audio(text="एक", pred_text="पुराना"), "दो", 1.25)
    failed = Transcript(0, audio(duration=2.0, error="old"), error="missing: no such file x.wav")
    mended = Transcript(2, audio(error="old"), "तीन", 0.5)
    write_transcripts(tmp_path / "out.json", [done, failed, mended])
    rows = [json.loads(line) for line in (tmp_path / "out.json").read_text(encoding="utf-8").splitlines()]
    assert rows == [
        {"audio_filepath": "x.wav", "duration": 2.0, "pred_text": "", "error": "missing: no such file x.wav"},
        {"audio_filepath": "x.wav", "text": "एक", "pred_text": "दो", "duration": 1.25},
        {"audio_filepath": "x.wav", "duration": 0.5, "pred_text": "तीन"},
    ]
    appended = transcript_row(done, "pred_text_v2")
    assert (appended["pred_text"], appended["pred_text_v2"]) == ("पुराना", "दो")
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_scores_leave_out_what_failed_or_has_no_reference():
    def transcript(text, reference, error=None):
        fields = {} if reference is None else {"text": reference}
        return Transcript(0, AudioInput(Path("x.wav"), fields=fields), text, error=error)

    rows = [transcript("यह", "यह है।"), transcript("", "वह था", "missing: x"), transcript("कुछ", None)]
    assert (score_transcripts(rows).wer, score_transcripts(rows).words) == (0.5, 2)
    assert score_transcripts([transcript("कुछ", None), transcript("कुछ", ""), transcript("कुछ", "।")]) is None
