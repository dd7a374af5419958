"""Looking into `.nemo` files, good and bad."""

import io
import tarfile

import pytest

from data_prep.text.alphabet import load_alphabet
from nemo_models.files.nemo_file import read_labels, read_nemo_config


def _write_archive(path, name, content, mode="w"):
    with tarfile.open(path, mode) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def test_labels_of_a_saved_model(tiny_model, tmp_path):
    tiny_model.save_to(str(tmp_path / "model.nemo"))
    assert read_labels(tmp_path / "model.nemo") == load_alphabet()
    assert read_nemo_config(tmp_path / "model.nemo")["sample_rate"] == 16000


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_labels_stand_at_either_place(tmp_path, mode):
    _write_archive(tmp_path / "a.nemo", "./model_config.yaml", b"labels: [' ', a, 'no']", mode)
    assert read_labels(tmp_path / "a.nemo") == [" ", "a", "no"]


def test_bad_files_are_named(tmp_path):
    (tmp_path / "text.nemo").write_text("not a tar")
    (tmp_path / "empty.nemo").write_bytes(b"")
    _write_archive(tmp_path / "other.nemo", "readme.txt", b"x")
    _write_archive(tmp_path / "broken.nemo", "model_config.yaml", b"a: [")
    _write_archive(tmp_path / "code.nemo", "model_config.yaml", b"a: !!python/object/apply:os.getpid []")
    _write_archive(tmp_path / "word.nemo", "model_config.yaml", b"word")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ValueError, match=f"{path.name}: .*expected a .nemo file"):
            read_nemo_config(path)
    _write_archive(tmp_path / "plain.nemo", "model_config.yaml", b"decoder: {}")
    with pytest.raises(ValueError, match=r"plain\.nemo: found no labels"):
        read_labels(tmp_path / "plain.nemo")
    with pytest.raises(FileNotFoundError, match=r"absent\.nemo: no such file"):
        read_labels(tmp_path / "absent.nemo")
