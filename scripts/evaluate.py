"""Score transcripts in layers, with intervals and significance, and write report.json and report.html.

    python scripts/evaluate.py predictions=[a.jsonl,b.jsonl] output_dir=report

Exit status: 0 success; 1 nothing could be scored, or the limit of gate or tolerance is exceeded."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.arguments import require_int, require_number
from data_prep.languages.language import load_language
from data_prep.manifest import write_json
from hydra_job import hydra_job
from nemo_models.evaluation.evaluation import check_gate, evaluate
from nemo_models.evaluation.html_report import write_html_report
from nemo_models.evaluation.languages import choose_part, divide_test_set, find_languages
from nemo_models.evaluation.matching import TestSet, load_test_set
from nemo_models.evaluation.options import EvaluationOptions, LayerOptions
from nemo_models.evaluation.report import format_summary
from nemo_models.evaluation.rows import Keys, read_rows
from nemo_models.files.model_language import choose_language
from nemo_models.files.nemo_file import read_nemo_config

TRANSCRIBE = Path(__file__).with_name("transcribe_speech.py")
TRANSCRIBED = (0, 3)  # its exit statuses; 3: some files failed, which their rows say


def open_transcription_keys(argument: str) -> str:
    """Let Hydra add arguments of transcription, which the YAML does not list; transcribe_speech.py checks them."""
    return f"++{argument}" if argument.startswith("transcription.") else argument


@dataclass(frozen=True)
class EvaluateSettings:
    """The arguments; the comments in `conf/evaluate.yaml` explain them.

    Raises:
        ValueError: An argument is out of range.
    """

    predictions: list[Path]
    model_path: list[Path]
    dataset_manifest: Path | None
    transcription: dict[str, Any]
    names: list[str]
    gt_text_attr_name: str | None
    language: str | None
    annotations: str
    pred_text_attr_name: str | None
    layers: list[str]
    spelling_rules: list[str]
    variant_lists: list[Path]
    english_words: list[Path]
    replicates: int
    seed: int
    compare_layer: str | None
    lm_words: Path | None
    read_audio: bool
    output_dir: Path
    title: str
    html: bool
    html_utterances: int
    html_embedded_audio: int
    gate: float | None
    tolerance: float | None

    def __post_init__(self) -> None:
        require_number("gate", self.gate, least=0, optional=True)
        require_number("tolerance", self.tolerance, least=0, optional=True)
        for key in ("html_utterances", "html_embedded_audio"):
            require_int(key, getattr(self, key))


@hydra_job("evaluate", EvaluateSettings, rewrite=open_transcription_keys)
def main(settings: EvaluateSettings) -> int:
    """Run the job, print what it found, and return the exit status."""
    models = settings.model_path
    languages = [choose_model_language(settings.language, model) for model in models]
    predictions, manifest, keys = settings.predictions, settings.dataset_manifest, list_keys(settings)
    if models:
        for row in read_rows(manifest, keys) if manifest else ():  # before the models run
            choose_part(row, settings.language or languages[0])
        asked = {} if settings.language is None else {"language": settings.language}
        predictions += transcribe_models(models, manifest, settings.output_dir, {**asked, **settings.transcription})
    language = settings.language or (languages[0] if models else None)
    if language is None:
        language = find_languages(read_rows(manifest or predictions[0], keys) if manifest or predictions else [])
    test_set = load_test_set(predictions, manifest, settings.names or None, keys, settings.annotations, language)
    parts = divide_test_set(test_set, language)
    statuses = [score(part, own, settings, len(parts) > 1) for part, own in parts.items()]
    return max(statuses)


def list_keys(settings: EvaluateSettings) -> Keys:
    """Return the names of the fields that hold the texts."""
    return Keys(settings.gt_text_attr_name, settings.pred_text_attr_name)


def score(language: str, test_set: TestSet, settings: EvaluateSettings, is_part: bool) -> int:
    """Score a test set of one language, write and print its report, and return the exit status.

    Args:
        language: The language.
        test_set: Utterances and predictions.
        settings: All arguments.
        is_part: Whether it is one of several languages; each then has a folder.
    """
    layers = LayerOptions(
        tuple(settings.layers),
        tuple(settings.spelling_rules),
        tuple(settings.variant_lists),
        tuple(settings.english_words),
        language,
    )
    options = EvaluationOptions(
        layers,
        settings.replicates,
        settings.seed,
        settings.compare_layer,
        settings.lm_words,
        settings.read_audio,
    )
    output_dir = settings.output_dir / load_language(language).code if is_part else settings.output_dir
    evaluation = evaluate(test_set, options)
    write_json(output_dir / "report.json", evaluation.report)
    files = [output_dir / "report.json"]
    if settings.html:
        files.append(output_dir / "report.html")
        examples = (settings.html_utterances, settings.html_embedded_audio)
        title = f"{settings.title}: {load_language(language).name}" if is_part else settings.title
        write_html_report(evaluation, files[-1], title, *examples)
    if is_part:
        print(f"\nlanguage {language}: {len(test_set.utterances)} utterances\n")
    print(format_summary(evaluation.report))
    print("\n" + ", ".join(map(str, files)))
    return report_limits(settings, evaluation.report["systems"], evaluation.comparisons)


def choose_model_language(asked: str | None, model_path: Path) -> str:
    """Choose the language of a `.nemo` file; one that is asked for has to be it."""
    return choose_language(asked, read_nemo_config(model_path).get("normalizer_fingerprint"), str(model_path))


def transcribe_models(
    models: Sequence[Path], manifest: Path | None, folder: Path, settings: Mapping[str, Any]
) -> list[Path]:
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
        raise ValueError(f"model_path={[str(model) for model in models]}: expected different file names; rename one")
    for model, output in zip(models, outputs, strict=True):
        arguments = {
            **dict(list_settings(settings)),
            "model_path": quote(str(model)),
            "dataset_manifest": quote(str(manifest)),
            "output_filename": quote(str(output)),
            "calculate_wer": "false",
        }
        command = [sys.executable, str(TRANSCRIBE), *(f"{key}={value}" for key, value in arguments.items())]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        if done.returncode not in TRANSCRIBED:
            raise ValueError(f"model_path={model}: could not transcribe {manifest}; see the message above")
    return outputs


def quote(value: str) -> str:
    """Quote a value for Hydra."""
    return '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))


def list_settings(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as dotted keys with values that Hydra reads back."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from list_settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", quote(value) if isinstance(value, str) else json.dumps(value)


def report_limits(settings: EvaluateSettings, systems: Sequence[dict], comparisons: Sequence) -> int:
    """Print which limits are broken, and return the exit status."""
    broken = []
    if settings.gate is not None:
        broken += [f"gate={settings.gate}: {one.sentence}" for one in check_gate(comparisons, settings.gate)]
    if settings.tolerance is not None:
        rates = [(system["name"], system["layers"][-1]["wer"]) for system in systems]
        broken += [
            f"tolerance={settings.tolerance}: {name} has a WER of {wer:.4f}"
            for name, wer in rates
            if wer > settings.tolerance
        ]
    for line in broken:
        print(f"error: {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    main()
