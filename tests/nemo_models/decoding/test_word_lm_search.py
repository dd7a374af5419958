"""The second search: pyctcdecode's own answers, with the words of its language model."""

import math

import kenlm
import pytest
import torch
from pyctcdecode import build_ctcdecoder

from data_prep.text.alphabet import load_alphabet
from lm_text import LM_SENTENCES, lm_lines
from nemo_models.decoding.settings import WORD_LM_DEFAULTS
from nemo_models.decoding.strategy import (
    PADDED_LOG_PROB,
    configure_decoding,
    decode_log_probs,
    decode_n_best,
)
from nemo_models.language_models import ngram_lm

LABELS = load_alphabet()
BLANK = len(LABELS)


@pytest.fixture(scope="module")
def word_lm(lmplz, tmp_path_factory):
    text = tmp_path_factory.mktemp("words") / "text.txt"
    text.write_text("\n".join(lm_lines()) + "\n", encoding="utf-8")
    ngram_lm.train_ngram_lm([text], LABELS, text.with_suffix(".arpa"), order=2, kind="word")
    return text.with_suffix(".arpa")


@pytest.fixture
def model(tiny_model, word_lm):
    configure_decoding(tiny_model, {"strategy": "pyctcdecode", "beam": {"ngram_lm_model": str(word_lm)}})
    yield tiny_model
    tiny_model.change_decoding_strategy({"strategy": "greedy_batch"}, verbose=False)


def _certain(text):
    frames = torch.full((2 * len(text), BLANK + 1), PADDED_LOG_PROB)
    for index, character in enumerate(text):
        frames[2 * index, LABELS.index(character)] = 0.0
        frames[2 * index + 1, BLANK] = 0.0
    return frames


def test_a_word_that_the_language_model_knows_wins(model):
    frames = _certain("कत शाम को")
    frames[2, LABELS.index("त")], frames[2, LABELS.index("ल")] = math.log(0.6), math.log(0.4)
    (hyp,) = decode_log_probs(model, frames[None], torch.tensor([len(frames)]), timestamps=True, confidence=True)
    assert hyp.text == "कल शाम को"
    times = hyp.timestamp["word"]
    assert [(item["word"], item["start_offset"], item["end_offset"]) for item in times] == [
        ("कल", 0, 3),
        ("शाम", 6, 11),
        ("को", 14, 17),
    ]
    assert len(hyp.word_confidence) == 3


def test_texts_and_scores_are_pyctcdecodes(model, word_lm):
    """Its own builder, which reads the unigrams of an ARPA itself."""
    own = build_ctcdecoder(
        [*LABELS, ""],
        str(word_lm),
        alpha=WORD_LM_DEFAULTS["ngram_lm_alpha"],
        beta=WORD_LM_DEFAULTS["beam_beta"],
    )
    generator = torch.Generator().manual_seed(0)
    log_probs = (4 * torch.randn(3, 40, BLANK + 1, generator=generator)).log_softmax(-1)
    lengths = torch.tensor([40, 13, 25])
    for row, hyps in enumerate(decode_n_best(model, log_probs, lengths)):
        beams = own.decode_beams(log_probs[row, : lengths[row]].numpy(), beam_width=WORD_LM_DEFAULTS["beam_size"])
        assert [hyp.text for hyp in hyps] == list(dict.fromkeys(beam[0] for beam in beams))
        assert hyps[0].score == pytest.approx(beams[0][-1], abs=1e-6)


def test_language_models_score_is_kenlms(model, word_lm):
    """With certain log-probs what is left of the score is α · ln P(words) + β · words."""
    reader = kenlm.Model(str(word_lm))
    for text in LM_SENTENCES[:3]:
        frames = _certain(text)
        (hyp,) = decode_log_probs(model, frames[None], torch.tensor([len(frames)]))
        expected = WORD_LM_DEFAULTS["ngram_lm_alpha"] * reader.score(text) * math.log(10)
        expected += WORD_LM_DEFAULTS["beam_beta"] * len(text.split())
        assert hyp.text == text
        assert hyp.score == pytest.approx(expected, abs=1e-3)  # float32 log-probabilities


def test_other_files_are_refused(model, word_lm, hindi_lm, tmp_path):
    (tmp_path / "words.bin").write_bytes(b"mmap lm http://kheafield.com/code format version 5\n" + bytes(64))
    (tmp_path / "empty.arpa").write_bytes(b"")
    whole = word_lm.read_bytes()
    (tmp_path / "cut.arpa").write_bytes(whole[: len(whole) // 2])
    cases = {
        tmp_path / "words.bin": "KenLM binary",
        tmp_path / "empty.arpa": "empty file",
        tmp_path / "cut.arpa": "cut",
        hindi_lm: r"found a \.nemo file",
    }
    for path, message in cases.items():
        with pytest.raises(ValueError, match=message) as error:
            configure_decoding(model, {"strategy": "pyctcdecode", "beam": {"ngram_lm_model": str(path)}})
        assert "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"absent\.arpa"):
        configure_decoding(model, {"strategy": "pyctcdecode", "beam": {"ngram_lm_model": "absent.arpa"}})
