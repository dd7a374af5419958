"""What goes into a transcription and what comes out: manifests and folders in, JSON lines in the same order out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any

from data_prep.manifest import read_manifest, resolve_audio_path, write_jsonl
from data_prep.text import normalize_text
from nemo_models.audio_reader import AUDIO_TYPES, probe_duration
from nemo_models.scoring import Scores, score_texts


@dataclass(frozen=True)
class AudioInput:
    """One piece of audio to transcribe.

    Attributes:
        path: The file.
        offset_s: Where the piece begins in it, seconds.
        duration_s: How long it is, seconds; `None`: to the end of the file.
        fields: The manifest's row, or what else is to stand beside the text in the output.
        error: Why it cannot be read, where that is known before reading (`reason: details`).
    """

    path: Path
    offset_s: float = 0.0
    duration_s: float | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class Transcript:
    """What came of one input.

    Attributes:
        index: The input's position.
        audio: The input.
        text: What was recognised; empty where nothing was or an error occurred.
        duration_s: Audio that was read, seconds.
        error: Why there is no text (`reason: details`), or `None`.
    """

    index: int
    audio: AudioInput
    text: str = ""
    duration_s: float = 0.0
    error: str | None = None


def list_inputs(
    dataset_manifest: Path | None = None,
    audio_dir: Path | None = None,
    audio_key: str = "audio_filepath",
    audio_type: str | None = None,
) -> list[AudioInput]:
    """List what to transcribe, from a manifest or a folder; see `read_manifest_inputs`, `find_audio_inputs`.

    Raises:
        FileNotFoundError: There is no such manifest or folder.
        ValueError: Neither or both are given, a line of the manifest cannot be read, or there is nothing to do.
    """
    if (dataset_manifest is None) == (audio_dir is None):
        raise ValueError("give either dataset_manifest (JSON lines) or audio_dir (a folder)")
    if dataset_manifest is not None:
        return read_manifest_inputs(dataset_manifest, audio_key)
    assert audio_dir is not None
    return find_audio_inputs(audio_dir, audio_type)


def read_manifest_inputs(manifest_path: Path, audio_key: str = "audio_filepath") -> list[AudioInput]:
    """List the audio of a NeMo manifest; `offset` and `duration` cut a segment out of the file.

    Raises:
        FileNotFoundError: There is no such manifest.
        ValueError: A line is not a JSON object with a path under `audio_key` (names file and line), or there is none.
    """
    rows = read_manifest(manifest_path, required_keys=(audio_key,))
    if not rows:
        raise ValueError(f"{manifest_path}: an empty manifest")
    for row in rows:
        if not isinstance(row[audio_key], str):
            raise ValueError(f"{manifest_path}: {audio_key} is {row[audio_key]!r}, expected a path")
    return [_input_of_row(row, resolve_audio_path(row[audio_key], manifest_path)) for row in rows]


def find_audio_inputs(audio_dir: Path, audio_type: str | None = None) -> list[AudioInput]:
    """List the audio files under a folder and its subfolders, in order of their paths.

    Args:
        audio_dir: The folder.
        audio_type: Extension of the files to take, such as `wav`; `None` takes all of `AUDIO_TYPES`.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It holds no such file.
    """
    if not audio_dir.is_dir():
        raise FileNotFoundError(f"{audio_dir}: no such folder")
    types = {f".{name.lower().lstrip('.')}" for name in ([audio_type] if audio_type else AUDIO_TYPES)}
    paths = sorted(path for path in audio_dir.rglob("*") if path.suffix.lower() in types and path.is_file())
    if not paths:
        raise ValueError(f"{audio_dir}: holds no file that ends in {', '.join(sorted(types))}")
    return [AudioInput(path, fields={"audio_filepath": str(path)}) for path in paths]


def measure_durations(inputs: Iterable[AudioInput]) -> list[AudioInput]:
    """Fill in the durations that are not known yet from the files' headers; `None` stays where that fails."""
    return [_with_duration(audio) if audio.duration_s is None and not audio.error else audio for audio in inputs]


def plan_output(
    output_filename: str | None,
    source: Path,
    model_name: str,
    append_pred: bool = False,
    pred_name_postfix: str | None = None,
) -> tuple[Path, str]:
    """Settle where the transcripts go and under which key, by NeMo's rules, and make the folder.

    Args:
        output_filename: What the user asked for; `None`: `<manifest>_<postfix or model>.json`, or `<folder>.json`.
        source: The manifest or folder with the audio.
        model_name: The model's name.
        append_pred: Whether the key is `pred_text_<postfix or model>` rather than `pred_text`.
        pred_name_postfix: Stands for the model's name.

    Returns:
        The file and the key.

    Raises:
        ValueError: The file is a folder, or is the manifest itself and would lose its texts.
    """
    name = pred_name_postfix or model_name
    if output_filename is not None:
        output = Path(output_filename)
    elif source.is_dir():
        output = source.resolve().with_name(source.resolve().name + ".json")
    else:
        output = source.with_name(f"{source.stem}_{name}{source.suffix}")
    if output.is_dir():
        raise ValueError(f"output_filename {output}: a folder, expected a file")
    if output.exists() and output.samefile(source) and not append_pred:
        raise ValueError(f"output_filename {output}: the manifest itself; choose another, or append_pred=true")
    output.parent.mkdir(parents=True, exist_ok=True)
    return output, f"pred_text_{name}" if append_pred else "pred_text"


def write_transcripts(path: Path, transcripts: Sequence[Transcript], text_key: str = "pred_text") -> None:
    """Write transcripts as JSON lines, in the inputs' order; the file appears complete or not at all."""
    ordered = sorted(transcripts, key=lambda transcript: transcript.index)
    write_jsonl(path, (transcript_row(transcript, text_key) for transcript in ordered))


def transcript_row(transcript: Transcript, text_key: str = "pred_text") -> dict[str, Any]:
    """Return a transcript as a row of output: the input's fields, then the text, then the error if there is one."""
    row = {key: value for key, value in transcript.audio.fields.items() if key != "error"}
    if not transcript.error:
        row.setdefault("duration", round(transcript.duration_s, 4))
    row[text_key] = transcript.text
    return row | {"error": transcript.error} if transcript.error else row


def score_transcripts(transcripts: Iterable[Transcript], reference_key: str = "text") -> Scores | None:
    """Score the transcripts that have a reference and no error; `None` where no reference holds a word."""
    pairs = [
        (reference, transcript.text)
        for transcript in transcripts
        if isinstance(reference := transcript.audio.fields.get(reference_key), str) and not transcript.error
    ]
    if not any(normalize_text(reference) for reference, _ in pairs):
        return None
    return score_texts([reference for reference, _ in pairs], [text for _, text in pairs])


def _input_of_row(row: dict[str, Any], path: Path) -> AudioInput:
    seconds = {key: row.get(key) for key in ("offset", "duration")}
    for key, value in seconds.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
        if value is not None and not (is_number and value >= 0):
            return AudioInput(path, fields=row, error=f"manifest: {key} is {value!r}, expected seconds, 0 or more")
    return AudioInput(path, seconds["offset"] or 0.0, seconds["duration"], fields=row)


def _with_duration(audio: AudioInput) -> AudioInput:
    duration_s = probe_duration(audio.path)
    return audio if duration_s is None else replace(audio, duration_s=max(0.0, duration_s - audio.offset_s))
