import gzip
from pathlib import Path

import pytest

from data_prep.lines import check_text_file, cut_chunks, find_foreign_format, number_chunks, open_lines


def test_chunks_hold_every_item_once_in_order():
    assert list(cut_chunks(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(cut_chunks(range(6), 3)) == [[0, 1, 2], [3, 4, 5]] and list(cut_chunks([], 3)) == []
    assert list(number_chunks([b"a", b"b", b"c"], 2)) == [(1, [b"a", b"b"]), (3, [b"c"])]


def test_gzip_is_recognised_without_its_suffix(tmp_path: Path):
    for name, content in (("a.txt", b"one\ntwo\n"), ("b.txt", gzip.compress(b"one\ntwo\n"))):
        (tmp_path / name).write_bytes(content)
        with open_lines(tmp_path / name) as lines:
            assert list(lines) == [b"one\n", b"two\n"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("path\ttext\n".encode("utf-16"), "UTF-16 text"),
        ("path\ttext\n".encode("utf-16-le"), "UTF-16 text"),
        (gzip.compress(b"text"), "a gzip file"),
        (b"PK\x03\x04...", "a zip archive"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git-LFS pointer"),
        (b"<!DOCTYPE html>\n<html>", "an HTML page"),
        (b"path\ttext\ra.wav\tone\rb.wav\ttwo\r", "lines that end with a carriage return alone"),
    ],
)
def test_a_file_that_is_not_utf8_text_is_named_with_the_remedy(tmp_path: Path, content: bytes, kind: str):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match=rf"x: found {kind}, expected a text file .*; \w+"):
        check_text_file(tmp_path / "x")


@pytest.mark.parametrize(
    "content", [b"", b"one", b"one\r\n", b"one\r", "\ufeffकमल\n".encode(), b"a\rb\nc\n", b"\xff\n"]
)
def test_text_files_pass(tmp_path: Path, content: bytes):
    (tmp_path / "x").write_bytes(content)
    assert find_foreign_format(tmp_path / "x") is None
