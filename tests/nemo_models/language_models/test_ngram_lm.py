"""The character language model against KenLM's own reader, and the texts that go into it."""

import gzip
import math
import subprocess
import sys
from types import SimpleNamespace

import kenlm
import pytest
import torch
from nemo.collections.asr.parts.submodules.ngram_lm import NGramGPULanguageModel

from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import NORMALIZER_FINGERPRINT
from lm_text import lm_lines
from nemo_models.files.nemo_file import read_nemo_config
from nemo_models.language_models.estimation import UNWRITABLE, find_lmplz
from nemo_models.language_models.labels import LabelTokenizer
from nemo_models.language_models.lm_file import METADATA_KEY, encode_tokens, hash_labels
from nemo_models.language_models.ngram_lm import train_ngram_lm
from nemo_models.language_models.text_counts import describe_counts

LABELS = load_alphabet()


def _tokens(text):
    return " ".join(chr(LABELS.index(character) + 100) for character in text)


def _natural_scores(reader, text):
    return [score * math.log(10) for score, _, _ in reader.full_scores(_tokens(text))]


@pytest.fixture
def write(tmp_path):
    def write(content, name="text.txt"):
        path = tmp_path / name
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def test_every_label_has_its_token():
    for index, label in enumerate(LABELS):
        assert encode_tokens(label, LabelTokenizer(LABELS)) == chr(index + 100)
    assert encode_tokens("कल", LabelTokenizer(LABELS)) == _tokens("कल")


@pytest.mark.parametrize(("order", "prune"), [(2, []), (6, []), (5, [0, 0, 1])])
def test_scores_are_kenlms(lmplz, write, tmp_path, order, prune):
    """Every token's score, end of sentence included, seen and unseen n-grams. float32 against KenLM's: hence 1e-4."""
    text = write("\n".join(lm_lines() * 2))
    train_ngram_lm([text], LABELS, tmp_path / "lm.nemo", order, prune, deduplicate=False)
    command = [lmplz, "-o", str(order), "--discount_fallback", "-S", "100M"]
    command += ["--prune", *map(str, prune)] if prune else []
    tokens = "".join(_tokens(line) + "\n" for line in lm_lines() * 2)
    arpa = subprocess.run(command, input=tokens.encode(), capture_output=True, check=True).stdout
    (tmp_path / "lm.arpa").write_bytes(arpa)
    reader = kenlm.Model(str(tmp_path / "lm.arpa"))
    model = NGramGPULanguageModel.from_file(tmp_path / "lm.nemo", vocab_size=len(LABELS))
    for text in [*lm_lines(), "कल बच्चे नई किताब लाएँगे", "ॉऋझ", "  ", "क"]:
        labels = torch.tensor([[LABELS.index(character) for character in text]])
        scores = model(labels, bos=True, eos=True)[0].tolist()
        assert scores == pytest.approx(_natural_scores(reader, text), abs=1e-4)


