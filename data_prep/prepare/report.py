"""The report of a run: every row is either kept or rejected for one reason, and the sums must agree."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.audio.reader import SAMPLE_RATE_HZ
from data_prep.prepare.causes import CauseCounts, Finding
from data_prep.prepare.channel_summary import ChannelSummary, format_channels
from data_prep.selection.quality import ERROR_REASONS, REASONS
from data_prep.text.alphabet import describe_character

EXIT_STATUS_REJECTED_AS_ERROR = 3
BIN_WIDTHS = {"duration_s": 1, "characters_per_second": 1, "snr_db": 2}
_NAMED_WORDS = 5  # English words that the last lines of a run name
_MOST_AUDIO_NOTES = 20  # examples in report.json


class ReportBuilder:
    """Adds up results one by one; its memory grows with speakers, multi-channel files and English words only."""

    def __init__(self, alphabet: Sequence[str], splits: Iterable[str]) -> None:
        self._alphabet = alphabet
        self._samples: dict[str, int] = dict.fromkeys(splits, 0)  # whole numbers add up the same in any order
        self._utterances: Counter[str] = Counter()
        self._speakers: dict[str, set[str]] = {split: set() for split in self._samples}
        self._reasons: Counter[str] = Counter()
        self._characters: Counter[str] = Counter()
        self._outside: Counter[str] = Counter()
        self._converted = 0
        self._speaker_samples: Counter[str] = Counter()
        self._examples: dict[str, dict[str, Any]] = {}
        self._causes = CauseCounts()
        self._channels = ChannelSummary()
        self._audio_notes: dict[str, str] = {}
        self._noted = 0
        self._english: Counter[tuple[str, str]] = Counter()
        self._bins: dict[str, Counter[int]] = {name: Counter() for name in BIN_WIDTHS}

    def add_kept(self, result: Mapping[str, Any], split: str) -> None:
        """Count one kept result of a work unit.

        Args:
            result: `kept` (the manifest row), and perhaps `measures`, `channels`, `audio_note` and `english_words`, as
                work units write them.
            split: The row's split.
        """
        row, measures = result["kept"], result.get("measures")
        samples = round(row["duration"] * SAMPLE_RATE_HZ)
        self._samples[split] += samples
        self._utterances[split] += 1
        self._speakers[split].add(row["speaker"])
        self._characters.update(row["text"])
        self._converted += not Path(row["audio_filepath"]).is_absolute()
        self._speaker_samples[row["speaker"]] += samples
        values = {"duration_s": row["duration"], "characters_per_second": len(row["text"]) / (row["duration"] or 1)}
        if measures and measures["snr_db"] is not None:
            values["snr_db"] = measures["snr_db"]
        for name, value in values.items():
            self._bins[name][math.floor(value / BIN_WIDTHS[name])] += 1
        if "audio_note" in result:
            self._noted += 1
            if len(self._audio_notes) < _MOST_AUDIO_NOTES:
                self._audio_notes.setdefault(result["path"], result["audio_note"])
        self._english.update(result.get("english_words", {}).items())
        if "channels" in result:
            self._channels.add(result["path"], result["channels"])

    def add_rejected(self, row: Mapping[str, Any], cause: Finding | None = None) -> None:
        """Count one row of `rejected.jsonl`.

        Args:
            row: The row.
            cause: What `data_prep.prepare.causes.find_cause` recognised.
        """
        reason = row["reason"]
        self._reasons[reason] += 1
        self._examples.setdefault(reason, {key: row.get(key) for key in ("file", "line", "path", "detail")})
        if reason == "outside_alphabet":
            self._outside.update(row["detail"].split(", "))
        if reason == "conflicting_text":
            cause = (reason, f"{row.get('path')}: {row['detail']}")
        if cause:
            self._causes.add(cause)

    def build(self, rows_in: int) -> dict[str, Any]:
        """Make the report.

        Args:
            rows_in: Number of rows that the reader yielded.

        Returns:
            The counts of `report.json`; the settings are added by the caller.
        """
        kept, rejected = self._utterances.total(), self._reasons.total()
        assert rows_in == kept + rejected, f"{rows_in} rows in, but {kept} kept and {rejected} rejected"
        return {
            "in": rows_in,
            "kept": kept,
            "rejected": rejected,
            "rejected_by_reason": {reason: self._reasons[reason] for reason in REASONS if self._reasons[reason]},
            "rejected_as_error": sum(self._reasons[reason] for reason in ERROR_REASONS),
            "rejected_examples": {reason: self._examples[reason] for reason in REASONS if reason in self._examples},
            "causes": self._causes.describe(),
            "audio": {"referenced": kept - self._converted, "converted": self._converted},
            "multi_channel": self._channels.describe(),
            "audio_notes": {"rows": self._noted, "examples": self._audio_notes},
            "english_words": [
                {"word": word, "written": written, "utterances": count}
                for (word, written), count in sorted(self._english.items(), key=lambda item: (-item[1], item[0]))
            ],
            "splits": {split: self._describe_split(split) for split in self._samples},
            "speakers_in_several_splits": self._find_shared_speakers(),
            "speaker_hours": {
                name: round(samples / SAMPLE_RATE_HZ / 3600, 5)
                for name, samples in sorted(self._speaker_samples.items())
            },
            "histograms": {name: self._describe_histogram(name) for name in BIN_WIDTHS},
            "alphabet": self._describe_alphabet(),
            "outside_alphabet_utterances": dict(sorted(self._outside.items(), key=lambda item: (-item[1], item[0]))),
        }

    def _describe_split(self, split: str) -> dict[str, Any]:
        return {
            "utterances": self._utterances[split],
            "hours": round(self._samples[split] / SAMPLE_RATE_HZ / 3600, 4),
            "speakers": len(self._speakers[split]),
            "speaker_names": sorted(self._speakers[split]),
        }

    def _describe_histogram(self, name: str) -> dict[str, Any]:
        bins = self._bins[name]
        first, last = (min(bins), max(bins)) if bins else (0, -1)
        step = BIN_WIDTHS[name]
        return {"start": first * step, "step": step, "counts": [bins[at] for at in range(first, last + 1)]}

    def _find_shared_speakers(self) -> list[str]:
        times = Counter(name for names in self._speakers.values() for name in names)
        return sorted(name for name, count in times.items() if count > 1)

    def _describe_alphabet(self) -> dict[str, Any]:
        return {
            "size": len(self._alphabet),
            "never_seen": [describe_character(char) for char in self._alphabet if not self._characters[char]],
            "counts": {describe_character(char): self._characters[char] for char in self._alphabet},
        }


def format_preparation(report: Mapping[str, Any]) -> str:
    """Format a report as the table that a run ends with."""
    audio = "{referenced} audio files referenced, {converted} converted".format(**report["audio"])
    lines = [
        f"{report['source']}: {report['in']} rows in, {report['kept']} kept ({audio}), {report['rejected']} rejected",
        "",
        f"{'split':<18}{'utterances':>10}{'hours':>10}{'speakers':>10}",
    ]
    for split, row in report["splits"].items():
        lines.append(f"{split:<18}{row['utterances']:>10}{row['hours']:>10.3f}{row['speakers']:>10}")
    if report["rejected"]:
        lines += ["", f"{'rejected because':<18}{'utterances':>10}"]
        for reason, count in report["rejected_by_reason"].items():
            error = "error: " if reason in ERROR_REASONS else ""
            lines.append(f"{reason:<18}{count:>10}  {error}{REASONS[reason]}")
            if error:
                lines.append(f"{'':<30}{_format_example(report['rejected_examples'][reason])}")
    lines += ["", *_make_notes(report)]
    return "\n".join(lines).rstrip()


def _format_example(row: Mapping[str, Any]) -> str:
    return f"e.g. {Path(str(row['file'])).name}:{row['line']}: {row['detail']}"


def check_success(report: Mapping[str, Any]) -> int:
    """Return the exit status of a run: 0, or 3 where rows were rejected as errors.

    Raises:
        ValueError: No row was kept; the message names the causes.
    """
    if not report["kept"]:
        causes = "; ".join(cause["message"] for cause in report["causes"])
        raise ValueError(
            f"corpus_dir={report['corpus_dir']}: found no row to keep among {report['in']} ({format_reasons(report)}); "
            f"{causes or 'see rejected.jsonl in output_dir'}"
        )
    return EXIT_STATUS_REJECTED_AS_ERROR if report["rejected_as_error"] else 0


def format_reasons(report: Mapping[str, Any]) -> str:
    """Format the reasons of rejected rows with their counts, e.g. `numbers 3, silent_audio 1`."""
    return ", ".join(f"{reason} {count}" for reason, count in report["rejected_by_reason"].items())


def format_english_words(words: Sequence[Mapping[str, Any]]) -> list[str]:
    """Format what a report says about English words that were written in Devanagari: one line, or none without any."""
    if not words:
        return []
    some = ", ".join(f"{one['word']} {one['written']}" for one in words[:_NAMED_WORDS])
    return [
        f"{len(words)} different English words were written in Devanagari ({some}), perhaps wrongly; look at "
        "english_words in report.json"
    ]


def _make_notes(report: Mapping[str, Any]) -> list[str]:
    notes = [f"note: {note}" for note in report.get("notes", ())]
    notes += [f"cause: {cause['message']}" for cause in report["causes"]]
    notes += [f"note: {line}" for line in format_channels(report["multi_channel"])]
    noted = report["audio_notes"]
    if noted["rows"]:
        path, note = next(iter(noted["examples"].items()))
        notes.append(f"note: look at the audio of {noted['rows']} rows, e.g. {path}: {note}")
    notes += [f"note: {line}" for line in format_english_words(report["english_words"])]
    if report["speakers_in_several_splits"]:
        notes.append(f"note: {len(report['speakers_in_several_splits'])} speakers are in more than one split")
    if report["rejected_as_error"]:
        notes.append(
            f"note: {report['rejected_as_error']} rows rejected as errors, see rejected.jsonl; "
            f"exit status {EXIT_STATUS_REJECTED_AS_ERROR}"
        )
    elif report["rejected"]:
        notes.append("note: no row was rejected as an error; what was left out and why is in rejected.jsonl")
    return notes
