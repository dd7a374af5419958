"""n-gram models as arrays against KenLM's own reader and NeMo's own conversion of the same ARPA files."""

import math
import subprocess
from pathlib import Path

import kenlm
import numpy as np
import pytest
import torch
from nemo.collections.asr.parts.submodules.ngram_lm import NGramGPULanguageModel

from data_prep.text.alphabet import load_alphabet
from lm_text import lm_lines
from nemo_models.language_models.arpa import END, START, UNKNOWN, BackoffModel, read_arpa, write_arpa
from nemo_models.language_models.interpolation import fit_weights, interpolate
from nemo_models.language_models.labels import LabelTokenizer
from nemo_models.language_models.lm_file import encode_tokens, to_suffix_tree, token_words
from nemo_models.language_models.perplexity import measure_language_model, score_sentences
from nemo_models.language_models.word_lm import read_unigrams

LABELS = load_alphabet()
WORDS = token_words(LABELS)
UNSEEN = ("कल बच्चे नई किताब लाएँगे", "ॉऋझ", "क", "दादी  कल")


def tokens(text: str) -> bytes:
    return encode_tokens(text, LabelTokenizer(LABELS)).encode()


@pytest.fixture
def arpa(lmplz, tmp_path):
    def estimate(lines, name="lm.arpa", order=4, prune=(), as_words=False) -> Path:
        text = b"".join((line.encode() if as_words else tokens(line)) + b"\n" for line in lines)
        command = [lmplz, "-o", str(order), "--discount_fallback", "-S", "100M"]
        command += ["--prune", *map(str, prune)] if prune else []
        made = subprocess.run(command, input=text, capture_output=True, check=True).stdout
        (tmp_path / name).write_bytes(made)
        return tmp_path / name

    return estimate


def kenlm_scores(path: Path, sentence: bytes) -> list[float]:
    reader = kenlm.Model(str(path))
    return [score * math.log(10) for score, _, _ in reader.full_scores(sentence.decode())]


@pytest.mark.parametrize(("order", "prune"), [(2, ()), (4, ()), (6, (0, 0, 1))])
def test_scores_are_kenlms(arpa, order, prune):
    """Every word's score, seen and unseen n-grams. An ARPA has 7 digits, ours are float32 of them: hence 1e-5."""
    path = arpa(lm_lines() * 2, order=order, prune=prune)
    model = read_arpa(path, WORDS, is_closed=True)
    sentences = [tokens(text) for text in (*lm_lines(), *UNSEEN)]
    scores, is_known = score_sentences(model, sentences)
    assert scores.tolist() == pytest.approx([s for text in sentences for s in kenlm_scores(path, text)], abs=1e-5)
    assert is_known.all()


def test_scores_of_words_are_kenlms_and_unknown_ones_are_told(arpa):
    path = arpa(lm_lines(), order=3, as_words=True)
    words = [word.encode() for word in read_unigrams(path)]
    model = read_arpa(path, words, is_closed=False)
    sentences = ["कल सुबह बारिश हुई थी".encode(), "अनजाना कल".encode()]
    scores, is_known = score_sentences(model, sentences)
    assert scores.tolist() == pytest.approx([s for text in sentences for s in kenlm_scores(path, text)], abs=1e-5)
    assert is_known.tolist() == [True] * 6 + [False, True, True]


@pytest.mark.parametrize(("order", "prune"), [(2, ()), (3, ()), (6, (0, 0, 1))])
def test_conversion_is_nemos(arpa, order, prune):
    path = arpa(lm_lines() * 2, order=order, prune=prune)
    ours = NGramGPULanguageModel.from_suffix_tree(to_suffix_tree(read_arpa(path, WORDS, is_closed=True))).state_dict()
    theirs = NGramGPULanguageModel.from_arpa(path, vocab_size=len(LABELS)).state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name


def test_labels_that_the_text_lacks_score_as_nemo_has_them(arpa):
    path = arpa(["कल कब", "कब कल"], order=3)
    ours = NGramGPULanguageModel.from_suffix_tree(to_suffix_tree(read_arpa(path, WORDS, is_closed=True)))
    theirs = NGramGPULanguageModel.from_arpa(path, vocab_size=len(LABELS))
    labels = torch.tensor([[LABELS.index(character) for character in "कल मत कब"]])
    assert torch.allclose(ours(labels, eos=True), theirs(labels, eos=True), atol=1e-6)


def test_written_file_scores_as_its_model(arpa, tmp_path):
    model = read_arpa(arpa(lm_lines(), order=4), WORDS, is_closed=True)
    write_arpa(model, tmp_path / "again.arpa")
    for text in (*lm_lines(), *UNSEEN):
        ours, _ = score_sentences(model, [tokens(text)])
        assert ours.tolist() == pytest.approx(kenlm_scores(tmp_path / "again.arpa", tokens(text)), abs=1e-5)


def probabilities_after(model: BackoffModel, history: list[int]) -> np.ndarray:
    """Score every word after a history that begins a sentence."""
    return np.array(
        [
            math.exp(model.score(np.array([*history, word]))[-1]) if word != START else 0.0
            for word in range(len(model.vocabulary))
        ]
    )


