"""Tune the beam search with a language model on dev data, and put language model and settings into the .nemo file.

The model runs once. Then α (weight of the language model), β (bonus for each character, or each word) and the beam's
width are chosen on its log-probabilities, by word error rate. The folder of the bundle also gets <output>.tuning.json,
with all settings that were tried, and <output>.tuning.png. A bundle decodes with its language model without any further
argument.

    python scripts/tune_decoding.py model_path=model.nemo dataset_manifest=dev.json lm=lm.nemo output=bundle.nemo
"""

from dataclasses import dataclass
from pathlib import Path

from hydra_job import hydra_job


@dataclass(frozen=True)
class TuneSettings:
    """The arguments; the comments in `conf/tune_decoding.yaml` explain them."""

    model_path: Path
    dataset_manifest: Path
    lm: Path
    output: Path
    alphas: list[float]
    betas: list[float]
    beam_sizes: list[int]
    calibrate_confidence: str | None
    batch_size: int
    language: str | None
    cuda: int | None


@hydra_job("tune_decoding", TuneSettings)
def main(settings: TuneSettings) -> int:
    from nemo.utils import logging

    from nemo_models.ctc_model import XLSRCTCModel
    from nemo_models.inference.model_loading import choose_device, load_ctc_model
    from nemo_models.tuning.decoding_tuning import tune_decoding

    logging.setLevel(logging.ERROR)
    model = load_ctc_model(settings.model_path, None, choose_device(settings.cuda))
    if not isinstance(model, XLSRCTCModel):
        raise ValueError(
            f"{settings.model_path}: found a {type(model).__name__}, expected a model of this project; import it"
        )
    report = tune_decoding(
        model,
        settings.dataset_manifest,
        settings.lm,
        settings.output,
        settings.alphas,
        settings.betas,
        settings.beam_sizes,
        settings.batch_size,
        settings.calibrate_confidence,
        settings.language,
    )
    best = report.best
    print(f"greedy: {report.greedy}")
    for code, scores in report.greedy_of.items():
        print(f"greedy, {code}: {scores}")
    print(
        f"best of {len(report.tried)} settings: {best.setting}, WER {100 * best.wer:.2f} %, CER {100 * best.cer:.2f} %"
    )
    print("(rates on the data that the settings were chosen with; report those of test data)")
    print(f"{settings.output}: {report.seconds:.0f} s; table and picture are beside it")
    if fitted := report.origin.get("confidence"):
        print(
            f"confidence of {fitted['words']} words: calibration error {fitted['ece_before']:.3f}, "
            f"{fitted['ece_after']:.3f} with the {fitted['kind']} map in the bundle (on the data that it was fitted on)"
        )
    if report.failed:
        print(f"{len(report.failed)} rows were left out, the first: {report.failed[0]}")
    return 3 if report.failed else 0


if __name__ == "__main__":
    main()
