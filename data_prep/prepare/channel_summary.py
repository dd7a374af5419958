"""Recordings with several channels: how similar their channels are, and which recordings may have two speakers."""

from collections.abc import Mapping
from typing import Any

from data_prep.audio.measures import ChannelMeasures

FILES_LISTED = 50  # in the report, those that look like two speakers first
_MOST_FILES = 20_000  # that are summed up one by one; beyond them files are only counted


class ChannelSummary:
    """Sums up the channel measures of each file over its utterances."""

    def __init__(self) -> None:
        self._files: dict[str, list[Any]] = {}
        self._not_listed = 0

    def add(self, path: str, channels: Mapping[str, Any]) -> None:
        """Add one utterance.

        Args:
            path: The audio file.
            channels: Row of `ChannelMeasures.as_row`, and `mixed`: whether the channels were averaged.
        """
        if path not in self._files and len(self._files) >= _MOST_FILES:
            self._not_listed += 1
            return
        lowest, shares, active_s, count, mixed = self._files.get(
            path, [None, [0.0] * channels["channels"], 0.0, 0, False]
        )
        found = [value for value in (lowest, channels["correlation"]) if value is not None]
        weighted = [
            share + alone * channels["active_s"] for share, alone in zip(shares, channels["dominance"], strict=False)
        ]
        self._files[path] = [
            min(found, default=None),
            weighted,
            active_s + channels["active_s"],
            count + 1,
            mixed or channels["mixed"],
        ]

    def describe(self) -> dict[str, Any]:
        """Return the number of files, how many look like two speakers and were averaged, and the files themselves."""
        rows = []
        for path, (lowest, shares, active_s, count, mixed) in self._files.items():
            measures = ChannelMeasures(lowest, tuple(share / (active_s or 1.0) for share in shares), active_s)
            two = measures.two_speakers
            rows.append({"path": path, "utterances": count, **measures.as_row(), "two_speakers": two, "mixed": mixed})
        rows.sort(key=lambda row: (not row["two_speakers"], row["path"]))
        averaged = sum(row["two_speakers"] and row["mixed"] for row in rows)
        counts = {
            "files": len(rows),
            "utterances_of_further_files": self._not_listed,
            "averaged_two_speakers": averaged,
        }
        return {**counts, "listed": rows[:FILES_LISTED]}


def format_channels(summary: Mapping[str, Any]) -> list[str]:
    """Return what the user should know about files with several channels, one text each."""
    if not summary["files"]:
        return []
    lowest = [row["correlation"] for row in summary["listed"] if row["correlation"] is not None]
    correlation = f", lowest correlation {min(lowest):.2f}" if lowest else ""
    lines = [f"{summary['files']} audio files have several channels{correlation}; see multi_channel in report.json"]
    if summary["averaged_two_speakers"]:
        example = next(row["path"] for row in summary["listed"] if row["two_speakers"] and row["mixed"])
        lines.append(
            f"{summary['averaged_two_speakers']} of them look like two speakers, one a channel, and were averaged, "
            f"e.g. {example}; give each row its channel (column channel), or set channel=0"
        )
    return lines
