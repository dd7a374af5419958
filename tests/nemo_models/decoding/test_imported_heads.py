"""Heads of fairseq and Hugging Face: special tokens, and labels of several letters, in every search."""

import math

import pytest
import torch
from nemo.collections.asr.parts.submodules.ctc_beam_decoding import PyCTCDecodeConfig

from nemo_models.decoding.ctc_decoding import PADDED_LOG_PROB, CharacterCTCDecoding
from nemo_models.decoding.settings import complete_decoding_config
from nemo_models.decoding.word_lm_search import WordLMSearch

LABELS = ["<s>", "</s>", "<unk>", " ", "म", "प", "त", "्", "र", "त्र", "[UNK]"]
BLANK = len(LABELS)
ARPA = """
\\data\\
ngram 1=6
ngram 2=3

\\1-grams:
-2.0\t<unk>
-99\t<s>\t-0.3
-1.0\t</s>
-0.7\tमत\t-0.3
-0.7\tपत्र\t-0.3
-2.5\tपत\t-0.3

\\2-grams:
-0.2\t<s> मत
-0.2\tमत पत्र
-0.3\tपत्र </s>

\\end\\
"""


@pytest.fixture(scope="module")
def word_lm(tmp_path_factory):
    path = tmp_path_factory.mktemp("lm") / "words.arpa"
    path.write_text(ARPA.lstrip(), encoding="utf-8")
    return path


@pytest.fixture(params=["greedy_batch", "beam_batch", "pyctcdecode"])
def decoding(request, word_lm):
    beam = {"beam_size": 8, "beam_beta": 0.0}
    if request.param == "pyctcdecode":
        beam |= {"ngram_lm_model": str(word_lm), "ngram_lm_alpha": 0.5, "beam_beta": 1.5}
    return CharacterCTCDecoding(complete_decoding_config({"strategy": request.param, "beam": beam}), LABELS, 0.02)


def spell(*labels):
    """Log-probs of a recogniser that is sure of these labels, with a blank after each."""
    frames = torch.full((1, 2 * len(labels), BLANK + 1), PADDED_LOG_PROB)
    for number, label in enumerate(labels):
        frames[0, 2 * number, LABELS.index(label)] = 0.0
        frames[0, 2 * number + 1, BLANK] = 0.0
    return frames


def decode(decoding, frames):
    return decoding.decode(frames, torch.tensor([frames.shape[1]]), timestamps=True, confidence=True)[0][0]


def test_a_label_of_several_letters_comes_back_as_itself(decoding):
    best = decode(decoding, spell("म", "त", " ", "प", "त्र"))
    assert best.text == "मत पत्र"
    assert best.tokens == [LABELS.index(label) for label in ("म", "त", " ", "प", "त्र")]
    assert [stamp["char"] for stamp in best.timestamp["char"]] == ["म", "त", " ", "प", "त्र"]
    assert [(stamp["word"], stamp["start_offset"]) for stamp in best.timestamp["word"]] == [("मत", 0), ("पत्र", 6)]
    assert len(best.word_confidence) == 2


def test_beam_searches_write_no_special_token(decoding):
    frames = spell("म", "<unk>", "त", "[UNK]")
    frames[0, 2, LABELS.index(" ")], frames[0, 6, BLANK] = -1.0, -1.0
    best = decode(decoding, frames)
    # greedy search writes what the checkpoint itself would, see the tests of imports
    assert best.text == ("म त" if decoding.searches_beam else "म<unk>त[UNK]")


def test_the_language_model_reads_words_as_they_are_spelled(word_lm):
    """Of two words that sound alike, the known one wins, however many labels it has."""
    frames = spell("म", "त", " ", "प", "त")
    frames[0, 8, LABELS.index("त")], frames[0, 8, LABELS.index("त्र")] = math.log(0.6), math.log(0.4)
    search = WordLMSearch(LABELS, word_lm, 16, 0.5, 1.5, PyCTCDecodeConfig())
    (found,) = search(frames, torch.tensor([10]))
    best = found[0].n_best_hypotheses[0]
    assert "".join(LABELS[label] for label in best.y_sequence) == "मत पत्र"


def test_spelling_in_one_label_or_in_three_has_the_same_score(word_lm):
    search = WordLMSearch(LABELS, word_lm, 16, 0.5, 1.5, PyCTCDecodeConfig())
    (one,) = search(spell("प", "त्र"), torch.tensor([4]))
    (three,) = search(spell("प", "त", "्", "र"), torch.tensor([8]))
    scores = [found[0].n_best_hypotheses[0].score for found in (one, three)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
