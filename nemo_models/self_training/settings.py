"""The arguments of `scripts/pseudo_label.py` and their types; `conf/pseudo_label.yaml` has the defaults.

This module imports nothing large, because `--help` loads it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.arguments import require_int, require_number
from data_prep.selection.quality import QualityLimits
from nemo_models.transcription.job_settings import RecogniserArguments


@dataclass(frozen=True, kw_only=True)
class CutSettings:
    """How recordings longer than `limits.max_duration` are cut.

    Attributes:
        pause_s: Shortest pause between two words to cut at, seconds.
        margin_s: Audio that is kept before the first word and behind the last, seconds.

    Raises:
        ValueError: A value is out of range.
    """

    pause_s: float = 0.3
    margin_s: float = 0.2

    def __post_init__(self) -> None:
        require_number("cut.pause_s", self.pause_s, above=0)
        require_number("cut.margin_s", self.margin_s, least=0)


@dataclass(frozen=True, kw_only=True)
class FilterSettings:
    """Which texts of the recogniser are trusted; `None` switches a filter off.

    Attributes:
        min_confidence: Lowest mean confidence of a text's words, 0 … 1.
        min_word_confidence: Lowest confidence of any of its words, 0 … 1.
        max_greedy_cer: Largest character error rate of the greedy text, without a language model, against the text.
        max_dropout_cer: Largest mean of such error rates of texts under dropout.
        dropout: Share of the encoder's units that are switched off for these.
        dropout_passes: Number of these texts.
        max_perplexity: Largest perplexity per character of the text in the language model.
        evaluation: Manifests of evaluation data: none of their recordings and sentences is labelled.

    Raises:
        ValueError: A value is out of range.
    """

    min_confidence: float | None = None
    min_word_confidence: float | None = None
    max_greedy_cer: float | None = None
    max_dropout_cer: float | None = None
    dropout: float = 0.1
    dropout_passes: int = 3
    max_perplexity: float | None = None
    evaluation: list[str]

    def __post_init__(self) -> None:
        for name in ("min_confidence", "min_word_confidence"):
            require_number(f"filters.{name}", getattr(self, name), least=0, most=1, optional=True)
        for name in ("max_greedy_cer", "max_dropout_cer"):
            require_number(f"filters.{name}", getattr(self, name), least=0, optional=True)
        require_number("filters.dropout", self.dropout, above=0, most=0.9)
        require_int("filters.dropout_passes", self.dropout_passes, least=1)
        require_number("filters.max_perplexity", self.max_perplexity, least=1, optional=True)


@dataclass(frozen=True, kw_only=True)
class FineTuningSettings:
    """How each round learns from the labels.

    Attributes:
        recipe: Configuration of `speech_to_text_finetune.py`.
        train_manifest: Labelled data that every round trains on too; `None` trains on the labels alone.
        validation_manifest: Labelled data that chooses the best weights; needed for rounds.
        labelled_weight: Share of the training data that is labelled, above 0 and below 1.
        arguments: Further arguments of the fine-tuning, as a tree.

    Raises:
        ValueError: A value is out of range.
    """

    recipe: str
    train_manifest: Path | None
    validation_manifest: Path | None
    labelled_weight: float
    arguments: dict[str, Any]

    def __post_init__(self) -> None:
        require_number("fine_tuning.labelled_weight", self.labelled_weight, above=0, most=0.99)


@dataclass(frozen=True, kw_only=True)
class PseudoLabelSettings(RecogniserArguments):
    """All arguments; the comments in `conf/pseudo_label.yaml` explain them.

    Raises:
        ValueError: A value is out of range.
    """

    dataset_manifest: str | None
    audio_dir: str | None
    audio_type: str | None
    output: Path
    source: str | None
    cut: CutSettings
    filters: FilterSettings
    limits: QualityLimits
    prepare_workers: int | None
    devices: int | None
    engine: str
    address: str | None
    rounds: int
    fine_tuning: FineTuningSettings

    def __post_init__(self) -> None:
        require_int("rounds", self.rounds, least=0)
        if self.output.suffix not in (".json", ".jsonl"):
            raise ValueError(f"output={self.output}: expected a name that ends in .json or .jsonl; add the ending")
        own = self.fine_tuning
        read = [self.dataset_manifest, own.train_manifest, own.validation_manifest, *self.filters.evaluation]
        if self.output.resolve() in {Path(path).resolve() for path in read if path is not None}:
            raise ValueError(f"output={self.output}: expected another file than a manifest that is read; choose one")
        if self.rounds and self.fine_tuning.validation_manifest is None:
            raise ValueError(
                f"rounds={self.rounds}: expected labelled data to choose the best weights of each round by; give "
                "fine_tuning.validation_manifest"
            )

    @property
    def files_dir(self) -> Path:
        """Folder of all that lies beside the manifest of labels: the report, the converted audio, the rounds."""
        return self.output.with_name(f"{self.output.stem}_files")