@pytest.fixture
def mixture(arpa):
    """Two models whose texts share some words, and half-half of them; the second lacks letters that the first has."""
    lines = lm_lines()
    first = read_arpa(arpa(lines * 2, "a.arpa", order=4), WORDS, is_closed=True)
    second = read_arpa(arpa([*lines[:3], "कल कल कल", "हम कब"] * 3, "b.arpa", order=4), WORDS, is_closed=True)
    return first, second, interpolate([first, second], [0.3, 0.7])


def test_mixture_is_the_weighted_sum_wherever_a_component_has_the_ngram(mixture):
    first, second, both = mixture
    for order in range(1, 5):
        for place in range(0, len(both.orders[order - 1].keys), 7):
            ngram, at = [], place
            for length in range(order, 0, -1):
                parents, words = both.split(length)
                ngram.append(int(words[at]))
                at = int(parents[at])
            ngram = ngram[::-1]
            if ngram[-1] in (START, UNKNOWN):
                continue
            # Without START before it, an n-gram's history is as long as the n-gram: nothing before it is looked at.
            parts = [math.exp(model.score(np.array(ngram))[-1]) for model in (first, second)]
            expected = 0.3 * parts[0] + 0.7 * parts[1]
            assert math.exp(both.score(np.array(ngram))[-1]) == pytest.approx(expected, rel=1e-5)  # float32


def test_every_context_of_the_mixture_sums_to_one(mixture):
    first, _, both = mixture
    assert len(both.orders[3].keys) > len(first.orders[3].keys)
    line = both.number([tokens("कल सुबह हम")])
    histories = [line[:length].tolist() for length in range(1, len(line))]
    histories += [[START, *(both.vocabulary.index(token) for token in tokens("ऋझ").split(b" "))], [START]]
    for history in histories:
        # float32 of seven digits in each of some dozen terms: hence 1e-5
        assert probabilities_after(both, history).sum() == pytest.approx(1.0, abs=1e-5)


def test_mixture_survives_its_file(mixture, tmp_path):
    _, _, both = mixture
    write_arpa(both, tmp_path / "both.arpa")
    nemo_model = NGramGPULanguageModel.from_suffix_tree(to_suffix_tree(both))
    for text in (*lm_lines(), *UNSEEN):
        ours, _ = score_sentences(both, [tokens(text)])
        assert ours.tolist() == pytest.approx(kenlm_scores(tmp_path / "both.arpa", tokens(text)), abs=1e-5)
        labels = torch.tensor([[LABELS.index(character) for character in text]])
        assert nemo_model(labels, eos=True)[0].tolist() == pytest.approx(ours.tolist(), abs=1e-4)


def test_fitted_weight_is_the_best_of_a_sweep(mixture):
    first, second, _ = mixture
    held = [tokens(text) for text in ("कल हम बाज़ार जाएँगे", "कल कब", "आज शाम को बारिश हुई", "दादी हमें कल पुरानी")]
    scored = np.stack([score_sentences(model, held)[0] for model in (first, second)])
    weights = fit_weights(scored)
    assert weights.sum() == pytest.approx(1.0)

    def likelihood(weight: float) -> float:
        return float(np.logaddexp(scored[0] + math.log(weight), scored[1] + math.log(1 - weight)).sum())

    sweep = np.linspace(0.001, 0.999, 999)
    assert weights[0] == pytest.approx(sweep[np.argmax([likelihood(weight) for weight in sweep])], abs=2e-3)
    assert 0.01 < weights[0] < 0.99, "a case in which both are of use"
    assert likelihood(weights[0]) >= max(likelihood(weight) for weight in sweep) - 1e-6


def test_perplexities_are_kenlms(arpa):
    path = arpa(lm_lines(), order=4)
    lines = [text.encode() for text in ("कल सुबह हम", "बच्चे मैदान में")]
    encoded = [tokens(line.decode()) for line in lines]
    scores = measure_language_model(read_arpa(path, WORDS, is_closed=True), lines, encoded, unknown_words=2)
    total = sum(sum(kenlm_scores(path, text)) for text in encoded)
    assert (scores.sentences, scores.words, scores.characters) == (2, 6, 25)
    assert scores.perplexity_per_character == pytest.approx(math.exp(-total / (25 + 2)), rel=1e-5)
    assert scores.perplexity_per_word == pytest.approx(math.exp(-total / (6 + 2)), rel=1e-5)
    assert scores.oov_rate == pytest.approx(2 / 6)


@pytest.mark.parametrize("cut", ["head", "unigrams", "middle", "garbage", "token", "empty"])
def test_damaged_files_are_one_line(arpa, tmp_path, cut):
    whole = arpa(lm_lines(), order=3).read_bytes()
    damaged = {
        "head": whole[:20],
        "unigrams": whole[:400],
        "middle": whole[: whole.index(b"\\3-grams:")],
        "garbage": whole.replace(b"\\2-grams:", b"\\5-grams:"),
        "token": whole.replace(b"\n\\2-grams:\n-", b"\n\\2-grams:\nx"),
        "empty": b"",
    }
    (tmp_path / "damaged.arpa").write_bytes(damaged[cut])
    with pytest.raises(ValueError, match=r"damaged\.arpa: found an incomplete ARPA language model") as error:
        read_arpa(tmp_path / "damaged.arpa", WORDS, is_closed=True)
    assert "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"absent\.arpa"):
        read_arpa(tmp_path / "absent.arpa", WORDS, is_closed=True)


def test_the_end_is_a_word_of_its_own():
    assert (UNKNOWN, END, START) == (0, 1, 2)