def test_lines_are_normalised_counted_and_left_out_with_a_reason(lmplz, write, tmp_path):
    content = "आज अच्छा दिन है।\r\n\nयह कोविड19 है\n---\nक़लम, किताब!\n".encode() + b"\xff\xfe\n" + "कल test है".encode()
    report = train_ngram_lm([write(content)], LABELS, tmp_path / "a.nemo", order=3)
    counts = report.counts
    assert (counts.lines, counts.used, counts.empty, counts.left_out) == (7, 2, 2, 3)
    assert counts.reasons == {"numbers": 1, "latin": 1, "not UTF-8": 1}
    assert counts.characters["U+0031 DIGIT ONE"] == 1 and "U+0039 DIGIT NINE 1" in describe_counts(counts)
    assert report.suggestions == ["1 lines left out for numbers: numbers=verbalize writes numbers in words"]
    train_ngram_lm([write("आज अच्छा दिन है\nक़लम किताब\n", "clean.txt")], LABELS, tmp_path / "b.nemo", order=3)
    a, b = (NGramGPULanguageModel.from_file(tmp_path / name, len(LABELS)) for name in ("a.nemo", "b.nemo"))
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_numbers_are_said_where_that_is_asked_for(lmplz, write, tmp_path):
    pytest.importorskip("nemo_text_processing", reason="the extra [numbers] is not installed")
    content = "यह कोविड19 है\n70वीं कड़ी\nअनुपात 4:3\n"
    report = train_ngram_lm([write(content)], LABELS, tmp_path / "a.nemo", order=3, numbers="verbalize")
    assert (report.counts.lines, report.counts.used, report.counts.left_out) == (3, 2, 1)
    train_ngram_lm([write("यह कोविड उन्नीस है\nसत्तरवीं कड़ी\n", "said.txt")], LABELS, tmp_path / "b.nemo", order=3)
    a, b = (NGramGPULanguageModel.from_file(tmp_path / name, len(LABELS)) for name in ("a.nemo", "b.nemo"))
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_one_text_or_many_plain_or_gzip_give_the_same(lmplz, write, tmp_path):
    lines = lm_lines()
    train_ngram_lm([write("\n".join(lines))], LABELS, tmp_path / "one.nemo", order=4)
    parts = [write("\n".join(lines[:3]), "a.txt"), write("\n".join(lines[3:]), "b.txt.gz")]
    report = train_ngram_lm(parts, LABELS, tmp_path / "two.nemo", order=4)
    assert report.counts.used == len(lines)
    one, two = (NGramGPULanguageModel.from_file(tmp_path / name, len(LABELS)) for name in ("one.nemo", "two.nemo"))
    assert all(torch.equal(x, y) for x, y in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_file_says_what_it_is_for(hindi_lm):
    metadata = SimpleNamespace(**read_nemo_config(hindi_lm)[METADATA_KEY])
    assert (metadata.order, metadata.lines_used, metadata.lines_left_out) == (4, len(lm_lines()), 0)
    assert metadata.labels_hash == hash_labels(LABELS) != hash_labels(LABELS[::-1])
    assert metadata.normalizer_fingerprint == NORMALIZER_FINGERPRINT
    assert b"/tmp" not in hindi_lm.read_bytes()[:4096], "no path of this machine in the configuration"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"order": 1}, "order=1:"),
        ({"order": 11}, "order=11:"),
        ({"order": "six"}, "order=six:"),
        ({"prune": [1, 0]}, "prune="),
        ({"prune": [0, "x"]}, "prune="),
        ({"prune": [-1]}, "prune="),
        ({"memory": "lots"}, "memory=lots: expected a size such as 500M"),
        ({"output": "lm.arpa"}, "ends in .nemo"),
        ({"labels": ["▁क", "ख"]}, "expected characters"),
        ({"labels": ["<s>", "[UNK]"]}, "expected characters"),
        ({"labels": ["क", "क"]}, "each label once"),
    ],
)
def test_impossible_arguments_are_named(lmplz, write, tmp_path, options, named):
    options = {"labels": LABELS, "order": 3, **options}
    output = tmp_path / options.pop("output", "lm.nemo")
    with pytest.raises(ValueError, match=named):
        train_ngram_lm([write("\n".join(lm_lines()))], output=output, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"], "nothing is left behind"


def test_unusable_texts_are_named(lmplz, write, tmp_path):
    output = tmp_path / "lm.nemo"
    with pytest.raises(
        ValueError, match=r"text\.txt: found no usable line \(2 lines = 0 used \+ 1 empty \+ 1 left out"
    ):
        train_ngram_lm([write("\nabc\n")], LABELS, output)
    with pytest.raises(ValueError, match=r"^text\.txt: found no 6-gram in 1 usable lines; use a lower order"):
        train_ngram_lm([write("कल\n")], LABELS, output)
    with pytest.raises(FileNotFoundError, match=r"absent\.txt"):
        train_ngram_lm([tmp_path / "absent.txt"], LABELS, output)
    whole = gzip.compress("\n".join(lm_lines()).encode())
    for name, data in {"cut.gz": whole[:-20], "text.gz": b"plain"}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=f"{name}: found an incomplete gzip file"):
            train_ngram_lm([tmp_path / name], LABELS, output)
    assert not output.exists()


def test_missing_lmplz_names_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="make setup"):
        find_lmplz()


def test_lines_with_characters_that_occur_only_inside_longer_labels_are_left_out(lmplz, write, tmp_path):
    text = write("कल ज़म\nकलम\nकल ज\nमल कल\n")
    report = train_ngram_lm([text], [" ", "<unk>", "क", "ल", "म", "ज़"], tmp_path / "lm.nemo", 2, deduplicate=False)
    assert (report.counts.used, report.counts.left_out) == (3, 1)
    assert report.counts.reasons[UNWRITABLE] == 1
