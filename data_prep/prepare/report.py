"""The account of a run: every row that went in is either kept or rejected for one reason, and the sums say so."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from data_prep.audio.reader import SAMPLE_RATE_HZ
from data_prep.selection.quality import ERROR_REASONS, REASONS
from data_prep.text.alphabet import describe_character

EXIT_STATUS_REJECTED_AS_ERROR = 3
BIN_WIDTHS = {"duration_s": 1, "characters_per_second": 1, "snr_db": 2}


class ReportBuilder:
    """Adds up results one by one; its memory grows with the number of speakers only."""

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
        self._bins: dict[str, Counter[int]] = {name: Counter() for name in BIN_WIDTHS}

    def add_kept(
        self, row: Mapping[str, Any], split: str, converted: bool, measures: Mapping[str, Any] | None = None
    ) -> None:
        """Count one manifest row, and put it into the histograms; `measures` are `AudioMeasures.as_row`'s."""
        self._samples[split] += round(row["duration"] * SAMPLE_RATE_HZ)
        self._utterances[split] += 1
        self._speakers[split].add(row["speaker"])
        self._characters.update(row["text"])
        self._converted += converted
        samples = round(row["duration"] * SAMPLE_RATE_HZ)
        self._speaker_samples[row["speaker"]] += samples
        values = {"duration_s": row["duration"], "characters_per_second": len(row["text"]) / (row["duration"] or 1)}
        if measures and measures["snr_db"] is not None:
            values["snr_db"] = measures["snr_db"]
        for name, value in values.items():
            self._bins[name][math.floor(value / BIN_WIDTHS[name])] += 1

    def add_rejected(self, row: dict[str, Any]) -> None:
        """Count one row of `rejected.jsonl`."""
        self._reasons[row["reason"]] += 1
        if row["reason"] == "outside_alphabet":
            self._outside.update(row["detail"].split(", "))

    def build(self, rows_in: int) -> dict[str, Any]:
        """Close the account.

        Args:
            rows_in: Number of rows that the reader gave.

        Returns:
            What `report.json` holds, but for the settings.
        """
        kept, rejected = self._utterances.total(), self._reasons.total()
        assert rows_in == kept + rejected, f"{rows_in} rows in, but {kept} kept and {rejected} rejected"
        return {
            "in": rows_in,
            "kept": kept,
            "rejected": rejected,
            "rejected_by_reason": {reason: self._reasons[reason] for reason in REASONS if self._reasons[reason]},
            "rejected_as_error": sum(self._reasons[reason] for reason in ERROR_REASONS),
            "audio": {"referenced": kept - self._converted, "converted": self._converted},
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


def format_report(report: dict[str, Any]) -> str:
    """Lay a report out as the table that closes a run."""
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
    lines += ["", *_make_notes(report)]
    return "\n".join(lines).rstrip()


def _make_notes(report: dict[str, Any]) -> list[str]:
    notes = []
    if not report["kept"]:
        notes.append("note: nothing was kept")
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
