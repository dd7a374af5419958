"""Cuts the words of a CTM file, which has whole recordings, by the segments of the references."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data_prep.arguments import name_some
from nemo_models.evaluation.rows import Row, TimedWord


def cut_by_segments(rows: Sequence[Row], kept: Sequence[Row], path: Path) -> list[Row]:
    """Give each reference segment the words whose middle is inside it.

    Args:
        rows: The recordings of the CTM file, each with its words and channel.
        kept: The reference segments.
        path: The CTM file, for messages.

    Returns:
        A row for each segment, in order; times are relative to its beginning.

    Raises:
        ValueError: A recording has no word, or a word is outside every segment.
    """
    by_name: dict[tuple[str, str], list[TimedWord]] = {}
    for row in rows:
        by_name[Path(row.audio).stem, row.fields["channel"]] = list(row.words)
    used: Counter[tuple[str, str]] = Counter()
    cut = []
    for row in kept:
        channel = row.fields.get("channel")
        name = Path(row.audio).stem
        channels = [key for key in by_name if key[0] == name and (channel is None or key[1] == channel)]
        if not channels:
            raise ValueError(f"{path}: found no word of {name}, expected one or more; transcribe the recording too")
        end = row.offset_s + row.duration_s if row.duration_s is not None else float("inf")
        words = [
            word for key in channels for word in by_name[key] if row.offset_s <= (word.start_s + word.end_s) / 2 < end
        ]
        used.update(dict.fromkeys(channels, len(words)))
        shifted = tuple(replace(w, start_s=w.start_s - row.offset_s, end_s=w.end_s - row.offset_s) for w in words)
        text = " ".join(word.word for word in words)
        cut.append(replace(row, place=str(path), hypothesis=text, words=shifted, reference=None))
    lost = [
        f"{name} ({len(words) - used[name, channel]})"
        for (name, channel), words in by_name.items()
        if used[name, channel] < len(words)
    ]
    if lost:
        raise ValueError(f"{path}: found words outside every reference segment: {name_some(lost)}; remove them")
    return cut
