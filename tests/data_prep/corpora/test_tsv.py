from pathlib import Path

import pytest

from data_prep.corpora import CORPORA, MalformedRow, Utterance, get_reader
from data_prep.corpora.tsv import read_tsv


def write_transcripts(folder: Path, content: bytes) -> Path:
    (folder / "transcripts.tsv").write_bytes(content)
    return folder


def test_columns_are_found_by_the_header(tmp_path: Path):
    write_transcripts(tmp_path, "\ufefftext\tsplit\tstation\tpath\r\nक ख\tdev\tपटना\ta/b.wav\r\n".encode())
    assert list(read_tsv(tmp_path)) == [
        Utterance(str(tmp_path / "transcripts.tsv"), 2, "a/b.wav", str(tmp_path / "a/b.wav"), "क ख", "पटना", "dev")
    ]


@pytest.mark.parametrize(
    ("header", "row", "speaker"),
    [
        (b"path\ttext\tspeaker\tstation", b"a\tb\tS\tT", "S"),
        (b"path\ttext\tstation", b"a\tb\tT", "T"),
        (b"path\ttext", b"a\tb", "unknown"),
        (b"path\ttext\tspeaker", b"a\tb\t ", "unknown"),
    ],
)
def test_speaker_or_else_station(tmp_path: Path, header: bytes, row: bytes, speaker: str):
    (utterance,) = read_tsv(write_transcripts(tmp_path, header + b"\n" + row))
    assert utterance.speaker == speaker and utterance.split is None


def test_bad_rows_are_yielded_in_place_with_their_lines(tmp_path: Path):
    content = (
        b"path\ttext\tsplit\n\na.wav\tk\ttrain\nb.wav\tk\nc.wav\tk\ttrain\tx\n\tk\ttrain\nd.wav\t\xe0\xa4\ttrain\n"
    )
    content += b"e.wav\tk\tvalid\nf\0.wav\tk\ttest\ng.wav\tk\ttest"
    rows = list(read_tsv(write_transcripts(tmp_path, content)))
    assert [(type(row), row.line) for row in rows] == [
        (Utterance, 3), *((MalformedRow, line) for line in range(4, 10)), (Utterance, 10),
    ]  # fmt: skip
    faults = ["found 2 columns, expected 3: path", "found 4 columns", "path that is empty", "not UTF-8: byte 0xe0 at 7"]
    faults += ["found split 'valid', expected train, dev, test", "NUL"]
    for row, fault in zip(rows[1:-1], faults, strict=True):
        assert fault in row.detail and row.file.endswith("transcripts.tsv") and row.text


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "transcripts.tsv:1: no column path and no column text in the header; found nothing"),
        (b"path,text\n", "no column path and no column text in the header; found path,text"),
        (b"path\tspeaker\n", "no column text in the header; found path, speaker; expected path and text"),
        (b"path\ttext\ttext\n", "repeated column text"),
        (b"\xff\xfep\0a\0", "transcripts.tsv: found UTF-16 text, expected a text file in UTF-8"),
        (b"path\ttext\xe0\n", "transcripts.tsv:1: found a header that is not UTF-8"),
        (b"path\ttext\ra.wav\tone\r", "found lines that end with a carriage return alone"),
        (b"\x1f\x8b\x08", "found a gzip file, expected a text file"),
    ],
)
def test_a_bad_header_is_an_error(tmp_path: Path, content: bytes, fault: str):
    with pytest.raises(ValueError, match=fault):
        read_tsv(write_transcripts(tmp_path, content))


def test_missing_files_and_unknown_corpora_are_errors(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"corpus_dir=.*absent: no such folder"):
        read_tsv(tmp_path / "absent")
    with pytest.raises(
        FileNotFoundError, match=r"transcripts\.tsv: no such file; corpus=tsv expects it in corpus_dir$"
    ):
        read_tsv(tmp_path)
    (tmp_path / "transcripts.csv").touch()
    with pytest.raises(FileNotFoundError, match=r"for transcripts\.csv set corpus=csv$"):
        read_tsv(tmp_path)
    with pytest.raises(ValueError, match=f"corpus=librivox: expected one of {', '.join(sorted(CORPORA))}"):
        get_reader("librivox")
