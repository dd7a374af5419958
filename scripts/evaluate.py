"""Score transcripts in layers, with intervals and significance, and write report.json and report.html.

    python scripts/evaluate.py predictions=[a.jsonl,b.jsonl] output_dir=report

Exit status: 0; 1 if nothing could be scored, or if gate or tolerance is broken."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from data_prep.arguments import list_values, require_int, require_number
from data_prep.manifest import write_json
from hydra_job import hydra_job
from nemo_models.evaluation.evaluation import check_gate, evaluate
from nemo_models.evaluation.html_report import write_html_report
from nemo_models.evaluation.layers import LayerOptions
from nemo_models.evaluation.matching import load_test_set
from nemo_models.evaluation.options import EvaluationOptions
from nemo_models.evaluation.report import format_summary
from nemo_models.evaluation.rows import Keys

TRANSCRIBE = Path(__file__).with_name("transcribe_speech.py")
TRANSCRIBED = (0, 3)  # its exit statuses; 3: some files failed, which their rows say


def rewrite_argument(argument: str) -> str:
    """Let Hydra add arguments of transcription, which the YAML does not list; transcribe_speech.py checks them."""
    return f"++{argument}" if argument.startswith("transcription.") else argument


@hydra_job("evaluate", rewrite=rewrite_argument)
def main(cfg: DictConfig) -> int:
    """Run the job, print what it found, and return the exit status."""
    require_number("gate", cfg.gate, least=0, optional=True)
    require_number("tolerance", cfg.tolerance, least=0, optional=True)
    for key in ("html_utterances", "html_embedded_audio"):
        require_int(key, cfg[key])
    output_dir = Path(cfg.output_dir)
    options = EvaluationOptions(
        LayerOptions(
            tuple(list_values(cfg.layers)),
            tuple(list_values(cfg.spelling_rules)),
            tuple(map(Path, list_values(cfg.variant_lists))),
        ),
        cfg.replicates,
        cfg.seed,
        cfg.compare_layer,
        Path(cfg.lm_words) if cfg.lm_words else None,
        cfg.read_audio,
    )
    predictions = [Path(path) for path in list_values(cfg.predictions)]
    models = [Path(path) for path in list_values(cfg.model_path)]
    manifest = Path(cfg.dataset_manifest) if cfg.dataset_manifest else None
    if models:
        predictions += transcribe_models(models, manifest, output_dir, cfg.transcription)
    keys = Keys(cfg.gt_text_attr_name, cfg.pred_text_attr_name)
    test_set = load_test_set(predictions, manifest, list_values(cfg.names) or None, keys, cfg.annotations)
    evaluation = evaluate(test_set, options)
    write_json(output_dir / "report.json", evaluation.report)
    if cfg.html:
        write_html_report(
            evaluation, output_dir / "report.html", cfg.title, cfg.html_utterances, cfg.html_embedded_audio
        )
    print(format_summary(evaluation.report))
    print(f"\n{output_dir / 'report.json'}" + (f", {output_dir / 'report.html'}" if cfg.html else ""))
    return report_limits(cfg, evaluation.report["systems"], evaluation.comparisons)


def transcribe_models(models: Sequence[Path], manifest: Path | None, folder: Path, settings: DictConfig) -> list[Path]:
    """Transcribe a manifest with each model in a separate process: scoring itself loads neither torch nor NeMo.

    Args:
        models: `.nemo` files.
        manifest: What to transcribe.
        folder: Where the transcripts go, as `<model>.jsonl`.
        settings: Further arguments of `transcribe_speech.py`.

    Returns:
        The transcripts.

    Raises:
        ValueError: There is no manifest, two models share a name, or a model could not transcribe.
    """
    if manifest is None:
        raise ValueError("dataset_manifest=null: expected a manifest for model_path; name what to transcribe")
    outputs = [folder / f"{model.stem}.jsonl" for model in models]
    if len(set(outputs)) < len(outputs):
        raise ValueError(f"model_path={[str(model) for model in models]}: expected file names that differ; rename one")
    for model, output in zip(models, outputs, strict=True):
        arguments = {"model_path": model, "dataset_manifest": manifest, "output_filename": output}
        command = [
            sys.executable,
            str(TRANSCRIBE),
            *(f"{key}={_quote(str(value))}" for key, value in arguments.items()),
        ]
        done = subprocess.run([*command, "calculate_wer=false"], stdout=subprocess.DEVNULL, check=False)
        if done.returncode not in TRANSCRIBED:
            raise ValueError(f"model_path={model}: could not transcribe {manifest}; see the message above")
    return outputs


def _quote(value: str) -> str:
    """Quote a value for Hydra."""
    return '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))


def list_settings(settings: DictConfig, prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as dotted keys with values that Hydra reads back."""
    found = []
    for name, value in settings.items():
        key = str(name)
        if isinstance(value, DictConfig):
            found += list_settings(value, f"{prefix}{key}.")
        else:
            plain = list(value) if isinstance(value, ListConfig) else value
            found.append((f"{prefix}{key}", _quote(plain) if isinstance(plain, str) else json.dumps(plain)))
    return found


def report_limits(cfg: DictConfig, systems: Sequence[dict], comparisons: Sequence) -> int:
    """Print which limits are broken, and return the exit status."""
    broken = []
    if cfg.gate is not None:
        broken += [f"gate={cfg.gate}: {one.sentence}" for one in check_gate(comparisons, cfg.gate)]
    if cfg.tolerance is not None:
        rates = [(system["name"], system["layers"][-1]["wer"]) for system in systems]
        broken += [
            f"tolerance={cfg.tolerance}: {name} has a WER of {wer:.4f}" for name, wer in rates if wer > cfg.tolerance
        ]
    for line in broken:
        print(f"error: {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    main()
