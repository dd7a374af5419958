"""The report as one page to look at: tables that sort and filter, plots, aligned words, audio that plays from a word.

The page is a single file that needs no network. Recordings are linked where they are; those of the utterances with the
most errors are put inside, as long as the file stays small.
"""

import base64
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import soundfile
from jinja2 import Environment, FileSystemLoader

from data_prep.manifest import write_text
from nemo_models.evaluation.audio_evidence import SAMPLE_RATE_HZ, find_audio, read_samples
from nemo_models.evaluation.evaluation import Evaluation
from nemo_models.evaluation.layers import LayeredScore
from nemo_models.evaluation.matching import TestSet
from nemo_models.evaluation.rows import Row
from nemo_models.evaluation.steps import list_steps

MOST_UTTERANCES = 10_000
EMBEDDED_UTTERANCES = 20
_LONGEST_EMBEDDED_S = 30.0
_PAGE = Path(__file__).with_name("report_page")
_KINDS = {"substitution": "s", "deletion": "d", "insertion": "i"}


def write_html_report(
    evaluation: Evaluation,
    path: Path,
    title: str = "Speech recognition report",
    utterances: int = MOST_UTTERANCES,
    embedded: int = EMBEDDED_UTTERANCES,
) -> None:
    """Write the page.

    Args:
        evaluation: From `evaluate`.
        path: The `.html` to write, complete or not at all.
        title: Its title.
        utterances: How many utterances to list; of more, those with the most errors.
        embedded: Recordings to put inside, of the utterances with the most errors.
    """
    test_set, scores = evaluation.test_set, evaluation.scores
    worst = np.argsort(-np.sum([score.errors for score in scores], axis=0), kind="stable")
    shown = np.sort(worst[:utterances]).tolist()
    inside = set(worst[:embedded].tolist())
    rows = [_describe_utterance(test_set, scores, number, path, number in inside) for number in shown]
    systems = [{key: system[key] for key in ("name", "layers", "analysis")} for system in evaluation.report["systems"]]
    total = len(test_set.utterances)
    note = f"All {total:,}." if len(shown) == total else f"The {len(shown):,} of {total:,} with the most errors."
    environment = Environment(loader=FileSystemLoader(_PAGE), autoescape=True)
    environment.filters["thousands"] = lambda number: f"{number:,}"
    page = environment.get_template("report.html.j2").render(
        title=title,
        report=evaluation.report,
        style=(_PAGE / "report.css").read_text(encoding="utf-8"),
        script=(_PAGE / "report.js").read_text(encoding="utf-8"),
        data=_encode({"systems": systems, "utterances": rows}),
        shown_note=note,
    )
    write_text(path, page)


def _encode(value: Any) -> str:
    """Encode as JSON that may stand inside a `script` element: no text of the data can end it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _describe_utterance(
    test_set: TestSet, scores: Sequence[LayeredScore], number: int, page: Path, embed: bool
) -> dict[str, Any]:
    utterance = test_set.utterances[number]
    row = utterance.row
    sound = _embed(row, test_set.folder) if embed else None
    steps, starts = [], []
    for system, score in zip(test_set.systems, scores, strict=True):
        found = list_steps(score, number)
        timed = system.rows[number].words
        steps.append(
            [
                step.hypothesis
                if step.kind == "match" and not step.layer
                else [_KINDS.get(step.kind, "f"), step.reference, step.hypothesis, step.layer]
                for step in found
            ]
        )
        starts.append(
            [round(100 * timed[min(step.hyp_word, len(timed) - 1)].start_s) for step in found] if timed else None
        )
    return {
        "name": Path(row.audio).name + (f" @{row.offset_s:g}" if row.offset_s else ""),
        "speaker": row.speaker,
        "duration": row.duration_s,
        "offset": row.offset_s,
        "words": int(scores[0].words[number]),
        "reference": utterance.reference.text,
        "hypotheses": [system.rows[number].hypothesis or "" for system in test_set.systems],
        "errors": [int(score.errors[number]) for score in scores],
        "raw": [int(score.layers[0].errors[number]) for score in scores],
        "steps": steps,
        "starts": starts,
        "audio": sound or _link(row, test_set.folder, page),
        "embedded": sound is not None,
    }


def _link(row: Row, folder: Path, page: Path) -> str | None:
    audio = find_audio(row.audio, folder)
    if not audio.is_file():
        return None
    return quote(Path(os.path.relpath(audio.resolve(), page.resolve().parent)).as_posix())


def _embed(row: Row, folder: Path) -> str | None:
    """Return an utterance's audio as a data URI, or `None` if it cannot be read or is long."""
    try:
        most = _LONGEST_EMBEDDED_S + 1  # one second more shows that a recording is too long
        samples = read_samples(find_audio(row.audio, folder), row.offset_s, min(row.duration_s or most, most))
        if not 0 < len(samples) <= _LONGEST_EMBEDDED_S * SAMPLE_RATE_HZ:
            return None
        sound = io.BytesIO()
        soundfile.write(sound, samples, SAMPLE_RATE_HZ, format="OGG", subtype="VORBIS")
    except (OSError, RuntimeError, ValueError):
        return None
    return "data:audio/ogg;base64," + base64.b64encode(sound.getvalue()).decode()
