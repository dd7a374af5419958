import os
from pathlib import Path

from data_prep.job_keys import make_key, stat_file


def test_a_key_depends_on_every_part_and_on_their_order():
    keys = [make_key(1, "a", None), make_key(1, "a", 0), make_key("a", 1, None), make_key(1, ["a", None])]
    assert len(set(keys)) == 4 and make_key(1, "a", None) == keys[0] and all(len(key) == 64 for key in keys)


def test_the_stat_of_a_file(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"four")
    os.utime(tmp_path / "x", ns=(0, 7))
    assert stat_file(tmp_path / "x") == (4, 7)
    assert stat_file(tmp_path / "absent") is None and stat_file("a\0b") is None
