"""Files in place of a token language model: each is named in one line."""

import gzip
import io
import subprocess
import tarfile

import pytest
from nemo.collections.asr.parts.submodules.ngram_lm import NGramGPULanguageModel

from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import NORMALIZER_FINGERPRINT
from nemo_models.decoding.strategy import configure_decoding
from nemo_models.files.nemo_file import read_nemo_config
from nemo_models.language_models.lm_file import METADATA_KEY, check_lm_matches

LABELS = load_alphabet()


@pytest.fixture
def not_weights(hindi_lm, tmp_path):
    """A language model whose weights are damaged, with a complete configuration."""
    with tarfile.open(hindi_lm) as source, tarfile.open(tmp_path / "not_weights.nemo", "w") as target:
        for member in source.getmembers():
            content = source.extractfile(member).read() if member.isfile() else b""
            if member.name.endswith(".ckpt"):
                content = b"\0" * len(content)
            target.addfile(member, io.BytesIO(content))
    return tmp_path / "not_weights.nemo"


def test_a_whole_one_is_taken(hindi_lm):
    check_lm_matches(hindi_lm, LABELS, NORMALIZER_FINGERPRINT)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda whole: b"", "an empty file"),
        (lambda whole: b"\\data\\\nngram 1=3\n", "an ARPA text"),
        (lambda whole: b"mmap lm http://kheafield.com/code", "a KenLM binary"),
        (lambda whole: gzip.compress(b"text"), "a gzip file"),
        (lambda whole: b"text", "expected a .nemo file"),
        (lambda whole: whole[: len(whole) // 2], "damaged"),
        (lambda whole: whole[:-20_000], "damaged"),
    ],
)
def test_other_and_damaged_files_are_named(tiny_model, hindi_lm, tmp_path, make, found):
    path = tmp_path / "lm.nemo"
    path.write_bytes(make(hindi_lm.read_bytes()))
    with pytest.raises(ValueError, match=found) as error:
        configure_decoding(tiny_model, {"strategy": "beam_batch", "beam": {"ngram_lm_model": str(path)}})
    assert "\n" not in str(error.value) and "lm.nemo" in str(error.value)
    with pytest.raises(ValueError, match=found):
        check_lm_matches(path, LABELS, "any")


def test_damaged_weights_are_reported_before_they_are_read(tiny_model, not_weights):
    with pytest.raises(ValueError, match=r"not_weights\.nemo: found a damaged file"):
        configure_decoding(tiny_model, {"strategy": "beam_batch", "beam": {"ngram_lm_model": str(not_weights)}})


def test_file_of_another_tool_is_compared_by_its_number_of_labels(lmplz, tmp_path):
    tokens = "\n".join(" ".join(chr(index + 100) for index in range(start, start + 5)) for start in range(10))
    command = [lmplz, "-o", "2", "--discount_fallback", "-S", "100M"]
    arpa = subprocess.run(command, input=tokens.encode(), capture_output=True, check=True).stdout
    (tmp_path / "lm.arpa").write_bytes(arpa)
    NGramGPULanguageModel.from_arpa(tmp_path / "lm.arpa", len(LABELS)).save_to(str(tmp_path / "lm.nemo"))
    assert METADATA_KEY not in read_nemo_config(tmp_path / "lm.nemo")
    check_lm_matches(tmp_path / "lm.nemo", LABELS, "any")
    with pytest.raises(ValueError, match="over 65 labels, expected 64"):
        check_lm_matches(tmp_path / "lm.nemo", LABELS[1:], "any")
