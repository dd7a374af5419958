"""Perplexities of single texts equal those of this project's own scoring of n-grams, which is independent of them."""

import json
import math
from pathlib import Path

import pytest

from data_prep.text.alphabet import load_alphabet
from lm_text import LM_SENTENCES, lm_lines
from nemo_models.language_models.arpa import read_arpa
from nemo_models.language_models.ngram_lm import train_ngram_lm
from nemo_models.language_models.perplexity import score_sentences
from nemo_models.language_models.text_perplexity import compute_perplexities
from nemo_models.language_models.word_lm import read_unigrams

HELD_OUT = "कल बारिश में बच्चे खेल रहे थे"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("\n".join(lm_lines()) + "\n", encoding="utf-8")
    return tmp_path / "text.txt"


def test_characters_score_as_in_the_report_of_the_training(lmplz: str, text: Path, tmp_path: Path):
    (tmp_path / "held_out.txt").write_text(HELD_OUT, encoding="utf-8")
    lm = tmp_path / "lm.nemo"
    train_ngram_lm([text], load_alphabet(), lm, order=3, held_out=tmp_path / "held_out.txt", num_workers=1)
    report = json.loads((tmp_path / "lm.nemo.json").read_text(encoding="utf-8"))["held_out"]
    empty, found = compute_perplexities(lm, load_alphabet(), ["", HELD_OUT])
    assert empty is None
    assert found == pytest.approx(report["perplexity_per_character"], rel=1e-4)  # NeMo adds in float32


def test_words_score_as_in_the_arpa_file(lmplz: str, text: Path, tmp_path: Path):
    lm = tmp_path / "lm.arpa"
    train_ngram_lm([text], load_alphabet(), lm, order=3, kind="word", num_workers=1)
    model = read_arpa(lm, sorted(word.encode() for word in read_unigrams(lm)), is_closed=False)
    scores, _ = score_sentences(model, [HELD_OUT.encode()])
    (found,) = compute_perplexities(lm, load_alphabet(), [HELD_OUT])
    assert found == pytest.approx(math.exp(-scores.sum() / (len(HELD_OUT) + 1)), rel=1e-4)  # KenLM adds in float32


def test_texts_in_a_batch_score_as_alone_and_foreign_ones_have_no_score(hindi_lm: Path):
    labels = load_alphabet()
    together = compute_perplexities(hindi_lm, labels, [*LM_SENTENCES, "latin", "क"])
    assert together[-2] is None
    alone = [compute_perplexities(hindi_lm, labels, [text])[0] for text in (*LM_SENTENCES, "क")]
    assert [*together[:-2], together[-1]] == pytest.approx(alone, rel=1e-5)
    shuffled = compute_perplexities(hindi_lm, labels, ["खख़ ज्ञझ ढढ घघ"])[0]
    assert shuffled is not None and all(one is not None and shuffled > one for one in alone[:-1])
