"""Broken rows of a corpus are reported by file and line, and every good row beside them is read."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from data_prep.corpora import CORPORA, MalformedRow, Utterance
from layout_files import TEXTS, write_lines, write_tone
from layouts import LAYOUTS
from preparing import prepare_corpus


def read(corpus: str, root: Path) -> tuple[list[Utterance], list[tuple[str, int, str]]]:
    """Read the good rows, and of the bad ones the file's name, the line and what is wrong."""
    rows = list(CORPORA[corpus](root))
    bad = [(Path(row.file).name, row.line, row.detail) for row in rows if isinstance(row, MalformedRow)]
    return [row for row in rows if isinstance(row, Utterance)], bad


def add(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.writelines(line + b"\n" for line in lines)


@pytest.mark.parametrize(
    ("corpus", "table", "line", "fault"),
    [
        ("common_voice", "cv-corpus-17.0-2024-03-15/hi/dev.tsv", b"one\ttwo", "found 2 columns, expected 12"),
        ("common_voice", "cv-corpus-17.0-2024-03-15/hi/dev.tsv", b"\t" * 11, None),
        ("fleurs", "hi_in/dev.tsv", b"1\ta.wav\ttext", "found 3 columns, expected 7"),
        ("fleurs", "hi_in/dev.tsv", b"1\t\ta\tb\tc\t1\tMALE", "expected a file name"),
        ("mucs", "Hindi/train/transcription.txt", b"../../etc/passwd text", "expected the name of an utterance"),
        ("gramvaani", "GV_Train_100h/text", b"a/b text", "expected the name of an utterance"),
        (
            "kathbath",
            "kb_data_clean_m4a/hindi/train/transcription_n2w.txt",
            b"a.m4a\ttext",
            "expected a file name <id>-<speaker>",
        ),
        ("an4", "an4/etc/an4_train.transcription", b"<s> YES </s> (../an1-x-b)", "expected '<s> TEXT </s>"),
        (
            "librispeech",
            "LibriSpeech/dev-clean/84/72/84-72.trans.txt",
            b"../x TEXT",
            "expected the name of an utterance",
        ),
        ("openslr_indic", "line_index_female.tsv", b"../x\ttext", "expected '<voice>_<speaker>_<number>'"),
        ("indictts", "hindi_male_mono/txt.done.data", b"( name text )", "expected ( utterance"),
        ("indictts", "hindi_male_mono/txt.done.data", b'( ../name "text" )', "expected ( utterance"),
        ("nemo", "train_manifest.json", b'{"audio_filepath": 1}', "found audio_filepath 1, expected a path"),
        ("nemo", "train_manifest.json", b'{"audio_filepath": "a", "offset": "x"}', 'found offset "x", expected'),
        ("nemo", "train_manifest.json", b'{"audio_filepath": "a", "offset": -1}', "found offset -1, expected"),
        ("nemo", "train_manifest.json", b'{"audio_filepath": "a", "text": 1}', "found text 1, expected a text"),
        ("nemo", "train_manifest.json", b'{"audio_filepath": "a", "split": "x"}', "found split 'x', expected"),
        ("nemo", "train_manifest.json", b'{"audio_filepath": "a", "shard_id": 0}', "tarred manifest"),
        ("nemo", "train_manifest.json", b'{"audio_filepath": "a", "excluded": "why: x"}', "found excluded 'why: x'"),
        ("nemo", "train_manifest.json", b"[]", "found list, expected a JSON object"),
        ("nemo", "train_manifest.json", b"{", "found no line of JSON"),
        ("csv", "transcripts.csv", b'a,"b,c', "broken quotation"),
        ("csv", "transcripts.csv", b"a,b", "found 2 columns, expected 3"),
    ],
)
def test_a_bad_line_is_reported(tmp_path: Path, corpus: str, table: str, line: bytes, fault: str | None):
    expected = LAYOUTS[corpus](tmp_path / "corpus")
    path = tmp_path / "corpus" / table
    number = len(path.read_bytes().splitlines()) + 1
    add(path, line, b"\xff broken", b"", b"  ")
    good, bad = read(corpus, tmp_path / "corpus")
    assert len(good) == len(expected)
    if fault is None:  # tabs alone are a blank line
        assert [row[:2] for row in bad] == [(path.name, number + 1)]
        return
    assert [row[:2] for row in bad] == [(path.name, number), (path.name, number + 1)]
    assert fault in bad[0][2] and "not UTF-8: byte 0xff at 1" in bad[1][2]


@pytest.fixture
def kaldi(tmp_path: Path) -> Callable[..., Path]:
    """Make a data directory: `kaldi(wav_scp=[…], text=[…], segments=[…], utt2spk=[…])`."""

    def make(**files: list[str]) -> Path:
        for name, lines in files.items():
            write_lines(tmp_path / "data" / name.replace("_", "."), *lines)
        write_tone(tmp_path / "data/a.wav", TEXTS[0])
        return tmp_path / "data"

    return make


def test_a_command_in_wav_scp_is_refused_and_never_run(kaldi, tmp_path):
    owned = tmp_path / "owned"
    pipes = [f"u2 touch {owned} |", f"u3 | touch {owned}", "u4 raw.ark:1234", "u5 -", "u6", f"u7 $(touch {owned}).wav"]
    folder = kaldi(wav_scp=["u1 a.wav", *pipes], text=[f"u{number} {TEXTS[0]}" for number in range(1, 9)])
    good, bad = read("kaldi", folder)
    assert [row.audio for row in good] == [str(folder / "a.wav"), str(folder / f"$(touch {owned}).wav")]
    assert [(file, line) for file, line, _ in bad] == [("text", line) for line in (2, 3, 4, 5, 6, 8)]
    scp = folder / "wav.scp"
    faults = [f"{scp}:2: is a command pipe (touch {owned} |), which is not run", f"{scp}:3: is not an audio file"]
    faults += [f"{scp}:4: is a position in a Kaldi archive", f"{scp}:5: is not an audio file", f"{scp}:6: is empty"]
    faults += [f"no line for recording u8 in {scp}"]
    for (_, _, detail), fault in zip(bad, faults, strict=True):
        assert fault in detail
    report = prepare_corpus("kaldi", folder, tmp_path / "out", splits={"train": 1.0}, num_workers=1)
    assert report["rejected_by_reason"] == {"malformed_row": 6, "missing_audio": 1} and not owned.exists()


def test_files_of_kaldi_that_do_not_go_together(kaldi):
    folder = kaldi(
        wav_scp=["rec a.wav"],
        segments=["u1 rec 0.1 0.5", "u2 rec 0.5 0.1", "u3 rec 0.1", "u4 rec 0 nan", "u5 none 0 1", "u7 rec 0 0.2 0"],
        text=["u1 क", "u2 क", "u3 क", "u4 क", "u5 क", "u6 क", "u1 ख"],
        utt2spk=["u1 s"],
    )
    (utterance,), bad = read("kaldi", folder)
    assert (utterance.offset, utterance.duration, utterance.speaker) == (0.1, 0.4, "s")
    faults = [
        "segments:2: expected <utterance>",
        "segments:3: expected",
        "segments:4: expected",
        "no line for recording none",
    ]
    faults += ["no line for utterance u6", "utterance u1 has a line above", "no line for u7"]
    lines = [("text", line) for line in (2, 3, 4, 5, 6, 7)]
    assert [(file, line) for file, line, _ in bad] == [*lines, ("segments", 6)]
    for (_, _, detail), fault in zip(bad, faults, strict=True):
        assert fault in detail
    (folder / "segments").unlink()
    assert [row.audio for row in CORPORA["kaldi"](kaldi(wav_scp=["u1 /x/a b.wav"], text=["u1 क"]))] == ["/x/a b.wav"]


def test_segments_beside_the_recording_are_counted(kaldi, tmp_path):
    segments = ["u1 rec 0 0.6", "u2 rec 0.7 0.75", "u3 rec 5 6", "u4 rec 0 0.6"]
    folder = kaldi(wav_scp=["rec a.wav"], segments=segments, text=[f"u{number} कमल" for number in range(1, 5)])
    report = prepare_corpus("kaldi", folder, tmp_path / "out", splits={"train": 1.0}, num_workers=1)
    assert report["rejected_by_reason"] == {"bad_segment": 1, "duplicate_path": 1, "too_short": 1}


def test_indicvoices_leaves_out_what_its_own_script_leaves_out(tmp_path):
    place = tmp_path / "Hindi/v1/train"
    write_tone(place / "a.wav", TEXTS[0])
    write_tone(place / "unnamed.wav", TEXTS[1])
    items = [
        {"start": -0.01, "end": 0.5, "text": "[noise] कमल (hmm)", "speaker_id": 0},
        {"start": 0.0, "end": 0.5, "text": "कौन", "speaker_id": 1},
        {"start": 0.0, "end": 0.5, "text": "[laughter] <bell>", "speaker_id": 0},
        {"start": 0.5, "end": 0.5, "text": "कमल", "speaker_id": 0},
        {"start": "0", "end": 0.5, "text": "कमल", "speaker_id": 0},
        {"start": 0.0, "end": 0.5},
    ]
    (place / "a.json").write_text(json.dumps({"speaker_id": "S1", "verbatim": items, "normalized": items}), "utf-8")
    (place / "b.json").write_text(json.dumps({"verbatim": items, "normalized": items[1:]}), "utf-8")
    (place / "c.json").write_bytes(b"\xff{")
    rows = list(CORPORA["indicvoices"](tmp_path))
    assert (rows[0].text, rows[0].offset, rows[0].duration, rows[0].line) == ("कमल", 0.0, 0.5, 1)
    bad = [(Path(row.file).name, row.line, row.reason) for row in rows[1:]]
    assert bad == [
        ("a.json", 2, "excluded_by_corpus"),
        ("a.json", 3, "excluded_by_corpus"),
        ("a.json", 4, "malformed_row"),
        ("a.json", 5, "malformed_row"),
        ("a.json", 6, "malformed_row"),
        ("b.json", 1, "malformed_row"),
        ("c.json", 1, "malformed_row"),
        ("unnamed.wav", 1, "malformed_row"),
    ]


def test_shrutilipi_in_the_tables_of_fairseq(tmp_path):
    bulletin = "Regional-Bhopal-Hindi-0705-201810168277"
    for number in range(3):
        write_tone(tmp_path / f"hindi/{bulletin}/sent_{number}.wav", TEXTS[number])
    lines = [f"{bulletin}/sent_{number}.wav\t12800" for number in range(3)]
    write_lines(
        tmp_path / "hindi/train.tsv", "/data/asr/shrutilipi/hindi", *lines[:2], "no samples", lines[2], lines[0]
    )
    with pytest.raises(FileNotFoundError, match=r"train\.wrd: no such file"):
        read("shrutilipi", tmp_path)
    write_lines(tmp_path / "hindi/train.wrd", *TEXTS[:2], "x", TEXTS[2])
    good, bad = read("shrutilipi", tmp_path)
    assert [(row.text, row.speaker, row.split, row.line) for row in good] == [
        (TEXTS[number], "Regional-Bhopal", "train", line) for number, line in ((0, 2), (1, 3), (2, 5))
    ]
    assert all(Path(row.audio).is_file() for row in good)
    assert [row[:2] for row in bad] == [("train.tsv", 4), ("train.tsv", 6)] and "lines are missing" in bad[1][2]


def test_a_recording_of_shrutilipi_without_transcript_is_reported(tmp_path):
    LAYOUTS["shrutilipi"](tmp_path)
    bulletin = tmp_path / "hindi/Regional-Bhopal-Hindi-0705-201810168277"
    write_tone(bulletin / "sent_3.wav", TEXTS[3])
    (bulletin / "sent_4.txt").write_bytes(b"\xff")
    good, bad = read("shrutilipi", tmp_path)
    assert [Path(row.audio).name for row in good] == ["sent_2.wav", "sent_11.wav", "sent_1.wav"]
    assert [row[:2] for row in bad] == [("sent_3.wav", 1), ("sent_4.txt", 1)]


def test_parquet_files_of_all_kinds(tmp_path):
    LAYOUTS["huggingface"](tmp_path / "hub")
    audio = (tmp_path / "300.mp3").read_bytes()
    rows = [{"audio": {"bytes": audio}, "text": "कमल"}, {"audio": {"bytes": audio}, "text": None}]
    rows += [{"audio": {"bytes": b"no audio"}, "text": "नदी"}, {"audio": {"bytes": None}, "text": "रात"}]
    table = pyarrow.Table.from_pylist(rows)
    pyarrow.parquet.write_table(table, tmp_path / "hub/data/zebra.parquet")
    (tmp_path / "hub/data/yak.parquet").write_text("no table")
    good, bad = read("huggingface", tmp_path / "hub")
    assert len(good) == 9 and [(row.split, row.line) for row in good[-3:]] == [(None, 1), (None, 3), (None, 4)]
    assert [row[:2] for row in bad] == [("yak.parquet", 1), ("zebra.parquet", 2)] and "found no Parquet file" in bad[0][
        2
    ]
    options = {"duplicate_audio": "keep", "splits": {"train": 1.0}}
    report = prepare_corpus("huggingface", tmp_path / "hub", tmp_path / "out", num_workers=1, **options)
    assert report["rejected_by_reason"] == {"malformed_row": 2, "unreadable_audio": 2}
    for columns, fault in ((["audio"], "expected one of text"), (["text"], "expected one of audio")):
        pyarrow.parquet.write_table(table.select(columns), tmp_path / "hub/data/zebra.parquet")
        with pytest.raises(ValueError, match=rf"zebra\.parquet: found the columns {columns[0]}, {fault} "):
            read("huggingface", tmp_path / "hub")


def test_parquet_files_that_are_all_git_lfs_pointers_are_named_once(tmp_path):
    for number in range(3):
        (tmp_path / f"train-{number}.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    fault = r"train-0\.parquet: found a Git-LFS pointer, expected a Parquet file; fetch the file itself: git lfs pull"
    with pytest.raises(ValueError, match=fault):
        read("huggingface", tmp_path)
