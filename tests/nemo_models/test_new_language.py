"""A language that the project has never heard of: one file, and every job works. Georgian letters, made-up rules."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf

from data_prep.languages.characters import describe_character
from data_prep.text.alphabet import load_alphabet
from data_prep.text.files import normalize_file
from data_prep.text.policy import TextPolicy
from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.decoding.strategy import configure_decoding, decode_log_probs
from nemo_models.evaluation.scoring import score_texts
from nemo_models.files.model_language import choose_language
from nemo_models.files.nemo_file import read_labels, read_nemo_config
from nemo_models.language_models.ngram_lm import train_ngram_lm
from nemo_models.training.row_checks import RowChecks, row_checks
from preparing import prepare_corpus
from topology import architecture

LETTERS = " აბგდევზთიკლმნოპრსტ"
TEXTS = ["აბა გადი", "დედა სახლი", "კარგი დილა", "მე ვარ აქა"]


@pytest.fixture
def language(tmp_path: Path) -> str:
    """The file of the language."""
    path = tmp_path / "languages" / "xge.yaml"
    path.parent.mkdir()
    lines = ["code: xge", "name: Testian", "scripts: [GEORGIAN]", "direction: ltr", "sources: [made up for a test]"]
    lines += ["replace:", "  U+10E5: U+10D9  # ქ is written კ", "  U+10EE: U+10D9  # ხ too", "alphabet: |"]
    lines += [f"  {describe_character(letter)}" for letter in LETTERS]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_one_file_is_all_that_a_new_language_needs(tmp_path: Path, language: str, lmplz: str):
    alphabet = load_alphabet(language=language)
    assert alphabet == list(LETTERS)
    # text
    source = tmp_path / "text.txt"
    source.write_text("\n".join(f"{text}!" for text in TEXTS * 5) + "\nनमस्ते\n", encoding="utf-8")
    report = normalize_file(
        source, tmp_path / "out.txt", tmp_path / "rejected.jsonl", policy=TextPolicy(language=language), num_workers=1
    )
    assert (report.kept, report.rejected) == (20, {"outside_alphabet": 1})
    # manifests
    for at in range(4):
        soundfile.write(tmp_path / f"{at}.wav", 0.1 * np.sin(np.arange(16000) * (0.1 + 0.02 * at)), 16000)
    rows = [f"{at}.wav\t{text}\tspeaker{at}" for at, text in enumerate(TEXTS)]
    corpus = tmp_path / "corpus.tsv"
    (tmp_path / "corpus").mkdir()
    for at in range(4):
        (tmp_path / f"{at}.wav").rename(tmp_path / f"corpus/{at}.wav")
    corpus = tmp_path / "corpus/transcripts.tsv"
    corpus.write_text("\n".join(["path\ttext\tspeaker", *rows]) + "\n", encoding="utf-8")
    made = prepare_corpus(
        "tsv", corpus.parent, tmp_path / "data", language=language, splits={"train": 1.0}, num_workers=1
    )
    assert made["rejected"] == 0 and made["normalizer_fingerprint"].startswith("xge-1-")
    manifest = [json.loads(line) for line in (tmp_path / "data/train_manifest.json").open(encoding="utf-8")]
    assert {row["text"] for row in manifest} == {"აბა გადი", "დედა საკლი", "კარგი დილა", "მე ვარ აკა"}
    assert {row["lang"] for row in manifest} == {"xge"}
    checks = row_checks(OmegaConf.create({}), frozenset(alphabet), lambda samples: samples, language)
    assert not [problem for row in manifest for problem in checks.check(row)]
    # labels of a model
    model = XLSRCTCModel(
        cfg=model_config(architecture(), alphabet, normalize=True, epsilon=1e-5, language=language)
    ).eval()
    model.save_to(str(tmp_path / "model.nemo"))
    assert read_labels(tmp_path / "model.nemo") == alphabet
    fingerprint = read_nemo_config(tmp_path / "model.nemo")["normalizer_fingerprint"]
    assert fingerprint == made["normalizer_fingerprint"]
    assert choose_language(language, fingerprint, "model.nemo") == language
    # language model
    train_ngram_lm([source], alphabet, tmp_path / "lm.nemo", order=2, language=language, num_workers=1)
    configure_decoding(model, {"strategy": "beam_batch", "beam": {"ngram_lm_model": str(tmp_path / "lm.nemo")}})
    log_probs = torch.randn(1, 30, len(alphabet) + 1).log_softmax(-1)
    (hypothesis,) = decode_log_probs(model, log_probs, torch.tensor([30]))
    assert set(hypothesis.text) <= set(alphabet)
    assert score_texts(["ქარგი"], ["კარგი!"], language).wer == 0.0
    # a language model of another language is refused in one line, whatever its labels are
    train_ngram_lm([source], alphabet, tmp_path / "other.nemo", order=2, language="ta", num_workers=1)
    with pytest.raises(ValueError, match=r"found a language model of the language ta, expected xge, the model's"):
        configure_decoding(model, {"strategy": "beam_batch", "beam": {"ngram_lm_model": str(tmp_path / "other.nemo")}})


def test_a_row_of_another_language_is_found_before_training():
    checks = RowChecks(frozenset(load_alphabet()), lambda samples: samples)
    row = {"audio_filepath": "a.wav", "text": "कमल", "duration": 1.0, "lang": "mr"}
    (problem,) = checks.check(row)
    assert "lang is mr, language is hi" in str(problem)
    assert not list(checks.check({**row, "lang": "hi"}))
