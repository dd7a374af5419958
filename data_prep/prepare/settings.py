"""The settings of data preparation, declared and checked once."""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from data_prep.arguments import require_choice, require_int
from data_prep.audio.channels import check_channel
from data_prep.engines import Engine
from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.selection.quality import QualityLimits
from data_prep.selection.splits import DEFAULT_FRACTIONS, check_split_settings
from data_prep.text.policy import TextPolicy, make_text_policy

SPLIT_GROUPS = ("speaker", "text", "utterance")
DUPLICATE_POLICIES = ("reject", "keep")
NUMBER_POLICIES = ("reject", "verbalize")


@dataclass(frozen=True, kw_only=True)
class PrepareSettings(QualityLimits):
    """The settings in `conf/prepare_data.yaml`, with the same names. The quality limits are those of `QualityLimits`.

    Attributes:
        corpus: Name of a reader in `data_prep.corpora`.
        corpus_dir: The corpus folder, or a manifest with `corpus=nemo`.
        output_dir: Folder for the output; made if needed.
        source: Name of the corpus in the manifests; `None` for the corpus folder's name.
        columns: Columns of a table: `path`, `text`, `speaker`, `split`, `channel` -> the table's own name.
        splits: Split -> share of the speakers; `None` for 80 % train, 10 % dev, 10 % test.
        split_by: What is never in two splits: `speaker`, `text`, or only the `utterance` itself.
        disjoint_text: True to leave out of train the texts of dev and test, and out of dev those of test.
        dev_speakers: Speakers that make up dev, instead of its share.
        test_speakers: Speakers that make up test, instead of its share.
        seed: Seed of the split.
        language: Code of the texts' language, or the path of a language file; `latin=keep` adds `+en` to it.
        alphabet: Alphabet file; `None` for the language's.
        latin: `reject` texts with Latin letters, `keep` English words (the language is then `<language>+en`), or
            `transliterate` them into Devanagari.
        numbers: `reject` texts with numbers, or `verbalize` them, see `data_prep.text.policy.TextPolicy`.
        annotations: `reject` texts with notes such as [हँसी], `strip` the notes, or `keep` their words.
        abbreviations: `expand` those with one reading, `reject` them, or `keep` them without their dots.
        channel: Which channel is used, see `data_prep.audio.channels.check_channel`; a row's own channel has priority.
        trim_silence: True to cut silence off both ends.
        duplicate_audio: `reject` or `keep` audio with the samples of an earlier row.
        duplicate_text: `reject` or `keep` a text that the same speaker has in an earlier row.
        engine: `local` or `ray`, see `data_prep.engines.Engine`.
        address: Address of the Ray cluster.
        num_workers: Number of processes; `None` for one a core.
        unit_size: Rows that a worker finishes together, 1 or more.
        shard_size: Earlier name of `unit_size`.

    Raises:
        ValueError: A setting is out of range.
    """

    corpus: str
    corpus_dir: Path
    output_dir: Path
    source: str | None = None
    columns: dict[str, str] | None = None
    splits: dict[str, float] | None = None
    split_by: str = "speaker"
    disjoint_text: bool = False
    dev_speakers: list[str] = field(default_factory=list)
    test_speakers: list[str] = field(default_factory=list)
    seed: int = 0
    language: str = DEFAULT_LANGUAGE
    alphabet: Path | None = None
    latin: str = "reject"
    numbers: str = "reject"
    annotations: str = "reject"
    abbreviations: str = "expand"
    channel: int | str | None = "auto"
    trim_silence: bool = False
    duplicate_audio: str = "reject"
    duplicate_text: str = "keep"
    engine: str = "local"
    address: str | None = None
    num_workers: int | None = None
    unit_size: int = 100
    shard_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shard_size is not None:
            object.__setattr__(self, "unit_size", self.shard_size)
        for name in ("corpus_dir", "output_dir"):
            object.__setattr__(self, name, Path(getattr(self, name)).expanduser().resolve())
        check_split_settings(self.fractions, self.listed_speakers)
        require_choice("split_by", self.split_by, SPLIT_GROUPS)
        require_choice("duplicate_audio", self.duplicate_audio, DUPLICATE_POLICIES)
        require_choice("duplicate_text", self.duplicate_text, DUPLICATE_POLICIES)
        require_choice("numbers", self.numbers, NUMBER_POLICIES)
        object.__setattr__(self, "language", self.make_text_policy().language)
        require_int("unit_size", self.unit_size, least=1)
        check_channel(self.channel)
        self.make_engine()

    @property
    def limits(self) -> QualityLimits:
        """The quality limits alone."""
        return QualityLimits(**{limit.name: getattr(self, limit.name) for limit in fields(QualityLimits)})

    @property
    def corpus_name(self) -> str:
        """Name of the corpus in the manifests."""
        return self.source or self.corpus_dir.name

    @property
    def fractions(self) -> dict[str, float]:
        """Split -> share of the speakers."""
        return dict(self.splits or DEFAULT_FRACTIONS)

    @property
    def listed_speakers(self) -> dict[str, list[str]]:
        """Split -> the speakers that the user assigned to it."""
        return {"dev": self.dev_speakers, "test": self.test_speakers}

    def make_engine(self) -> Engine:
        """Set up what runs the work units."""
        return Engine(self.engine, self.num_workers, self.address)

    def make_text_policy(self) -> TextPolicy:
        """Set up what is rewritten in a text and what is rejected."""
        return make_text_policy(self.numbers, self.latin, self.annotations, self.abbreviations, self.language)

    @property
    def audio_column(self) -> str | None:
        """Column of audio in Parquet files; `None` for the first one."""
        return (self.columns or {}).get("path") if self.corpus == "huggingface" else None

    def describe(self) -> dict[str, Any]:
        """Return what the output depends on, for the report."""
        return {
            "splits": self.fractions,
            "split_by": self.split_by,
            "duplicate_audio": self.duplicate_audio,
            "duplicate_text": self.duplicate_text,
            "language": self.language,
            "latin": self.latin,
            "numbers": self.numbers,
            "annotations": self.annotations,
            "abbreviations": self.abbreviations,
            "disjoint_text": self.disjoint_text,
            "dev_speakers": self.dev_speakers,
            "test_speakers": self.test_speakers,
            "seed": self.seed,
            "columns": dict(self.columns) if self.columns else None,
            "channel": self.channel,
            "trim_silence": self.trim_silence,
            **asdict(self.limits),
        }
