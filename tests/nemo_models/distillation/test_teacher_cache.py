"""The teacher's outputs come back from disk bit by bit."""

from pathlib import Path

import pytest
import torch

from nemo_models.distillation.losses import keep_top
from nemo_models.distillation.teacher_cache import TeacherCache, hash_audio, hash_weights

GB = 10**9


def outputs(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    values, labels = keep_top(torch.randn(1, 9, 70, generator=torch.Generator().manual_seed(seed)).log_softmax(-1), 5)
    return values[0], labels[0]


def test_what_was_written_is_read_by_another_process(tmp_path: Path):
    first, second = (TeacherCache(tmp_path / "new" / "cache.db", "t", 5, GB) for _ in range(2))
    first.write(b"a", *outputs(0))
    second.write(b"b", *outputs(1))
    for cache in (first, second):
        a, nothing, b = cache.read([b"a", b"-", b"b"])
        assert nothing is None
        for found, expected in ((a, outputs(0)), (b, outputs(1))):
            assert found is not None
            assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize(("teacher", "top_k", "name"), [("u", 5, "teacher"), ("t", 6, "top_k")], ids=["teacher", "k"])
def test_a_cache_of_another_teacher_is_refused(tmp_path: Path, teacher: str, top_k: int, name: str):
    TeacherCache(tmp_path / "cache.db", "t", 5, GB)
    with pytest.raises(ValueError, match=f"cache of another {name}"):
        TeacherCache(tmp_path / "cache.db", teacher, top_k, GB)


def test_a_file_of_another_kind_is_refused(tmp_path: Path):
    (tmp_path / "cache.db").write_bytes(b"not a database" * 100)
    with pytest.raises(ValueError, match="not a teacher cache"):
        TeacherCache(tmp_path / "cache.db", "t", 5, GB)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cache\.db: .*; choose another teacher_cache\.path"):
        TeacherCache(tmp_path / "file" / "cache.db", "t", 5, GB)


def test_a_damaged_cache_is_one_line(tmp_path: Path):
    cache = TeacherCache(tmp_path / "cache.db", "t", 5, GB)
    for number in range(100):
        cache.write(number.to_bytes(2, "big"), *outputs(number))
    cache._database.close()  # writes all to the file
    content = bytearray((tmp_path / "cache.db").read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)  # behind the pages that describe the tables
    (tmp_path / "cache.db").write_bytes(content)
    with pytest.raises(ValueError, match=r"a damaged one \(database disk image is malformed\); delete it"):
        TeacherCache(tmp_path / "cache.db", "t", 5, GB).read([number.to_bytes(2, "big") for number in range(100)])


def test_a_full_cache_stores_no_more(tmp_path: Path):
    cache = TeacherCache(tmp_path / "cache.db", "t", 5, max_bytes=1)
    cache.write(b"a", *outputs(0))
    assert cache.read([b"a"]) == [None]


def test_a_full_disk_is_one_line(tmp_path: Path):
    cache = TeacherCache(tmp_path / "cache.db", "t", 5, GB)
    cache._database.execute("PRAGMA max_page_count = 1")  # SQLite then reports what it reports on a full disk
    with pytest.raises(OSError, match=r"cache\.db: database or disk is full; free space"):
        for number in range(100):
            cache.write(number.to_bytes(2, "big"), *outputs(number))


def test_the_hash_is_of_the_samples_alone():
    signal = torch.randn(100)
    assert hash_audio(signal, 80) == hash_audio(torch.nn.functional.pad(signal[:80], (0, 50)), 80)
    assert hash_audio(signal, 80) != hash_audio(signal, 81)


def test_the_hash_of_weights_sees_every_tensor():
    layer = torch.nn.Linear(3, 2)
    before = hash_weights(layer)
    assert before == hash_weights(layer)
    with torch.no_grad():
        layer.bias[0] += 1
    assert before != hash_weights(layer)
