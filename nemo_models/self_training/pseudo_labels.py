"""One round of labels: transcribe, cut, filter, and hand the rows to data preparation, which checks and reports them.

Data preparation is used as for any corpus: its checks of audio and text, its conversion to 16 kHz, its reason codes and
its report. Its input, `labels.jsonl`, has every label with all that was measured.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from data_prep.languages.union import is_several
from data_prep.manifest import write_json, write_jsonl
from data_prep.prepare.output_folder import MANIFESTS
from data_prep.prepare.pipeline import prepare_corpus
from data_prep.prepare.report import format_reasons
from data_prep.prepare.settings import PrepareSettings
from data_prep.text.policy import TextPolicy
from nemo_models.decoding.lm_bundle import extract_language_model
from nemo_models.files.model_language import make_folding
from nemo_models.files.nemo_file import read_labels, read_nemo_config
from nemo_models.language_models.text_perplexity import compute_perplexities
from nemo_models.self_training.filters import (
    EvaluationLeaks,
    Exclusion,
    check_agreement,
    check_confidence,
    check_perplexity,
)
from nemo_models.self_training.labels import Label, make_labels
from nemo_models.self_training.passes import GREEDY, Passes
from nemo_models.self_training.settings import PseudoLabelSettings
from nemo_models.transcription.channels import split_channels
from nemo_models.transcription.command import find_language
from nemo_models.transcription.inputs import list_inputs
from nemo_models.transcription.options import EACH_CHANNEL

Check = Callable[[Sequence[Label]], Sequence[Exclusion]]
"""Function that judges labels, in their order."""
LABELS = "labels.jsonl"
PASSES_FOLDER = ".passes"


def label_audio(settings: PseudoLabelSettings) -> dict[str, Any]:
    """Write a manifest of labels, and the report beside it.

    A restarted job reads finished transcriptions and continues a stopped one; other filters need no new transcription.

    Args:
        settings: All arguments; `rounds` and `fine_tuning` are not used.

    Returns:
        The report of data preparation.

    Raises:
        FileNotFoundError: A model, manifest or folder does not exist.
        OSError: A file cannot be written.
        ValueError: An argument is out of range, or no label is kept.
    """
    folder = settings.files_dir
    language = find_language(settings.language, settings.model_path)
    if is_several(language):
        raise ValueError(f"language={language}: expected one of them, for a job's labels are in one language; give it")
    leaks = EvaluationLeaks(settings.filters.evaluation, TextPolicy(language=language))
    scorer = _make_scorer(settings)
    listed = list_inputs(settings.dataset_manifest, settings.audio_dir, audio_type=settings.audio_type)
    inputs = split_channels(listed, settings.channel_selector)
    passes = Passes(settings, folder / PASSES_FOLDER)
    rows = passes.run("transcripts", inputs, words=True)
    made = list(make_labels(inputs, rows, settings.limits.max_duration, settings.cut))
    labels = [label for label in made if isinstance(label, Label) and label.text]
    _exclude(labels, lambda kept: [leaks.check_recording(label) for label in kept])
    _exclude(labels, leaks.check_texts)
    _exclude(labels, lambda kept: [check_confidence(label, settings.filters) for label in kept])
    if scorer is not None:
        _exclude(labels, scorer)
    _exclude_disagreeing(labels, passes, settings)
    write_jsonl(folder / LABELS, (label.as_row() if isinstance(label, Label) else label for label in made))
    write_json(
        folder / "settings.json", {"language": language, **json.loads(json.dumps(asdict(settings), default=str))}
    )
    report = prepare_corpus(_make_prepare_settings(settings, language))
    if not report["kept"]:
        raise ValueError(
            f"output={settings.output}: found no label to keep among {report['in']} ({format_reasons(report)}); see "
            f"{folder / 'rejected.jsonl'}, and loosen filters and limits, or use a better model"
        )
    _write_manifest(settings.output, folder)
    return report


def _exclude(labels: Iterable[Label], check: Check) -> None:
    """Exclude the labels that fail a check, of those that have passed all checks before."""
    kept = [label for label in labels if label.excluded is None]
    for label, excluded in zip(kept, check(kept) if kept else (), strict=True):
        label.excluded = excluded


def _exclude_disagreeing(labels: Sequence[Label], passes: Passes, settings: PseudoLabelSettings) -> None:
    """Compare with texts of the pieces alone, decoded greedily: a label that was cut badly differs too."""
    filters = settings.filters
    if filters.max_greedy_cer is not None:
        _exclude(labels, partial(_compare, passes, "greedy", filters.max_greedy_cer, [{"decoding": GREEDY}]))
    if filters.max_dropout_cer is not None:
        ways = [{"dropout": filters.dropout, "dropout_seed": seed} for seed in range(filters.dropout_passes)]
        _exclude(labels, partial(_compare, passes, "dropout", filters.max_dropout_cer, ways))


def _compare(
    passes: Passes, key: str, most: float, ways: Sequence[dict[str, Any]], labels: Sequence[Label]
) -> list[Exclusion]:
    inputs = [label.audio for label in labels]
    found = [passes.run(f"{key}{at}", inputs, **way) for at, way in enumerate(ways)]
    return [
        check_agreement(label, [rows[at]["pred_text"] for rows in found], key, most) for at, label in enumerate(labels)
    ]


def _make_scorer(settings: PseudoLabelSettings) -> Check | None:
    """Return the check of perplexities in the language model that the job decodes with, if it is asked for."""
    most = settings.filters.max_perplexity
    if most is None:
        return None
    model_path = settings.model_path
    given = OmegaConf.select(OmegaConf.create(settings.ctc_decoding), "beam.ngram_lm_model")
    if model_path is None:
        raise ValueError("filters.max_perplexity: expected null with pretrained_name; give model_path=….nemo")
    labels, folding = read_labels(model_path), make_folding(read_nemo_config(model_path))

    def score(kept: Sequence[Label]) -> list[Exclusion]:
        with tempfile.TemporaryDirectory() as folder:
            lm_path = Path(given) if given else extract_language_model(model_path, Path(folder))
            assert lm_path is not None
            perplexities = compute_perplexities(lm_path, labels, [label.text.translate(folding) for label in kept])
        return [check_perplexity(label, value, most) for label, value in zip(kept, perplexities, strict=True)]

    with tempfile.TemporaryDirectory() as folder:  # before the model runs for hours
        if not given and extract_language_model(model_path, Path(folder)) is None:
            raise ValueError(
                f"filters.max_perplexity={most}: expected null, for {model_path} bundles no "
                "language model; bundle one (tune_decoding.py), or give ctc_decoding.beam.ngram_lm_model"
            )
    return score


def _make_prepare_settings(settings: PseudoLabelSettings, language: str) -> PrepareSettings:
    channel = settings.channel_selector
    return PrepareSettings(
        corpus="nemo",
        corpus_dir=settings.files_dir / LABELS,
        output_dir=settings.files_dir,
        source=settings.source or settings.output.stem,
        splits={"train": 1.0},
        language=language,
        channel="auto" if channel == EACH_CHANNEL else channel,  # then each row has its own
        num_workers=settings.prepare_workers,
        **asdict(settings.limits),
    )


def _write_manifest(output: Path, folder: Path) -> None:
    """Write data preparation's manifest as the output, whose folder its relative paths start at."""
    lines = (folder / MANIFESTS["train"]).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        if not Path(row["audio_filepath"]).is_absolute():
            row["audio_filepath"] = str(Path(folder.name) / row["audio_filepath"])
    write_jsonl(output, rows)
