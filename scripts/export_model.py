"""Export a .nemo file to another runtime: ONNX (ONNX Runtime, sherpa-onnx) or Hugging Face's transformers.

python scripts/export_model.py model_path=model.nemo format=onnx output_dir=exported
"""

from dataclasses import dataclass
from pathlib import Path

from data_prep.manifest import write_text
from hydra_job import hydra_job


@dataclass(frozen=True)
class ExportSettings:
    """The arguments; the comments in `conf/export_model.yaml` explain them."""

    model_path: Path
    format: str
    output_dir: Path
    quantization: str | None
    lm: Path | None
    lm_alpha: float
    lm_beta: float
    verify: bool
    report: Path | None


@hydra_job("export_model", ExportSettings)
def main(settings: ExportSettings) -> None:
    from nemo.utils import logging

    import nemo_models  # noqa: F401  lets NeMo restore this project's models
    from nemo_models.export.exporting import export_model
    from nemo_models.export.model_card import make_model_card, read_report
    from nemo_models.files.nemo_file import read_nemo_config

    logging.setLevel(logging.ERROR)
    card = None
    if settings.report:  # a report that cannot be used is refused before the export
        model_path = settings.model_path
        card = make_model_card(read_nemo_config(model_path), model_path.stem, read_report(settings.report))
    report = export_model(
        settings.model_path,
        settings.format,
        settings.output_dir,
        quantization=settings.quantization,
        lm=settings.lm,
        lm_alpha=settings.lm_alpha,
        lm_beta=settings.lm_beta,
        verify=settings.verify,
    )
    if card is not None:
        write_text(report.folder / "README.md", str(card))
        print(f"{report.folder / 'README.md'}: model card")
    for name, size in report.files.items():
        print(f"{report.folder / name}: {size:,} bytes")
    if report.difference is not None:
        print(f"outputs differ from the model's by at most {report.difference:.2g}")
    for note in report.notes:
        print(f"note: {note}")
    print(f"done in {report.seconds:.1f} s")


if __name__ == "__main__":
    main()
