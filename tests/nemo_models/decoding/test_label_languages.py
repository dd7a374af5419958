"""The head of a model of several languages, masked to one of them, and the language that its output is in."""

import pytest
import torch

from data_prep.languages.union import join_labels, list_labels
from nemo_models.decoding.ctc_decoding import PADDED_LOG_PROB
from nemo_models.decoding.label_languages import LabelLanguages, read_label_languages

OWN = list_labels("hi,mr,ta")
LABELS = join_labels(OWN)
BLANK = len(LABELS)


@pytest.fixture
def languages() -> LabelLanguages:
    return LabelLanguages(LABELS, OWN)


def frames_of(text: str, share: float = 0.9) -> torch.Tensor:
    """Log-probabilities of a text, a blank behind each letter; the rest is spread over all labels."""
    probabilities = torch.full((2 * len(text), BLANK + 1), (1 - share) / BLANK)
    for at, letter in enumerate(text):
        probabilities[2 * at, LABELS.index(letter)] = share
        probabilities[2 * at + 1, BLANK] = share
    return (probabilities / probabilities.sum(-1, keepdim=True)).log()


def test_a_masked_head_is_a_head_without_the_other_labels(languages: LabelLanguages):
    logits = torch.randn(7, BLANK + 1, generator=torch.Generator().manual_seed(0))
    own = [*(at for at, label in enumerate(LABELS) if label in OWN["ta"]), BLANK]
    masked = languages.mask(logits.log_softmax(-1), "ta")
    torch.testing.assert_close(masked[:, own], logits[:, own].log_softmax(-1), rtol=0, atol=1e-5)
    others = [at for at in range(BLANK) if at not in own]
    assert len(others) == len(set(LABELS) - set(OWN["ta"])) and (masked[:, others] == PADDED_LOG_PROB).all()
    assert masked.dtype == torch.float32


def test_a_frame_that_is_certain_to_be_blank_stays_so(languages: LabelLanguages):
    silent = torch.full((1, BLANK + 1), PADDED_LOG_PROB)
    silent[0, BLANK] = 0.0
    assert torch.equal(languages.mask(silent, "ta"), silent)


@pytest.mark.parametrize(
    ("text", "language"),
    [("நல்ல காலை", "ta"), ("सुबह अच्छी है", "hi"), ("ॲप ॲसिड", "mr"), ("सुबह மாலை காலை", "ta")],
)
def test_the_language_is_that_of_most_letters(languages: LabelLanguages, text: str, language: str):
    """Marathi has Hindi's letters and more: only its own letters tell the two apart."""
    assert languages.identify(frames_of(text)) == language


def test_languages_with_the_same_letters_are_equal_and_the_first_is_taken():
    frames = frames_of("सुबह अच्छी")
    assert set("सुबह अच्छी") <= set(OWN["hi"]) & set(OWN["mr"])  # or the next line would show nothing
    assert LabelLanguages(LABELS, {"mr": OWN["mr"], "hi": OWN["hi"]}).identify(frames) == "mr"
    assert LabelLanguages(LABELS, {"hi": OWN["hi"], "mr": OWN["mr"]}).identify(frames) == "hi"


def test_shares_are_of_the_letters_and_not_of_blanks_and_spaces(languages: LabelLanguages):
    few, many = (frames_of("நல்ல" + gap) for gap in ("", " " * 20))
    for frames in (few, many):
        shares = languages.measure(frames)
        assert shares["ta"] > 0.9 and shares["ta"] + shares["mr"] == pytest.approx(1.0, abs=1e-2)
    silent = torch.full((5, BLANK + 1), float("-inf"))
    silent[:, BLANK] = 0.0
    assert languages.measure(silent) == {} and languages.identify(silent) is None


def test_only_a_model_of_several_languages_has_them():
    assert read_label_languages({}, LABELS) is None
    found = read_label_languages({"languages": OWN}, LABELS)
    assert found is not None and found.codes == ("hi", "mr", "ta")
