import errno
from pathlib import Path

import pytest

from data_prep.atomic import atomic_path, open_atomic, remove_leftovers


def test_a_file_appears_when_its_block_ends(tmp_path: Path):
    target = tmp_path / "new" / "हिंदी.txt"
    with open_atomic(target) as out:
        out.write(b"whole")
        assert not target.exists()
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    target = tmp_path / "x.json"
    target.write_text("old")
    with pytest.raises(RuntimeError), open_atomic(target) as out:
        out.write(b"half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_hidden_file_keeps_the_suffix(tmp_path: Path):
    with atomic_path(tmp_path / "x.wav") as hidden:
        assert hidden.suffix == ".wav"
        hidden.write_bytes(b"")


def test_a_full_disk_names_the_file_that_was_asked_for(tmp_path: Path):
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*/x\.bin'"),
        atomic_path(tmp_path / "x.bin") as hidden,
    ):
        hidden.write_bytes(b"")
        raise OSError(errno.ENOSPC, "No space left on device", str(hidden))


def test_leftovers_of_killed_processes_are_removed_and_nothing_else(tmp_path: Path):
    with atomic_path(tmp_path / "x.wav") as hidden:
        hidden.write_bytes(b"")
    left = [tmp_path / hidden.name, tmp_path / ".report.host.example-12.tmp.json", tmp_path / ".lock.host-7.tmp"]
    kept = [tmp_path / name for name in ("x.wav", ".hidden.txt", "a-1.tmp.json", ".tmp")]
    for path in [*left, *kept]:
        path.touch()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    remove_leftovers(tmp_path / "absent")
