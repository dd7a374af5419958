import gzip

import pytest

from data_prep.file_kinds import FileKind, identify_file

FILES = {
    FileKind.EMPTY: b"",
    FileKind.LFS_POINTER: b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
    FileKind.HTML: b"\n <!DOCTYPE html><html>",
    FileKind.UTF16: "कल".encode("utf-16"),
    FileKind.GZIP: gzip.compress(b"text"),
    FileKind.ZIP: b"PK\x03\x04....",
    FileKind.PARQUET: b"PAR1\x15\x04",
    FileKind.ARPA: b"\n\\data\\\nngram 1=5\n",
    FileKind.KENLM: b"mmap lm http://kheafield.com/code format version 5\n",
}


@pytest.mark.parametrize("kind", FileKind)
def test_each_kind_is_recognised_by_its_first_bytes(kind, tmp_path):
    (tmp_path / "file").write_bytes(FILES[kind])
    assert identify_file(tmp_path / "file") is kind


@pytest.mark.parametrize("content", ["कल\n".encode(), b"\x80\x02}q\x00", b"data"], ids=["text", "pickle", "word"])
def test_other_files_have_no_kind(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    assert identify_file(tmp_path / "file") is None
