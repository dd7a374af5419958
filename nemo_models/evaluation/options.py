"""Options of an evaluation, checked when they are made."""

from dataclasses import dataclass, field
from pathlib import Path

from data_prep.arguments import require_choice, require_int
from data_prep.languages.language import DEFAULT_LANGUAGE, WITH_ENGLISH, load_language
from nemo_models.evaluation.spelling import SPELLING_RULES
from nemo_models.evaluation.statistics import REPLICATES

OPTIONAL_LAYERS = ("spelling", "numbers", "loan_words", "either_script", "compounds")
LAYERS = ("raw", "encoding", "alternatives", *OPTIONAL_LAYERS)


@dataclass(frozen=True)
class LayerOptions:
    """Which layers are computed.

    Attributes:
        layers: Some of `OPTIONAL_LAYERS`; `raw` and `encoding` are always there.
        spelling_rules: Some of `SPELLING_RULES`.
        variant_lists: Lists of spellings beside the project's own.
        english_words: Lists of English words and their spellings in another script, beside the project's own.
        language: Code of the texts' language, or the path of a language file. Only Hindi has the layers `numbers`,
            `loan_words` and `compounds` and the rules of `spelling_rules`; the layer `spelling` of another language
            holds the pairs of its file. `either_script` is there where a text has Latin letters.

    Raises:
        ValueError: There is no such layer or rule.
    """

    layers: tuple[str, ...] = OPTIONAL_LAYERS
    spelling_rules: tuple[str, ...] = tuple(SPELLING_RULES)
    variant_lists: tuple[Path, ...] = ()
    english_words: tuple[Path, ...] = ()
    language: str = DEFAULT_LANGUAGE

    @property
    def used_layers(self) -> tuple[str, ...]:
        """The layers that the language has."""
        language = load_language(self.language)
        if language.own_rules:
            return self.layers
        others = ("spelling",) if language.scripts == ("LATIN",) else ("spelling", "either_script")
        return tuple(layer for layer in self.layers if layer in others)

    @property
    def has_english(self) -> bool:
        """Whether the language's sentences hold English words."""
        return self.language.endswith(WITH_ENGLISH)

    def __post_init__(self) -> None:
        for layer in self.layers:
            require_choice("layers", layer, OPTIONAL_LAYERS)
        for rule in self.spelling_rules:
            require_choice("spelling_rules", rule, SPELLING_RULES)


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of an evaluation.

    Attributes:
        layers: Which layers to compute.
        replicates: Draws of each bootstrap.
        seed: Seed of its random numbers.
        compare_layer: The layer that comparisons look at; `None`: the last.
        lm_words: ARPA file or text of a language model, for words that it does not know; `None`: not looked at.
        read_audio: Whether to read the audio, for noise and for insertions at silences.

    Raises:
        ValueError: A value is out of range.
    """

    layers: LayerOptions = field(default_factory=LayerOptions)
    replicates: int = REPLICATES
    seed: int = 0
    compare_layer: str | None = None
    lm_words: Path | None = None
    read_audio: bool = True

    def __post_init__(self) -> None:
        require_int("replicates", self.replicates, 100)
        require_int("seed", self.seed, 0)
        if self.compare_layer is not None:
            require_choice("compare_layer", self.compare_layer, LAYERS)
