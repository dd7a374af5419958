"""Beam search with a language model, tuned on dev data and bundled in the model's `.nemo` file.

The weight of the language model (α), the bonus for each character or word (β) and the width of the beam depend on each
other, on the model and on its language model. The model runs once; every setting is tried on its log-probabilities.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from omegaconf import open_dict

from data_prep.arguments import is_int, is_number, require_choice
from data_prep.job_keys import hash_file
from data_prep.languages.language import load_language
from data_prep.manifest import write_json
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.decoding.lm_bundle import keep_language_model
from nemo_models.decoding.strategy import configure_decoding
from nemo_models.evaluation.calibration import KINDS
from nemo_models.evaluation.scoring import Scores
from nemo_models.tuning.confidence_fit import keep_calibration
from nemo_models.tuning.lm_sweep import COARSE_BEAM_SIZE, Sweep, Tried, compute_dev_data, read_dev_rows, score_dev_data

ALPHAS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
BETAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
BEAM_SIZES = (4, 8, 16, 32)
TUNING_KEY = "decoding_tuning"  # in a bundle's configuration: the origin of its settings


@dataclass(frozen=True)
class TuningReport:
    """The result of tuning.

    Attributes:
        best: The settings that went into the bundle.
        greedy: Scores of greedy decoding, without a language model.
        greedy_of: Code -> the same, for each language in the rows of a model that has several.
        tried: All settings that were tried, in order.
        failed: Rows that could not be used, each with the reason.
        origin: The bundle's record of where its settings come from.
        seconds: Duration of the tuning.
    """

    best: Tried
    greedy: Scores
    greedy_of: dict[str, Scores]
    tried: list[Tried]
    failed: list[str]
    origin: dict[str, Any]
    seconds: float


def tune_decoding(
    model: XLSRCTCModel,
    dataset_manifest: Path,
    lm: Path,
    output: Path,
    alphas: Sequence[float] = ALPHAS,
    betas: Sequence[float] = BETAS,
    beam_sizes: Sequence[int] = BEAM_SIZES,
    batch_size: int = 16,
    calibrate_confidence: str | None = None,
    language: str | None = None,
) -> TuningReport:
    """Find the best settings for a language model on dev data, and bundle model, language model and settings.

    Beside the bundle, `<output>.tuning.json` holds everything that was tried, and `<output>.tuning.png` a picture.

    Args:
        model: The model, on the device that computes; its decoding is changed.
        dataset_manifest: Dev data with texts, never the test data.
        lm: Language model from `train_ngram_lm`: of characters (`.nemo`), for `beam_batch`, or of words (ARPA), for
            `pyctcdecode`.
        output: The `.nemo` file to write.
        alphas: Coarse grid of α, from 0; the search continues between and beyond these values.
        betas: Coarse grid of β.
        beam_sizes: Beams to try with the best α and β.
        batch_size: Utterances that go through the model together.
        calibrate_confidence: `temperature` or `isotonic`: a map for word confidences is fitted on the dev data and kept
            in the bundle; `None`: no map.
        language: Language of the language model, for a model of several: rows of that language choose the settings,
            those of the others only get a score of greedy decoding. `None`: the model's.

    Returns:
        The report.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A setting is out of range, the language model does not fit, a row is in a language that the model
            lacks, or no row of the manifest can be used.
    """
    started = time.monotonic()
    _check_grid(alphas, betas, beam_sizes, output)
    require_choice("calibrate_confidence", calibrate_confidence, KINDS, optional=True)
    alphas, betas = sorted(alphas), sorted(betas)
    # an error names the user's file, and comes before the model runs for minutes
    use_language_model(model, lm, language)
    kept = keep_language_model(lm)
    rows_of = read_dev_rows(model, dataset_manifest)
    chosen = None if None in rows_of else load_language(str(language)).code
    data = compute_dev_data(model, dataset_manifest, batch_size, rows_of[chosen], language)
    configure_decoding(model, {"strategy": "greedy_batch"})
    greedy = score_dev_data(model, data)
    greedy_of = {chosen: greedy} if chosen else {}
    for code, rows in rows_of.items():
        if code is not None and code != chosen and rows:
            other = compute_dev_data(model, dataset_manifest, batch_size, rows, code)
            greedy_of[code] = score_dev_data(model, other)
            data.failed.extend(other.failed)
    use_language_model(model, kept, language)
    sweep = Sweep(model, data)
    best = sweep.search(alphas, betas, beam_sizes)
    best_settings = {"ngram_lm_alpha": best.setting.alpha, "beam_beta": best.setting.beta}
    use_language_model(model, kept, language, beam_size=best.setting.beam_size, **best_settings)
    origin: dict[str, Any] = {
        "manifest": dataset_manifest.name,
        "manifest_sha256": hash_file(dataset_manifest),
        "lm_sha256": hash_file(lm),
        "utterances": len(data.references),
        **asdict(best.setting),
        "wer": round(best.wer, 6),
        "cer": round(best.cer, 6),
        "greedy_wer": round(greedy.wer, 6),
    }
    if chosen:
        origin["language"] = chosen
    if calibrate_confidence is not None:
        origin["confidence"] = keep_calibration(model, data, calibrate_confidence)
    with open_dict(model.cfg):
        model.cfg[TUNING_KEY] = origin
    model.save_to(str(output))
    tried = list(sweep.tried.values())
    report = TuningReport(best, greedy, greedy_of, tried, data.failed, origin, time.monotonic() - started)
    rows = [{**asdict(one.setting), "wer": one.wer, "cer": one.cer} for one in tried]
    by_language = {"greedy_by_language": {code: asdict(one) for code, one in greedy_of.items()}} if greedy_of else {}
    table = {**origin, "greedy": asdict(greedy), **by_language, "failed": data.failed, "tried": rows}
    write_json(output.with_suffix(".tuning.json"), table)
    draw_sweep(tried, best, alphas, betas, output.with_suffix(".tuning.png"))
    return report


def use_language_model(model: XLSRCTCModel, lm: Path, language: str | None = None, **beam: Any) -> None:
    """Decode with a language model, by the beam search for its kind."""
    strategy = "beam_batch" if lm.suffix == ".nemo" else "pyctcdecode"
    configure_decoding(model, {"strategy": strategy, "beam": {"ngram_lm_model": str(lm), **beam}}, language=language)


def draw_sweep(
    tried: Sequence[Tried], best: Tried, alphas: Sequence[float], betas: Sequence[float], path: Path
) -> None:
    """Draw WER over the coarse grid, with the settings that were tried beyond it, and the best."""
    from matplotlib.figure import Figure  # half a second, for the last step

    coarse = set(product(alphas, betas))
    places = {one: (one.setting.alpha, one.setting.beta) for one in tried if one.setting.beam_size == COARSE_BEAM_SIZE}
    wers = {place: 100 * one.wer for one, place in places.items()}
    grid = [[wers[alpha, beta] for beta in betas] for alpha in alphas]
    figure = Figure(figsize=(7, 5.5), layout="constrained")
    axes = figure.subplots()
    picture = axes.pcolormesh(betas, alphas, grid, shading="nearest", cmap="viridis_r")
    for alpha in alphas:
        for beta in betas:
            is_dark = wers[alpha, beta] > (min(wers.values()) + max(wers.values())) / 2
            color = "white" if is_dark else "black"
            axes.text(beta, alpha, f"{wers[alpha, beta]:.1f}", ha="center", va="center", size=8, color=color)
    finer = sorted(set(wers) - coarse)
    axes.scatter([beta for _, beta in finer], [alpha for alpha, _ in finer], s=6, color="gray", label="tried as well")
    place = best.setting
    label = f"best: α {place.alpha:g}, β {place.beta:g}, beam {place.beam_size}: {100 * best.wer:.2f} %"
    axes.plot(place.beta, place.alpha, "*", color="red", markersize=14, label=label)
    axes.set(xlabel="β, added for each character or word", ylabel="α, weight of the language model")
    axes.set_title(f"WER (%) on dev data, beam {COARSE_BEAM_SIZE}")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)
    figure.colorbar(picture, label="WER (%)")
    figure.savefig(path, dpi=120)


def _check_grid(alphas: Sequence[float], betas: Sequence[float], beam_sizes: Sequence[int], output: Path) -> None:
    for name, values, least in (("alphas", alphas, 0.0), ("betas", betas, None), ("beam_sizes", beam_sizes, 1)):
        is_wrong = [value for value in values if not is_number(value) or (least is not None and value < least)]
        if is_wrong or not values or len(set(values)) != len(values):
            kind = f"different numbers{'' if least is None else f' from {least:g}'}"
            raise ValueError(f"{name}={list(values)}: expected {kind}, at least one")
    if not all(map(is_int, beam_sizes)):
        raise ValueError(f"beam_sizes={list(beam_sizes)}: expected whole numbers")
    if output.suffix != ".nemo":
        raise ValueError(f"output={output}: expected a name that ends in .nemo")
