"""A model card in the Hugging Face hub's form: README.md with metadata that the hub reads, from a report and a `.nemo`.

Facts without a measurement (licence, base model, data) come from the key `model_card` in the model's configuration, and
measurements from `report.json` of `scripts/evaluate.py`. The card names the facts that are missing.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from data_prep.languages.language import DEFAULT_LANGUAGE
from nemo_models.files.model_language import FINGERPRINT_KEY, read_languages

CARD_KEY = "model_card"
CARD_FIELDS = ("name", "language", "license", "base_model", "datasets", "hours", "recipe", "limits", "test_set")
"""What the key may hold; `datasets` is a list of names, `hours` those of the training data."""
_LAYER_NAMES = {
    "raw": "raw",
    "encoding": "after normalising",
    "alternatives": "with wordings that the references allow",
    "spelling": "spelling variants forgiven",
    "numbers": "digits or words",
    "loan_words": "listed spellings of loan words",
    "either_script": "English words in either script",
    "compounds": "words joined or split",
}


def read_report(path: Path) -> dict[str, Any]:
    """Read a report of `scripts/evaluate.py`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a report.
    """
    if not path.is_file():
        raise FileNotFoundError(f"report={path}: no such file")
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        has_layers = [bool(system["layers"]) for system in report["systems"]]
    except (ValueError, KeyError, TypeError):
        has_layers = []
    if not has_layers or not all(has_layers):
        raise ValueError(f"report={path}: found no systems with layers, expected report.json of evaluate.py")
    return dict(report)


def choose_system(report: Mapping[str, Any], model_name: str) -> dict[str, Any]:
    """Return the report's system that is the model: the one of its name, or the only one.

    Raises:
        ValueError: There are several, none of that name.
    """
    systems = report["systems"]
    named = [system for system in systems if system["name"] == model_name]
    if not named and len(systems) > 1:
        names = ", ".join(system["name"] for system in systems)
        raise ValueError(f"report: found systems {names}, expected {model_name}; score it with names=[{model_name},…]")
    return dict(named[0] if named else systems[0])


def make_model_card(config: Mapping[str, Any], model_name: str, report: Mapping[str, Any]) -> ModelCard:
    """Make the card of a model.

    Args:
        config: The configuration inside the `.nemo`.
        model_name: The model's name, such as the file's stem.
        report: From `read_report`.

    Returns:
        The card; `card.save(path)` writes it.

    Raises:
        ValueError: The key `model_card` holds a field that is not known, or the hub's parser refuses the metadata.
    """
    about = dict(config.get(CARD_KEY) or {})
    unknown = [key for key in about if key not in CARD_FIELDS]
    if unknown:
        raise ValueError(f"{CARD_KEY}.{unknown[0]}: expected one of {', '.join(CARD_FIELDS)}")
    system, languages = choose_system(report, model_name), _list_languages(config)
    name = str(about.get("name") or model_name)
    data = ModelCardData(
        language=about.get("language") or (languages if len(languages) > 1 else languages[0]),
        license=about.get("license") or "unknown",
        base_model=about.get("base_model"),
        datasets=_as_list(about.get("datasets")),
        library_name="nemo",
        pipeline_tag="automatic-speech-recognition",
        tags=["automatic-speech-recognition", "nemo", "wav2vec2", "ctc"],
        metrics=["wer", "cer"],
        model_name=name,
        eval_results=_list_results(system, str(about.get("test_set") or "test set of the report")),
    )
    card = ModelCard(f"---\n{data.to_yaml()}\n---\n\n{_write_body(name, about, config, report, system)}")
    if card.data.to_dict().get("model-index") is None:
        raise ValueError(f"{CARD_KEY}: the hub's parser found no results in the card; report this")
    return card


def _list_languages(config: Mapping[str, Any]) -> list[str]:
    codes = read_languages(config.get(FINGERPRINT_KEY)) or (DEFAULT_LANGUAGE,)
    return list(dict.fromkeys(part for code in codes for part in code.split("+")))  # hi+en: the hub knows hi and en


def _as_list(value: Any) -> list[str] | None:
    if value is None:
        return None
    return [value] if isinstance(value, str) else [str(one) for one in value]


def _list_results(system: Mapping[str, Any], test_set: str) -> list[EvalResult]:
    shared: dict[str, Any] = {
        "task_type": "automatic-speech-recognition",
        "task_name": "Automatic Speech Recognition",
        "dataset_type": "custom",
        "dataset_name": test_set,
    }
    layers = system["layers"]
    rates = [
        ("wer", f"WER, {_LAYER_NAMES.get(one['name'], one['name'])}", one["wer"]) for one in (layers[0], layers[-1])
    ]
    if system.get("cer") is not None:
        rates.append(("cer", "CER, after normalising", system["cer"]))
    return [
        EvalResult(metric_type=kind, metric_name=title, metric_value=round(100 * rate, 2), **shared)
        for kind, title, rate in dict.fromkeys(rates)
    ]


def _write_body(
    name: str, about: Mapping[str, Any], config: Mapping[str, Any], report: Mapping[str, Any], system: Mapping[str, Any]
) -> str:
    hours = f"{about['hours']} hours" if about.get("hours") else "an amount that the model does not record"
    datasets = ", ".join(_as_list(about.get("datasets")) or []) or "data that the model does not record"
    parts = [
        f"# {name}",
        "A CTC speech recogniser: raw waveform in, characters out. "
        f"Language: {about.get('language') or ', '.join(_list_languages(config))}. "
        f"Base model: {about.get('base_model') or 'not recorded'}. "
        f"Licence: {about.get('license') or 'not recorded'}.",
        "## Training data and recipe",
        f"Fine-tuned on {hours} of {datasets}. "
        + str(about.get("recipe") or "The recipe is the configuration in the `.nemo`."),
        "## Results",
        _write_results(report, system),
        "## Confidence",
        _write_confidence(system),
        "## Limits",
        str(about.get("limits") or _default_limits(config, report)),
        "## Usage",
        _USAGE,
    ]
    return "\n\n".join(parts) + "\n"


def _write_results(report: Mapping[str, Any], system: Mapping[str, Any]) -> str:
    test_set, settings = report["test_set"], report["settings"]
    about = [f"{test_set['utterances']:,} utterances", f"{test_set['words']:,} words"]
    about += [f"{test_set['hours']:.2f} hours"] if test_set.get("hours") else []
    about += [f"{test_set['speakers']} speakers"] if test_set.get("speakers") else []
    lines = [
        f"On {', '.join(about)}. Each row forgives one more kind of spelling; intervals: 95 %, bootstrap over "
        f"{settings['drawn']}, {settings['replicates']:,} draws, seed {settings['seed']}.",
        "",
        "| scoring | WER % | 95 % interval | words forgiven |",
        "|---|---|---|---|",
    ]
    for layer in system["layers"]:
        low, high = (f"{100 * end:.2f}" for end in layer["interval"])
        title = _LAYER_NAMES.get(layer["name"], layer["name"])
        lines.append(f"| {title} | {100 * layer['wer']:.2f} | {low} to {high} | {layer['forgiven']} |")
    if system.get("cer") is not None:
        lines += ["", f"Character error rate after normalising: {100 * system['cer']:.2f} %."]
    return "\n".join(lines)


def _write_confidence(system: Mapping[str, Any]) -> str:
    measured = (system.get("analysis") or {}).get("confidence")
    if not measured:
        return "Word confidences were not measured."
    auc = "unknown" if measured["auc"] is None else f"{measured['auc']:.3f}"
    return (
        f"Over {measured['words']:,} words the expected calibration error is {measured['ece']:.3f}; "
        f"a right word has more confidence than a wrong one with a chance of {auc} (AUC)."
    )


def _default_limits(config: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    rate = int(config.get("sample_rate") or 16000)
    few = "" if report["settings"]["drawn"] == "speakers" else " The intervals are over utterances and too narrow."
    return (
        f"Reads {rate / 1000:g} kHz mono audio; writes no punctuation, and numbers in words. Error rates on other "
        f"speakers, channels and topics may differ from those above.{few}"
    )


_USAGE = """With this project:

```bash
python scripts/transcribe_speech.py model_path=model.nemo audio_dir=recordings
```

With NeMo:

```python
import nemo_models  # lets NeMo restore the model
from nemo.collections.asr.models import ASRModel

model = ASRModel.restore_from("model.nemo")
print(model.transcribe(["recording.wav"])[0].text)
```

With transformers, from the folder that `export_model.py format=huggingface` writes:

```python
from transformers import pipeline

print(pipeline("automatic-speech-recognition", model="exported")("recording.wav")["text"])
```"""
