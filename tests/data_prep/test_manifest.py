import json
from pathlib import Path

import pytest

from data_prep.manifest import read_manifest, resolve_audio_path, write_json, write_jsonl

ROWS = [
    {"audio_filepath": "a.wav", "duration": 1.5, "text": "नमस्ते", "extra": [1]},
    {"audio_filepath": "/b.wav", "duration": 2, "text": ""},
]


def test_rows_come_back_and_stay_readable(tmp_path: Path):
    path = tmp_path / "new" / "manifest.json"
    write_jsonl(path, ROWS)
    assert read_manifest(path) == ROWS
    assert "नमस्ते" in path.read_text(encoding="utf-8")
    assert [item.name for item in path.parent.iterdir()] == ["manifest.json"]


def test_a_byte_order_mark_and_empty_lines_are_no_rows(tmp_path: Path):
    path = tmp_path / "manifest.json"
    path.write_bytes(b"\xef\xbb\xbf" + "\n\n".join(map(json.dumps, ROWS)).encode() + b"\r\n")
    assert read_manifest(path) == ROWS


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{", "found no line of JSON"),
        (b"\xff", "found no line of JSON"),
        (b"[1]", "found list, expected a JSON object"),
        (b'{"audio_filepath": "a", "text": ""}', "found audio_filepath, text, expected duration too"),
        (b'{"audio_filepath": "a", "duration": "1", "text": ""}', 'found duration "1", expected a number'),
        (b'{"audio_filepath": "a", "duration": true, "text": ""}', "found duration true"),
        (b'{"audio_filepath": "a", "duration": NaN, "text": ""}', "found duration NaN"),
        (b'{"audio_filepath": "a", "duration": 1, "text": null}', "found text null, expected a text"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, line: bytes, fault: str):
    path = tmp_path / "manifest.json"
    path.write_bytes(json.dumps(ROWS[0]).encode() + b"\n" + line + b"\n")
    with pytest.raises(ValueError, match=f"manifest.json:2: .*{fault}"):
        read_manifest(path)


def test_required_keys_are_the_callers_choice(tmp_path: Path):
    write_jsonl(tmp_path / "m.json", [{"audio_filepath": "a.wav"}])
    assert read_manifest(tmp_path / "m.json", required_keys=["audio_filepath"]) == [{"audio_filepath": "a.wav"}]
    with pytest.raises(FileNotFoundError, match="absent"):
        read_manifest(tmp_path / "absent")


def test_a_failing_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "manifest.json"
    write_jsonl(path, ROWS)

    def fail_midway():
        yield ROWS[0]
        raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        write_jsonl(path, fail_midway())
    assert read_manifest(path) == ROWS
    assert len(list(tmp_path.iterdir())) == 1


def test_a_lone_surrogate_is_written_as_an_escape(tmp_path: Path):
    write_json(tmp_path / "x.json", {"name": "क\udcff"})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"name": "क\udcff"}


def test_audio_paths_start_at_the_manifests_folder(tmp_path: Path):
    assert resolve_audio_path("audio/a.wav", tmp_path / "m.json") == tmp_path / "audio/a.wav"
    assert resolve_audio_path("/data/a.wav", tmp_path / "m.json") == Path("/data/a.wav")


@pytest.mark.parametrize("content", [b'[{"audio_filepath": "a.wav"}]', b"\xef\xbb\xbf[\n  {\n"])
def test_one_json_array_is_named_as_such(tmp_path: Path, content: bytes):
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"m\.json: found one JSON array, expected one object a line; .*jq -c"):
        read_manifest(tmp_path / "m.json")
