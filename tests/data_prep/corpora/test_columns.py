"""Which column holds what: chosen by the user, else by usual names; what could be meant as well is noted."""

from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from data_prep.corpora import MalformedRow, Note, Utterance, get_reader
from data_prep.manifest import read_manifest
from layout_files import TEXTS, find_pitch, write_lines, write_tone
from preparing import prepare_corpus


def read(corpus: str, folder: Path, columns: dict[str, str] | None = None) -> tuple[list[Utterance], list[str]]:
    rows = list(get_reader(corpus, columns)(folder))
    assert not [row for row in rows if isinstance(row, MalformedRow)]
    return [row for row in rows if isinstance(row, Utterance)], [row.text for row in rows if isinstance(row, Note)]


def test_columns_of_a_table_can_be_named(tmp_path: Path):
    write_lines(tmp_path / "transcripts.csv", "file,sentence,reader,side,part", "a.wav,कमल,राम,1,dev")
    columns = {"path": "file", "text": "sentence", "speaker": "reader", "channel": "side", "split": "part"}
    (row,), notes = read("csv", tmp_path, columns)
    assert (row.path, row.text, row.speaker, row.channel, row.split) == ("a.wav", "कमल", "राम", 1, "dev") and not notes
    with pytest.raises(
        ValueError, match=r"no column path .* found file, sentence.* columns=\{path: …, text: …\} names other"
    ):
        read("csv", tmp_path)
    with pytest.raises(ValueError, match=r"columns\.speaker=voice: expected a column of .*csv; found file, sentence"):
        read("csv", tmp_path, {"path": "file", "text": "sentence", "speaker": "voice"})


@pytest.mark.parametrize(
    ("corpus", "columns", "fault"),
    [
        ("kaldi", {"text": "x"}, r"expected null with corpus=kaldi; only csv, huggingface, tsv take it"),
        ("tsv", {"words": "x"}, "columns=words: expected one of path, text, speaker, split, channel"),
        ("tsv", {"text": 1}, r"columns\.text=1: expected the name of a column"),
    ],
)
def test_wrong_choices_are_named(tmp_path: Path, corpus: str, columns: dict, fault: str):
    with pytest.raises(ValueError, match=fault):
        read(corpus, tmp_path, columns)


@pytest.mark.parametrize("name", ["speaker", "speaker_id", "client_id", "spk_id", "station"])
def test_usual_names_of_speakers_are_read(tmp_path: Path, name: str):
    write_lines(tmp_path / "transcripts.tsv", f"path\ttext\t{name}", "a.wav\tकमल\tराम")
    (row,), notes = read("tsv", tmp_path)
    assert row.speaker == "राम" and not notes


def test_a_speaker_column_that_is_not_recognised_and_a_second_text_column_are_noted(tmp_path: Path):
    write_lines(tmp_path / "transcripts.tsv", "path\ttext\tsentence\tnarrator\ttalker", "a.wav\tकमल\tx\tr\tराम")
    (row,), notes = read("tsv", tmp_path)
    assert (row.text, row.speaker) == ("कमल", "unknown")
    assert "text is read from column text, not sentence; choose with columns={text: …}" in notes[0]
    assert "if talker is it, set columns={speaker: talker}" in notes[1] and len(notes) == 2
    write_tone(tmp_path / "a.wav", TEXTS[0])
    report = prepare_corpus("tsv", tmp_path, tmp_path / "out", splits={"train": 1.0}, num_workers=1)
    assert report["notes"] == notes and "set columns={speaker: talker}" in (tmp_path / "out/report.html").read_text(
        "utf-8"
    )


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A Parquet file with two texts, two audio columns and a speaker."""
    write_tone(tmp_path / "tone.wav", TEXTS[0])
    write_tone(tmp_path / "other.wav", TEXTS[1])
    audio, noisy = ({"bytes": (tmp_path / f"{name}.wav").read_bytes(), "path": "x"} for name in ("tone", "other"))
    rows = [{"audio": audio, "noisy": noisy, "raw": "x", "text": "कमल", "sentence": "नदी", "narrator": "राम"}]
    (tmp_path / "hub").mkdir()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "hub/train.parquet")
    return tmp_path / "hub"


def test_columns_of_parquet_files(hub: Path):
    (row,), notes = read("huggingface", hub)
    assert (row.text, row.speaker) == ("कमल", "unknown")
    assert any("text is read from column text, not sentence" in note for note in notes)
    assert any("path is read from column audio, not noisy" in note for note in notes)
    (row,), notes = read("huggingface", hub, {"text": "raw", "speaker": "narrator", "path": "noisy"})
    assert (row.text, row.speaker, notes) == ("x", "राम", [])
    with pytest.raises(ValueError, match=r"columns\.text=words: expected a column of"):
        read("huggingface", hub, {"text": "words"})
    with pytest.raises(ValueError, match=r"columns\.path=raw: expected a column of audio; .* has audio, noisy"):
        read("huggingface", hub, {"path": "raw"})


@pytest.mark.parametrize(("column", "text"), [(None, TEXTS[0]), ("audio", TEXTS[0]), ("noisy", TEXTS[1])])
def test_the_chosen_column_of_audio_is_read(hub: Path, tmp_path: Path, column: str | None, text: str):
    columns = {"path": column} if column else None
    prepare_corpus("huggingface", hub, tmp_path / "out", splits={"train": 1.0}, num_workers=1, columns=columns)
    (row,) = read_manifest(tmp_path / "out/train_manifest.json")
    samples, rate = soundfile.read(tmp_path / "out" / row["audio_filepath"])
    assert np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples) == pytest.approx(find_pitch(text), abs=2)


def test_audio_that_a_parquet_file_only_names_is_read_from_its_path(tmp_path: Path):
    hub = tmp_path / "hub"
    for number, place in enumerate(("data/clips/0.wav", "clips/1.wav", "abs/2.wav")):
        write_tone(hub / place, TEXTS[number])
    write_tone(tmp_path / "inside.wav", TEXTS[3])
    names = ["clips/0.wav", "clips/1.wav", str(hub / "abs/2.wav")]
    rows = [{"audio": {"bytes": None, "path": name}, "text": TEXTS[at]} for at, name in enumerate(names)]
    rows.append({"audio": {"bytes": (tmp_path / "inside.wav").read_bytes(), "path": "inside.wav"}, "text": TEXTS[3]})
    rows.append({"audio": {"bytes": None, "path": None}, "text": TEXTS[4]})
    (hub / "data").mkdir(exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), hub / "data/train.parquet", row_group_size=2)
    found, _ = read("huggingface", hub)
    assert [(row.row, row.text) for row in found] == [
        (None, TEXTS[0]),
        (None, TEXTS[1]),
        (None, TEXTS[2]),
        (3, TEXTS[3]),
        (4, TEXTS[4]),
    ]
    report = prepare_corpus("huggingface", hub, tmp_path / "out", splits={"train": 1.0}, num_workers=1)
    assert report["kept"] == 4 and report["rejected_by_reason"] == {"unreadable_audio": 1}


def test_a_parquet_file_that_names_all_of_its_audio_has_no_type_for_bytes(tmp_path: Path):
    """Without a schema, pyarrow gives a column of nothing but nulls the type null."""
    hub = tmp_path / "hub"
    write_tone(hub / "0.wav", TEXTS[0])
    rows = [{"audio": {"bytes": None, "path": "0.wav"}, "text": TEXTS[0]}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), hub / "train.parquet")
    report = prepare_corpus("huggingface", hub, tmp_path / "out", splits={"train": 1.0}, num_workers=1)
    assert (report["kept"], report["rejected"]) == (1, 0)
