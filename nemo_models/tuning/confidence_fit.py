"""A map for word confidences, fitted on dev data with the settings that a bundle decodes with."""

from typing import Any

from omegaconf import OmegaConf, open_dict

from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.decoding.strategy import decode_log_probs
from nemo_models.evaluation.calibration import CALIBRATION_KEY, fit_calibration, measure_calibration
from nemo_models.evaluation.layers import LayeredScore
from nemo_models.evaluation.options import LayerOptions
from nemo_models.evaluation.references import Reference
from nemo_models.evaluation.word_errors import mark_right_raw_words
from nemo_models.tuning.lm_sweep import DevData


def keep_calibration(model: XLSRCTCModel, data: DevData, kind: str) -> dict[str, Any]:
    """Fit a map with the model's current decoding, and put it into the model's configuration.

    A word counts as right if it is, spelling variants forgiven (all layers of the score).

    Args:
        model: The model, with the settings that it will decode with.
        data: Dev data.
        kind: `temperature` or `isotonic`.

    Returns:
        The map's kind, the words it was fitted on, and the expected calibration error before and after.

    Raises:
        ValueError: The kind is not known, or the dev data does not hold both right and wrong words.
    """
    with open_dict(model.cfg):
        model.cfg.pop(CALIBRATION_KEY, None)
    confidences, hypotheses = [], []
    for log_probs, lengths in data.batches:
        for hypothesis in decode_log_probs(model, log_probs, lengths, confidence=True):
            confidences += [float(value) for value in hypothesis.word_confidence]
            hypotheses.append(data.write(hypothesis.text))
    options = LayerOptions(language=data.language)
    score = LayeredScore([Reference(text) for text in data.references], hypotheses, options)
    right = mark_right_raw_words(score)[0].tolist()
    calibration = fit_calibration(confidences, right, kind)
    with open_dict(model.cfg):
        model.cfg[CALIBRATION_KEY] = OmegaConf.create(calibration.to_dict())
    return {
        "kind": kind,
        "words": len(right),
        "ece_before": round(measure_calibration(confidences, right)["ece"], 6),
        "ece_after": round(measure_calibration(calibration.apply(confidences).tolist(), right)["ece"], 6),
    }
