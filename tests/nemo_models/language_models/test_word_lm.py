"""The words of word language models in every form that pyctcdecode's search reads."""

import gzip
import subprocess
from pathlib import Path

import kenlm
import pytest

from lm_text import lm_lines
from nemo_models.language_models.word_lm import read_unigrams


@pytest.fixture(scope="module")
def arpa(lmplz: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.arpa"
    command = [lmplz, "-o", "2", "--discount_fallback", "-S", "50M", "--arpa", str(path)]
    subprocess.run(command, input="\n".join(lm_lines()).encode(), capture_output=True, check=True)
    return path


@pytest.mark.parametrize(
    "options", [["probing"], ["trie"], ["-q", "8", "-b", "8", "trie"]], ids=["hash", "trie", "quantised"]
)
def test_kenlm_binary_gives_the_words_of_its_text(arpa: Path, lmplz: str, tmp_path: Path, options: list[str]):
    binary = tmp_path / "words.bin"
    build = Path(lmplz).with_name("build_binary")
    subprocess.run([str(build), *options, str(arpa), str(binary)], capture_output=True, check=True)
    expected = sorted({word for line in lm_lines() for word in line.split()})
    assert sorted(read_unigrams(binary)) == sorted(read_unigrams(arpa)) == expected
    reader = kenlm.Model(str(binary))
    assert all(word in reader for word in read_unigrams(binary))


def test_kenlm_binary_without_its_words_is_refused(arpa: Path, lmplz: str, tmp_path: Path):
    whole, without = tmp_path / "words.bin", tmp_path / "without.bin"
    build = str(Path(lmplz).with_name("build_binary"))
    subprocess.run([build, str(arpa), str(whole)], capture_output=True, check=True)
    subprocess.run([build, "-v", str(arpa), str(without)], capture_output=True, check=True)
    (tmp_path / "cut.bin").write_bytes(whole.read_bytes()[:-3])
    for name in ("without.bin", "cut.bin"):
        with pytest.raises(ValueError, match="found a KenLM binary without its words"):
            read_unigrams(tmp_path / name)


def test_gzip_text_gives_the_same_words(arpa: Path, tmp_path: Path):
    (tmp_path / "words.arpa.gz").write_bytes(gzip.compress(arpa.read_bytes()))
    assert read_unigrams(tmp_path / "words.arpa.gz") == read_unigrams(arpa)
