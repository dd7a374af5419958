"""Export a .nemo file to another runtime: ONNX (ONNX Runtime, sherpa-onnx) or Hugging Face's transformers.

python scripts/export_model.py model_path=model.nemo format=onnx output_dir=exported
"""

from pathlib import Path

from omegaconf import DictConfig

from data_prep.manifest import write_text
from hydra_job import hydra_job


@hydra_job("export_model")
def main(cfg: DictConfig) -> None:
    from nemo.utils import logging

    import nemo_models  # noqa: F401  lets NeMo restore this project's models
    from nemo_models.export.exporting import export_model
    from nemo_models.export.model_card import make_model_card, read_report
    from nemo_models.files.nemo_file import read_nemo_config

    logging.setLevel(logging.ERROR)
    card = None
    if cfg.report:  # a report that cannot be used is refused before the export
        model_path = Path(cfg.model_path)
        card = make_model_card(read_nemo_config(model_path), model_path.stem, read_report(Path(cfg.report)))
    report = export_model(
        Path(cfg.model_path),
        cfg.format,
        Path(cfg.output_dir),
        quantization=cfg.quantization,
        lm=Path(cfg.lm) if cfg.lm else None,
        lm_alpha=cfg.lm_alpha,
        lm_beta=cfg.lm_beta,
        verify=cfg.verify,
    )
    if card is not None:
        write_text(report.folder / "README.md", str(card))
        print(f"{report.folder / 'README.md'}: model card")
    for name, size in report.files.items():
        print(f"{report.folder / name}: {size:,} bytes")
    if report.difference is not None:
        print(f"log-probabilities differ from the model's by at most {report.difference:.2g}")
    for note in report.notes:
        print(f"note: {note}")
    print(f"done in {report.seconds:.1f} s")


if __name__ == "__main__":
    main()
