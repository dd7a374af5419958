"""Subtitles: words cut into cues that can be read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from data_prep.arguments import require_int, require_number

if TYPE_CHECKING:
    from nemo_models.transcription.transcripts import Word


@dataclass(frozen=True)
class SubtitleSettings:
    """The form of subtitles. The defaults are what broadcasters ask for.

    Attributes:
        line_characters: Most characters in a line; only a single longer word exceeds it.
        lines: Most lines in a cue, 1 or 2.
        longest_cue_s: Most seconds that a cue lasts, unless a single word lasts longer.
        shortest_cue_s: Least seconds that a cue lasts; it is shown longer where the words are over sooner.
        pause_s: Seconds of silence that end a cue.
        closed_gap_s: Shorter gaps between two cues are closed, for they would flicker.

    Raises:
        ValueError: A setting is out of range.
    """

    line_characters: int = 42
    lines: int = 2
    longest_cue_s: float = 6.0
    shortest_cue_s: float = 0.7
    pause_s: float = 0.6
    closed_gap_s: float = 0.3

    def __post_init__(self) -> None:
        require_int("subtitles.line_characters", self.line_characters, 1)
        require_number("subtitles.lines", self.lines, 1, 2)
        require_number("subtitles.longest_cue_s", self.longest_cue_s, above=0)
        require_number("subtitles.shortest_cue_s", self.shortest_cue_s, 0, self.longest_cue_s)
        require_number("subtitles.pause_s", self.pause_s, 0)
        require_number("subtitles.closed_gap_s", self.closed_gap_s, 0)


@dataclass(frozen=True)
class Cue:
    """A text that is shown for a time.

    Attributes:
        start_s: Second at which it appears.
        end_s: Second at which it disappears.
        text: One or two lines.
    """

    start_s: float
    end_s: float
    text: str


def list_cues(words: Sequence["Word"], settings: SubtitleSettings, label: str = "") -> list[Cue]:
    """Cut words into cues.

    A cue ends at a pause. Between two pauses, cues get similar lengths, so that no word stays alone at the end, and
    end at the longer silences where they can.

    Args:
        words: Words in order, none of which begins before the last one has ended.
        settings: The form of the cues.
        label: Beginning of each cue's text.

    Returns:
        Cues in order, without overlap, each at least `shortest_cue_s` long.
    """
    cues = [
        Cue(part[0].start_s, part[-1].end_s, _wrap(label + _join(part), settings) or label + _join(part))
        for run in _split_at_pauses(words, settings.pause_s)
        for part in _balance(run, settings, label)
    ]
    return _adjust_times(cues, settings)


def _split_at_pauses(words: Sequence["Word"], pause_s: float) -> Iterator[list["Word"]]:
    run: list[Word] = []
    for word in words:
        if run and word.start_s - run[-1].end_s >= pause_s:
            yield run
            run = []
        run.append(word)
    if run:
        yield run


def _balance(run: Sequence["Word"], settings: SubtitleSettings, label: str) -> list[Sequence["Word"]]:
    """Cut words without a pause among them into the cues of least cost, by dynamic programming."""
    best: list[tuple[float, int]] = [(0.0, 0)]  # for each number of words: least cost, and where its last cue begins
    for end in range(1, len(run) + 1):
        choices = []
        for start in range(end - 1, -1, -1):
            cost = _cost(run[start:end], settings, label)
            if cost is None:
                break
            silence_s = run[start].start_s - run[start - 1].end_s if start else settings.pause_s
            share = min(1.0, silence_s / settings.pause_s) if settings.pause_s else 1.0
            choices.append((best[start][0] + cost - share * _full(settings) / 4, start))
        best.append(min(choices))
    cues: list[Sequence[Word]] = []
    end = len(run)
    while end:
        start = best[end][1]
        cues.append(run[start:end])
        end = start
    return cues[::-1]


def _cost(part: Sequence["Word"], settings: SubtitleSettings, label: str) -> float | None:
    """Return the cost of a cue; `None` if it is too long. Equal lengths, and few cues, cost least."""
    text, seconds = label + _join(part), part[-1].end_s - part[0].start_s
    if len(part) > 1 and (seconds > settings.longest_cue_s or _wrap(text, settings) is None):
        return None
    short = _full(settings) if seconds < settings.shortest_cue_s else 0
    return _full(settings) + short + float(len(text)) ** 2


def _full(settings: SubtitleSettings) -> int:
    return (settings.line_characters * settings.lines) ** 2


def _wrap(text: str, settings: SubtitleSettings) -> str | None:
    """Break a text into lines, near its middle; `None` if it is too long for them."""
    if len(text) <= settings.line_characters:
        return text
    limit = settings.line_characters
    breaks = [at for at, character in enumerate(text) if character == " "]
    fitting = [at for at in breaks if at <= limit and len(text) - at - 1 <= limit]
    if settings.lines < 2 or not fitting:
        return None
    middle = min(fitting, key=lambda at: abs(at - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1 :]}"


def _join(part: Sequence["Word"]) -> str:
    return " ".join(word.word for word in part)


def _adjust_times(cues: Sequence[Cue], settings: SubtitleSettings) -> list[Cue]:
    """Show short cues longer, in the silence after or before them, and close small gaps."""
    adjusted: list[Cue] = []
    for number, cue in enumerate(cues):
        reached = adjusted[-1].end_s if adjusted else 0.0
        following = cues[number + 1].start_s if number + 1 < len(cues) else float("inf")
        start, end = max(cue.start_s, reached), max(cue.end_s, reached)
        if end - start < settings.shortest_cue_s:
            end = max(end, min(following, start + settings.shortest_cue_s))
            if adjusted and end - start < settings.shortest_cue_s:
                start = max(reached, end - settings.shortest_cue_s)
            end = max(end, start + settings.shortest_cue_s)  # at the cost of the next cue, if nothing else is left
        if 0 < following - end <= settings.closed_gap_s and following - start <= settings.longest_cue_s:
            end = following
        adjusted.append(replace(cue, start_s=start, end_s=end))
    return adjusted
