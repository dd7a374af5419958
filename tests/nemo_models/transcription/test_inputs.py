"""What is to be transcribed: manifests, folders, lists, standard input."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from nemo_models.transcription.audio_reader import load_waveform
from nemo_models.transcription.inputs import AudioInput, list_inputs, measure_durations
from odd_audio import encode, speak, write


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
    (audio,) = list_inputs(manifest)
    assert audio.error == f"manifest: {manifest}:1: found wav, expected audio_filepath too" and audio.fields == {
        "wav": "a.wav"
    }


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('{"audio_filepath": ', "found no line of JSON"),
        ("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "found no line of JSON"),
        ("[" * 100_000, "recursion"),
        ("[1]", "found list, expected a JSON object"),
        ('{"audio_filepath": 3}', "found audio_filepath 3, expected a path"),
        ('{"audio_filepath": "~nobody-here/a.wav"}', "home"),
        ('{"audio_filepath": "a.wav", "offset": -1}', "found offset=-1, expected seconds"),
        ('{"audio_filepath": "a.wav", "duration": "long"}', "found duration='long', expected seconds"),
        ('{"audio_filepath": "a.wav", "duration": NaN}', "found duration=nan"),
        ('{"audio_filepath": "a.wav", "offset": true}', "found offset=True"),
        ('{"audio_filepath": "a.wav", "offset": 1' + "0" * 400 + "}", "found offset=1000"),
    ],
)
def test_a_bad_line_is_an_error_in_its_place_that_names_it(tmp_path, line, named):
    good = '{"audio_filepath": "a.wav"}\n'
    (tmp_path / "m.json").write_text(f"{good}\n{line}\n{good}", encoding="utf-8")
    first, bad, last = list_inputs(tmp_path / "m.json")
    assert first.error is last.error is None
    assert bad.error.startswith(f"manifest: {tmp_path / 'm.json'}:3: ") or "m.json:3" in bad.place
    assert named in bad.error and "\n" not in bad.error


def test_standard_input(monkeypatch):
    def give(text):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    give('{"audio_filepath": "a/b.wav", "text": "क"}\nnonsense\n')
    first, bad = list_inputs("-")
    assert first.path == Path("a/b.wav") and bad.error.startswith("manifest: -:2: ")
    give("a b.wav\n\n c.mp3\n")
    assert [audio.path for audio in list_inputs(audio_list="-")] == [Path("a b.wav"), Path("c.mp3")]


def test_list_of_files(tmp_path):
    (tmp_path / "list.txt").write_text("/x/a.wav\r\nb.flac\n", encoding="utf-8")
    for given in (tmp_path / "list.txt", ["/x/a.wav", "b.flac"]):
        inputs = list_inputs(audio_list=given)
        assert [audio.path for audio in inputs] == [Path("/x/a.wav"), Path("b.flac")]
        assert inputs[0].fields == {"audio_filepath": "/x/a.wav"}


def test_folder_is_searched_in_order(tmp_path):
    for name in ("b.WAV", "a/c.flac", "a/b/d.mp3", "notes.txt", "z.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    paths = [str(audio.path.relative_to(tmp_path)) for audio in list_inputs(audio_dir=tmp_path)]
    assert paths == ["a/b/d.mp3", "a/c.flac", "b.WAV", "z.wav"]
    assert [audio.path.name for audio in list_inputs(audio_dir=tmp_path, audio_type="wav")] == ["b.WAV", "z.wav"]
    assert list_inputs(audio_dir=tmp_path)[0].fields == {"audio_filepath": str(tmp_path / "a/b/d.mp3")}


def test_a_single_recording_is_a_list_of_one(tmp_path):
    (tmp_path / "a.WAV").write_bytes(b"RIFF\n\0\0\n")
    for given in (str(tmp_path / "a.WAV"), tmp_path / "a.WAV"):
        assert [audio.path for audio in list_inputs(audio_list=given)] == [tmp_path / "a.WAV"]


FILMS = [
    *(
        ("film.mkv", "matroska", "aac"),
        ("film.mov", "mov", "aac"),
        ("film.m4v", "mp4", "aac"),
        ("film.wmv", "asf", "wmav2"),
    ),
    *(("film.avi", "avi", "libmp3lame"), ("film.flv", "flv", "libmp3lame"), ("film.ts", "mpegts", "aac")),
    *(("a.mp2", "mp2", "mp2"), ("a.ac3", "ac3", "ac3"), ("recording", "ipod", "aac"), ("notes.txt", "webm", "libopus")),
]


@pytest.mark.parametrize(("name", "container", "codec"), FILMS, ids=[film[0] for film in FILMS])
def test_a_recording_of_any_name_is_no_list(tmp_path, name, container, codec):
    rate = 48_000 if codec == "libopus" else 44_100
    path = write(tmp_path / name, encode(speak(1, rate), rate, container, codec, picture=name.startswith("film")))
    (audio,) = list_inputs(audio_list=path)
    assert audio.path == path
    assert len(load_waveform(path)) == pytest.approx(16_000, abs=0.16 * 16_000)
    assert [found.path for found in list_inputs(audio_dir=tmp_path)] == [path]


def test_a_folder_is_searched_by_content_and_what_is_left_out_is_named(tmp_path, caplog):
    write(tmp_path / "voice", encode(speak(1), 48_000, "webm", "libopus"))
    write(tmp_path / "broken.wav", b"no audio")
    for number in range(12):
        (tmp_path / f"page{number:02}.html").write_text("<html>")
    with caplog.at_level("WARNING"):
        found = list_inputs(audio_dir=tmp_path)
    assert [audio.path.name for audio in found] == ["broken.wav", "voice"], "a broken recording does not vanish"
    assert caplog.messages == [
        f"audio_dir={tmp_path}: left out 12 files that are not recordings: "
        + ", ".join(f"page{number:02}.html" for number in range(10))
        + " and 2 more"
    ]
    caplog.clear()
    with caplog.at_level("WARNING"):
        list_inputs(audio_dir=tmp_path, audio_type="wav")
    assert "left out 13 files that do not end in .wav: page00.html" in caplog.messages[0]


def test_links_are_followed_once_and_nothing_vanishes(tmp_path):
    folder, elsewhere = tmp_path / "audio", tmp_path / "elsewhere"
    for path in (folder / "z/a.wav", elsewhere / "b.wav"):
        path.parent.mkdir(parents=True)
        path.touch()
    (folder / "linked").symlink_to(elsewhere)
    (folder / "again").symlink_to(folder / "z")
    (elsewhere / "loop").symlink_to(folder)
    (folder / "broken.wav").symlink_to("nowhere.wav")
    paths = [str(audio.path.relative_to(folder)) for audio in list_inputs(audio_dir=folder)]
    assert paths == ["broken.wav", "linked/b.wav", "z/a.wav"]


def test_a_folder_that_may_not_be_read_is_an_error_in_its_place(tmp_path, monkeypatch):
    for name in ("a.wav", "closed/b.wav", "d.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    first, closed, last = list_inputs(audio_dir=tmp_path)
    assert first.error is last.error is None
    assert closed.error == f"unreadable_audio: the folder {tmp_path / 'closed'}: Permission denied"


def test_nothing_to_do_is_an_error(tmp_path):
    (tmp_path / "empty.json").touch()
    for options, named in (
        ({}, "give one of"),
        ({"audio_dir": tmp_path, "dataset_manifest": tmp_path / "empty.json"}, "give one of"),
        ({"audio_list": tmp_path / "empty.json"}, "found no name"),
        ({"audio_list": []}, "found no name"),
        ({"audio_list": tmp_path / "absent.txt"}, "audio_list=.*absent.txt: found no such file"),
        ({"audio_dir": tmp_path}, "found 1 other files, expected recordings"),
        ({"audio_dir": tmp_path / "absent"}, "no such folder"),
        ({"dataset_manifest": tmp_path / "absent.json"}, "absent.json"),
        ({"dataset_manifest": tmp_path / "empty.json"}, "found an empty manifest"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=named):
            list_inputs(**options)


def test_durations_come_from_headers(tmp_path):
    soundfile.write(str(tmp_path / "a.wav"), np.zeros(24_000), 16_000)
    known = AudioInput(tmp_path / "a.wav", duration_s=0.5)
    whole, rest, given, absent = measure_durations(
        [AudioInput(tmp_path / "a.wav"), AudioInput(tmp_path / "a.wav", 1.0), known, AudioInput(tmp_path / "b.wav")]
    )
    assert (whole.header_s, rest.header_s, given, absent.header_s) == (1.5, 0.5, known, None)
    assert (whole.duration_s, whole.expected_s, given.expected_s, absent.expected_s) == (None, 1.5, 0.5, 0.0)
