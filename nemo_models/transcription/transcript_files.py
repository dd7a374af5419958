"""What comes out of a transcription: one row of JSON for each input, and where it is written."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.audio.formats import is_recording
from data_prep.text.normalizer import normalize_text
from nemo_models.evaluation.scoring import Scores, score_texts
from nemo_models.transcription.inputs import AudioInput

STAMPS = ("char", "word", "segment")
NEMO_FIELDS = (*STAMPS, "word_confidence", "beams")
"""What NeMo's script writes with `timestamps`, `confidence` and `extract_nbest`: lists, all of them."""
_MOST_NAMED = 5
TIME_DIGITS, CONFIDENCE_DIGITS = 3, 4  # after the point: a millisecond; more than a confidence means


@dataclass(frozen=True)
class Word:
    """One recognised word.

    Attributes:
        word: Its text.
        start_s: Where it begins, seconds from the beginning of the input.
        end_s: Where it ends.
        confidence: 0 … 1, or `None` where the decoder gives none.
    """

    word: str
    start_s: float
    end_s: float
    confidence: float | None = None


@dataclass(frozen=True)
class Transcript:
    """What came of one input.

    Attributes:
        index: The input's position.
        audio: The input.
        text: What was recognised; empty where nothing was or an error occurred.
        duration_s: Audio that was read, seconds.
        error: Why there is no text (`reason: details`), or `None`.
        words: The text's words with their times; `None` where they were not asked for.
        spoken_text: The text before digits were written into it; `None` where that was not asked for.
        nemo_fields: What NeMo's script writes beside the text, where it was asked for.
    """

    index: int
    audio: AudioInput
    text: str = ""
    duration_s: float = 0.0
    error: str | None = None
    words: tuple[Word, ...] | None = None
    spoken_text: str | None = None
    nemo_fields: Mapping[str, Any] = field(default_factory=dict)


def transcript_row(transcript: Transcript, text_key: str = "pred_text") -> dict[str, Any]:
    """Return a transcript as a row of output.

    The input's fields, `duration` where they have none, the text, `words` (word, start and end in seconds, confidence)
    and the spoken text where they were asked for, and `error` where there is one. What an earlier run wrote of these,
    or of NeMo's fields, is not kept: it would be taken for what belongs to this text.
    """
    of_an_earlier_run = {"error", f"{text_key}_spoken"}
    of_an_earlier_run |= {key for key in ("words", *NEMO_FIELDS) if isinstance(transcript.audio.fields.get(key), list)}
    row = {key: value for key, value in transcript.audio.fields.items() if key not in of_an_earlier_run}
    if not transcript.error and row.get("duration") is None:
        row["duration"] = round(transcript.duration_s, 4)
    row[text_key] = transcript.text
    if transcript.spoken_text is not None:
        row[f"{text_key}_spoken"] = transcript.spoken_text
    if transcript.words is not None:
        row["words"] = [_word_row(word) for word in transcript.words]
    row.update(transcript.nemo_fields)
    return row | {"error": transcript.error} if transcript.error else row


def _word_row(word: Word) -> dict[str, Any]:
    row: dict[str, Any] = {
        "word": word.word,
        "start": round(word.start_s, TIME_DIGITS),
        "end": round(word.end_s, TIME_DIGITS),
    }
    return row if word.confidence is None else row | {"confidence": round(word.confidence, CONFIDENCE_DIGITS)}


def plan_output(
    output_filename: str | None,
    source: Path | None,
    model_name: str,
    append_pred: bool = False,
    pred_name_postfix: str | None = None,
) -> tuple[Path, str]:
    """Settle where the transcripts go and under which key, by NeMo's rules, and make the folder.

    Args:
        output_filename: What the user asked for; `None`: `<manifest>_<postfix or model>.json`, or `<folder>.json`.
        source: The manifest, list or folder that names the audio; `None` where that is no file.
        model_name: The model's name.
        append_pred: Whether the key is `pred_text_<postfix or model>` rather than `pred_text`.
        pred_name_postfix: Stands for the model's name.

    Returns:
        The file and the key.

    Raises:
        ValueError: The file is a folder or a device, or is the manifest itself and would lose its texts, or there is
            no name.
    """
    name = (pred_name_postfix or model_name).replace("/", "_")  # such as nvidia/x on a hub
    if output_filename is not None:
        output = Path(output_filename)
    elif source is None:
        raise ValueError("output_filename=… is needed where the audio does not come from a manifest or a folder")
    elif source.is_dir():
        output = source.resolve().with_name(source.resolve().name + ".json")
    else:
        output = source.with_name(f"{source.stem}_{name}{'.json' if is_recording(source) else source.suffix}")
    if output.is_dir():
        raise ValueError(f"output_filename {output}: a folder, expected a file")
    if output.exists() and not output.is_file():
        raise ValueError(f"output_filename {output}: a device or pipe, expected a file; name one and read it then")
    if output.exists() and source is not None and output.samefile(source) and not append_pred:
        raise ValueError(f"output_filename {output}: the manifest itself; choose another, or append_pred=true")
    output.parent.mkdir(parents=True, exist_ok=True)
    return output, f"pred_text_{name}" if append_pred else "pred_text"


def check_output(
    output: Path, inputs: Sequence[AudioInput], manifest: str | None, other_files: Mapping[str, str]
) -> None:
    """Refuse an output that takes the place of something that is read.

    Args:
        output: The file to be written.
        inputs: All inputs of the job.
        manifest: Where they come from, which may be written over with all that its lines say.
        other_files: What else is read, by the argument that names it.

    Raises:
        ValueError: It is a recording, a model or a list, or a manifest with lines that would be lost.
    """
    try:
        there = output.stat()
    except OSError:
        return
    for audio in inputs:
        if _is_file(audio.path, there):
            raise ValueError(f"output_filename {output}: is the recording {audio.path}; choose another")
    for key, name in other_files.items():
        if _is_file(Path(name), there):
            raise ValueError(f"output_filename {output}: is what {key} names; choose another")
    lost = [str(audio.place) for audio in inputs if audio.error and not audio.fields]
    if manifest is not None and lost and _is_file(Path(manifest), there):
        more = f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
        raise ValueError(
            f"output_filename {output}: the manifest itself, and lines that are no JSON objects would be lost: "
            f"{', '.join(lost[:_MOST_NAMED])}{more}; mend them, or choose another output"
        )


def _is_file(path: Path, there: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), there)
    except (OSError, ValueError):  # is not there, or cannot be
        return False


def score_rows(rows: Iterable[Mapping[str, Any]], text_key: str, reference_key: str = "text") -> Scores | None:
    """Score the rows of an output that have a reference and no error; `None` where no reference holds a word.

    The text as it was spoken is scored, where digits were written into the other.
    """
    pairs = [
        (reference, row.get(f"{text_key}_spoken", row[text_key]))
        for row in rows
        if isinstance(reference := row.get(reference_key), str) and "error" not in row
    ]
    if not any(normalize_text(reference) for reference, _ in pairs):
        return None
    return score_texts([reference for reference, _ in pairs], [text for _, text in pairs])
