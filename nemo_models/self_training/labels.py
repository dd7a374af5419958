"""The labels that a recogniser writes: one for each recording, or for each piece of a long one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.corpora.columns import SPEAKER_COLUMNS
from nemo_models.self_training.cutting import Piece, cut_transcript
from nemo_models.self_training.settings import CutSettings
from nemo_models.transcription.audio_reader import probe_duration
from nemo_models.transcription.inputs import AudioInput

SAME_LENGTH_S = 0.05
"""Seconds by which a manifest's duration may differ from that of the whole file."""


@dataclass
class Label:
    """A text for a piece of audio, with what speaks for and against it.

    Attributes:
        audio: The audio, as an input for further transcriptions.
        seconds: Length of the audio.
        text: The text.
        words: Its words with confidence, while they are needed.
        is_whole: Whether the audio is a whole file.
        measures: Name -> value of each filter that was computed.
        excluded: Reason (see `data_prep.corpora.rows.EXCLUSIONS`) and detail; `None` as long as it is kept.
    """

    audio: AudioInput
    seconds: float
    text: str
    words: tuple[Mapping[str, Any], ...] = ()
    is_whole: bool = True
    measures: dict[str, float] = field(default_factory=dict)
    excluded: tuple[str, str] | None = None

    def as_row(self) -> dict[str, Any]:
        """Return the label as a manifest row that `data_prep.corpora.nemo` reads."""
        fields = self.audio.fields
        row: dict[str, Any] = {"audio_filepath": str(self.audio.path.resolve())}
        if not self.is_whole:
            row |= {"offset": round(self.audio.offset_s, 3), "duration": round(self.seconds, 3)}
        row["text"] = self.text
        row |= {key: fields[key] for key in (*SPEAKER_COLUMNS, "subset") if fields.get(key)}
        if isinstance(self.audio.channel, int):
            row["channel"] = self.audio.channel
        row |= {name: round(value, 4) for name, value in self.measures.items()}
        return row if self.excluded is None else row | {"excluded": ": ".join(self.excluded)}


def make_labels(
    inputs: Iterable[AudioInput], rows: Iterable[Mapping[str, Any]], longest_s: float, settings: CutSettings
) -> Iterator[Label | dict[str, Any]]:
    """Make labels of a transcription's output.

    Args:
        inputs: The transcription's inputs.
        rows: Its rows, in the same order, with words.
        longest_s: Longest label, seconds.
        settings: How longer recordings are cut.

    Yields:
        Labels; for an input that is no audio (a line that is not JSON, say) its fields.

    Raises:
        ValueError: The rows have no words, as those of a model over subwords.
    """
    for audio, row in zip(inputs, rows, strict=True):
        if audio.error:
            yield {**audio.fields, "error": audio.error}
        elif "error" in row:  # data preparation reads the audio too, and names what is wrong with it
            yield Label(audio, audio.expected_s, "", is_whole=_is_whole(audio))
        elif "words" not in row:
            raise ValueError("model_path: expected a model over characters, whose words have times and confidence")
        else:
            yield from _label_pieces(audio, row, longest_s, settings)


def _label_pieces(
    audio: AudioInput, row: Mapping[str, Any], longest_s: float, settings: CutSettings
) -> Iterator[Label]:
    seconds = float(row["duration"])
    pieces = cut_transcript(row["words"], seconds, longest_s, settings)
    for piece in pieces:
        text = " ".join(str(word["word"]) for word in piece.words)
        if len(pieces) == 1 and seconds <= longest_s:
            yield Label(audio, seconds, text, piece.words, is_whole=_is_whole(audio))
            continue
        length_s = piece.end_s - piece.start_s
        label = Label(_select_piece(audio, piece), length_s, text, piece.words, is_whole=False)
        if length_s > longest_s and piece.words:
            label.excluded = (
                "no_pause",
                f"{length_s:.1f} s without a pause of {settings.pause_s:g} s (cut.pause_s); "
                f"limits.max_duration is {longest_s:g} s",
            )
        yield label


def _select_piece(audio: AudioInput, piece: Piece) -> AudioInput:
    start_s, length_s = round(audio.offset_s + piece.start_s, 3), round(piece.end_s - piece.start_s, 3)
    return AudioInput(
        audio.path, start_s, length_s, audio.fields, place=audio.place, channel=audio.channel, label=audio.label
    )


def _is_whole(audio: AudioInput) -> bool:
    """Whether an input is all of its file, which then need not be cut."""
    if audio.offset_s or audio.duration_s is None:
        return not audio.offset_s
    length_s = probe_duration(Path(audio.path))
    return length_s is not None and abs(length_s - audio.duration_s) < SAME_LENGTH_S
