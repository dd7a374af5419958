"""Error rates against counts made by hand and against an edit distance written here."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.text.normalizer import normalize_text
from nemo_models.evaluation.scoring import score_texts


def _edit_distance(reference, hypothesis):
    row = list(range(len(hypothesis) + 1))
    for i, expected in enumerate(reference, 1):
        previous, row[0] = row[0], i
        for j, found in enumerate(hypothesis, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (expected != found))
    return row[-1]


def test_counts_by_hand():
    scores = score_texts(["मैं घर जाता हूँ", "यह किताब है"], ["मैं घर जाता हूं अब", "यह है"])
    assert (scores.words, scores.utterances) == (7, 2)
    assert (scores.substitutions, scores.deletions, scores.insertions) == (1, 1, 1)
    assert scores.wer == pytest.approx(3 / 7)


def test_vowel_signs_and_spaces_are_characters():
    scores = score_texts(["की का"], ["का का"])
    assert scores.characters == 5
    assert scores.cer == pytest.approx(1 / 5)
    assert score_texts(["जल पान"], ["जलपान"]).cer == pytest.approx(1 / 6)


def test_both_sides_are_normalised():
    assert score_texts(["फ़ायदा है।"], ["फ़ायदा है"]).wer == 0.0
    assert score_texts(["समय, अच्छा!"], ["समय अच्छा"]).cer == 0.0
    assert score_texts(["कि"], ["क"]).wer == 1.0, "a vowel sign is part of a word"


def test_empty_reference_counts_as_insertions():
    scores = score_texts(["", "यह है"], ["कुछ और", "यह है"])
    assert (scores.insertions, scores.words, scores.wer) == (2, 2, 1.0)
    assert score_texts(["", "यह है"], ["", "यह है"]).wer == 0.0


@pytest.mark.parametrize(("references", "hypotheses"), [(["क"], []), ([], []), (["", "।"], ["क", "ख"])])
def test_no_rate_is_an_error(references, hypotheses):
    with pytest.raises(ValueError, match="references"):
        score_texts(references, hypotheses)


TEXT = st.lists(st.text(alphabet="कगमािी", min_size=1, max_size=4), max_size=6).map(" ".join).map(normalize_text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_rates_equal_the_edit_distance(pairs):
    references, hypotheses = zip(*pairs, strict=True)
    if not any(references):
        return
    scores = score_texts(references, hypotheses)
    words = sum(_edit_distance(r.split(), h.split()) for r, h in pairs)
    characters = sum(_edit_distance(r, h) for r, h in pairs)
    assert scores.wer == pytest.approx(words / sum(len(r.split()) for r in references))
    assert scores.cer == pytest.approx(characters / sum(len(r) for r in references))


def test_nemos_error_rate_during_training_is_the_same():
    """`val_wer` is NeMo's metric: on texts that are normalised, as training data is, it is this scorer's rate."""
    from nemo.collections.asr.metrics.wer import word_error_rate

    references = ["मैं घर जाता हूँ", "यह किताब है", "कल हम गाँव जाएँगे"]
    hypotheses = ["मैं घर जाता हूं अब", "यह है", "कल हम गाँव"]
    assert word_error_rate(hypotheses, references) == pytest.approx(score_texts(references, hypotheses).wer)
