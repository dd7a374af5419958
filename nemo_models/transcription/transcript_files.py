"""The output file of a transcription: its name, the check that no other file is overwritten, and its scores."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.audio.formats import is_recording
from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.languages.union import LANGUAGE_KEY, name_languages
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import AS_WRITTEN
from nemo_models.evaluation.scoring import Scores, score_texts
from nemo_models.transcription.inputs import AudioInput

_MOST_NAMED = 5


def plan_output(
    output_filename: str | None,
    source: Path | None,
    model_name: str,
    append_pred: bool = False,
    pred_name_postfix: str | None = None,
) -> tuple[Path, str]:
    """Decide by NeMo's rules where the transcripts are written and under which key, and make the folder.

    Args:
        output_filename: The user's choice; `None`: `<manifest>_<postfix or model>.json`, or `<folder>.json`.
        source: The manifest, list or folder that names the audio; `None` if it came from elsewhere.
        model_name: The model's name.
        append_pred: Whether the key is `pred_text_<postfix or model>` instead of `pred_text`.
        pred_name_postfix: Used in place of the model's name.

    Returns:
        The file and the key.

    Raises:
        ValueError: The file is a folder or a device, or the manifest itself, which would lose its texts, or there is
            no name to take.
    """
    name = (pred_name_postfix or model_name).replace("/", "_")  # such as nvidia/x on a hub
    if output_filename is not None:
        output = Path(output_filename)
    elif source is None:
        raise ValueError("output_filename=null: expected a file name, because the audio is not from a file; give one")
    elif source.is_dir():
        output = source.resolve().with_name(source.resolve().name + ".json")
    else:
        output = source.with_name(f"{source.stem}_{name}{'.json' if is_recording(source) else source.suffix}")
    if output.is_dir():
        raise ValueError(f"output_filename={output}: expected a file, found a folder; add a file name")
    if output.exists() and not output.is_file():
        raise ValueError(
            f"output_filename={output}: expected a file, found a device or pipe; write a file and read that"
        )
    if output.exists() and source is not None and output.samefile(source) and not append_pred:
        raise ValueError(
            f"output_filename={output}: expected another file than the manifest; choose one, or append_pred=true"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    return output, f"pred_text_{name}" if append_pred else "pred_text"


def check_output(
    output: Path, inputs: Sequence[AudioInput], manifest: str | None, other_files: Mapping[str, str]
) -> None:
    """Refuse an output that would overwrite something that the job reads.

    Args:
        output: The file to be written.
        inputs: All inputs of the job.
        manifest: The manifest of the inputs; it may be overwritten, for the rows keep its fields.
        other_files: What else is read, by the argument that names it.

    Raises:
        ValueError: The output is a recording, a model or a list, or a manifest with lines that would be lost.
    """
    try:
        there = output.stat()
    except OSError:
        return
    for audio in inputs:
        if _is_file(audio.path, there):
            raise ValueError(f"output_filename={output}: expected another file than the recording {audio.path}")
    for key, name in other_files.items():
        if _is_file(Path(name), there):
            raise ValueError(f"output_filename={output}: expected another file than {key}={name}; choose one")
    lost = [str(audio.place) for audio in inputs if audio.error and not audio.fields]
    if manifest is not None and lost and _is_file(Path(manifest), there):
        more = f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
        raise ValueError(
            f"output_filename={output}: expected another file than the manifest, whose lines that are not JSON objects "
            f"would be lost: {', '.join(lost[:_MOST_NAMED])}{more}; correct them, or choose another output"
        )


def _is_file(path: Path, there: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), there)
    except (OSError, ValueError):  # missing, or not a valid name
        return False


def score_rows(
    rows: Iterable[Mapping[str, Any]], text_key: str, reference_key: str = "text", language: str = DEFAULT_LANGUAGE
) -> Scores | None:
    """Score the rows of an output that have a reference and no error; `None` if no reference holds a word.

    Where numbers were written in digits, the text as it was spoken is scored. Of several languages, each row is scored
    by its own (`lang`), or by the first where it has none.
    """
    named = name_languages(language)
    first = next(iter(named.values()))
    scored = [
        (reference, row.get(f"{text_key}_spoken", row[text_key]), named.get(str(row.get(LANGUAGE_KEY)), first))
        for row in rows
        if isinstance(reference := row.get(reference_key), str) and "error" not in row
    ]
    if not any(normalize_text(reference, replace(AS_WRITTEN, language=own)) for reference, _, own in scored):
        return None
    references, texts, languages = zip(*scored, strict=True)
    return score_texts(references, texts, languages)
