"""A map for word confidences: fitted on dev data, kept in the model, applied when it decodes."""

import numpy as np
import pytest
import torch
from nemo.collections.asr.models import ASRModel

from data_prep.text.alphabet import load_alphabet
from nemo_models.decoding.strategy import configure_decoding, decode_log_probs
from nemo_models.evaluation.calibration import CALIBRATION_KEY, Calibration
from nemo_models.tuning.confidence_fit import keep_calibration
from nemo_models.tuning.lm_sweep import DevData

LABELS = load_alphabet()
BLANK = len(LABELS)
TEXT = "यह बात है"


@pytest.fixture
def model(tiny_model, tmp_path):
    """A copy that a test may change, with a beam search: the beam is what its confidences come from."""
    tiny_model.save_to(str(tmp_path / "acoustic.nemo"))
    model = ASRModel.restore_from(str(tmp_path / "acoustic.nemo"), map_location="cpu").eval()
    configure_decoding(model, {"strategy": "beam_batch", "beam": {"beam_size": 4, "beam_beta": 0.0}})
    return model


def make_dev_data(count=40):
    """A recogniser that says of its last letter 0.7 and is right about it half the time."""
    generator = np.random.default_rng(0)
    frames = torch.full((count, 2 * len(TEXT), BLANK + 1), -1e4)
    references = []
    for utterance in range(count):
        for index, character in enumerate(TEXT):
            frames[utterance, 2 * index, LABELS.index(character)] = 0.0
            frames[utterance, 2 * index + 1, BLANK] = 0.0
        last = 2 * (len(TEXT) - 1)
        frames[utterance, last, LABELS.index(TEXT[-1])] = float(np.log(0.7))
        frames[utterance, last, LABELS.index("ी")] = float(np.log(0.3))
        references.append(TEXT if generator.random() < 0.5 else "यह बात ही")
    return DevData([(frames, torch.full((count,), 2 * len(TEXT)))], references, [])


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
def test_confidences_are_mapped_after_saving_and_restoring(model, tmp_path, kind):
    data = make_dev_data()
    log_probs, lengths = data.batches[0]
    before = decode_log_probs(model, log_probs, lengths, confidence=True)[0].word_confidence
    assert before == pytest.approx([1.0, 1.0, 0.7], abs=1e-3)
    fitted = keep_calibration(model, data, kind)
    assert fitted["words"] == 3 * len(data.references)
    assert fitted["ece_after"] < fitted["ece_before"]
    model.save_to(str(tmp_path / "kept.nemo"))
    restored = ASRModel.restore_from(str(tmp_path / "kept.nemo"), map_location="cpu").eval()
    after = decode_log_probs(restored, log_probs, lengths, confidence=True)[0].word_confidence
    assert after == pytest.approx(Calibration.from_dict(restored.cfg[CALIBRATION_KEY]).apply(before).tolist())
    assert after[2] == pytest.approx(0.5, abs=0.15)


def test_fitting_again_starts_from_the_models_own_confidences(model):
    data = make_dev_data()
    assert keep_calibration(model, data, "isotonic") == keep_calibration(model, data, "isotonic")


def test_dev_data_without_a_wrong_word_is_refused(model):
    data = make_dev_data()
    data.references[:] = [TEXT] * len(data.references)
    with pytest.raises(
        ValueError, match=r"calibration=temperature: found 120 right words of 120, expected right and wrong"
    ):
        keep_calibration(model, data, "temperature")
