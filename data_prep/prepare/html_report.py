"""The report as one page: a single HTML file with its charts and sounds inside, without scripts.

It shows the content of `report.json` and a few rejected utterances of each reason to listen to, cut and compressed so
that the file stays small. The page is a Jinja2 template that escapes every value. Where a browser has no Devanagari
font, the names of the characters are beside them.
"""

import base64
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined

from data_prep.audio.reader import SAMPLE_RATE_HZ, AudioError, AudioReader
from data_prep.prepare.channel_summary import format_channels
from data_prep.prepare.report import format_english_words
from data_prep.selection.quality import ERROR_REASONS, REASONS

TEMPLATE = "report.html.j2"
EXAMPLES_PER_REASON = 3
EXAMPLE_SECONDS = 8.0
MAX_AUDIO_BYTES = 3_000_000  # of all examples together
_LONGEST_READ_S = 120.0  # to cut an example from
_SPEAKERS_SHOWN = 24
_CHART = {"width": 420, "height": 200, "left": 44, "bottom": 34, "top": 10}
HISTOGRAMS = {
    "duration_s": ("Duration", "seconds"),
    "characters_per_second": ("Speaking rate", "characters a second"),
    "snr_db": ("Signal-to-noise ratio, estimated", "dB"),
}


class ExampleCollector:
    """Keeps the first rejected utterances of each reason, with their audio as data URIs.

    Attributes:
        chosen: Reason -> rows of `rejected.jsonl`, each with `sound`: a data URI, or `None` without audible audio.
    """

    def __init__(self, channel: int | str | None = "auto", audio_column: str | None = None) -> None:
        """Set up a collector.

        Args:
            channel: Which channel is used where a row has no choice.
            audio_column: Column of audio in Parquet files; `None` for the first one.
        """
        self._channel = channel
        self._audio_column = audio_column
        self.chosen: dict[str, list[dict[str, Any]]] = {}
        self._budget = MAX_AUDIO_BYTES

    def __enter__(self) -> "ExampleCollector":
        self._folder = TemporaryDirectory()
        self._reader = AudioReader(Path(self._folder.name), self._channel, audio_column=self._audio_column)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self._folder.cleanup()

    def add(self, row: Mapping[str, Any], audio: Mapping[str, Any] | None) -> None:
        """Keep a rejected row, if its reason has too few examples so far.

        Args:
            row: A row of `rejected.jsonl`.
            audio: Its audio: `audio`, `offset`, `duration`, `row`, `channel`.
        """
        rows = self.chosen.setdefault(row["reason"], [])
        if len(rows) < EXAMPLES_PER_REASON:
            sound = _encode_sound(audio, self._reader) if self._budget > 0 and audio else None
            self._budget -= len(sound or "")
            rows.append({**row, "sound": sound})


def format_html(report: Mapping[str, Any], examples: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Format a report as a page.

    Args:
        report: The content of `report.json`.
        examples: The examples of `ExampleCollector`.

    Returns:
        A whole, self-contained HTML document.
    """
    hours = [split["hours"] for split in report["splits"].values()]
    ranked = sorted(report["speaker_hours"].items(), key=lambda item: (-item[1], item[0]))
    most = ranked[0][1] if ranked and ranked[0][1] else 1
    shown = [{"name": name, "minutes": 60 * time, "share": time / most} for name, time in ranked[:_SPEAKERS_SHOWN]]
    environment = Environment(loader=PackageLoader("data_prep.prepare"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template(TEMPLATE).render(
        report=report,
        hours=sum(hours),
        most_hours=max(hours, default=0) or 1,
        warnings=[
            *report["notes"],
            *(cause["message"] for cause in report["causes"]),
            *format_channels(report["multi_channel"])[1:],  # the first line is no warning
            *format_english_words(report["english_words"]),
        ],
        charts=[_lay_out_chart(report["histograms"][name], *names) for name, names in HISTOGRAMS.items()],
        reasons=list(_list_reasons(report, examples)),
        letters=list(_list_letters(report["alphabet"]["counts"])),
        speakers=shown,
        more_speakers=len(ranked) - _SPEAKERS_SHOWN,
        settings={"corpus": report["corpus"], "corpus_dir": report["corpus_dir"], **report["settings"]},
    )
    return page.encode("utf-8", "replace").decode()  # names of files may hold lone surrogates


def _lay_out_chart(histogram: Mapping[str, Any], title: str, unit: str) -> dict[str, Any]:
    """Compute the bars and labels of a histogram, with a line at the median; a bar shows its numbers on hover."""
    counts, start, step = histogram["counts"], histogram["start"], histogram["step"]
    total = sum(counts)
    if not total:
        return {"title": title, "bars": []}
    wide, high = _CHART["width"] - _CHART["left"] - 8, _CHART["height"] - _CHART["bottom"] - _CHART["top"]
    floor, left, most = _CHART["height"] - _CHART["bottom"], _CHART["left"], max(counts)
    each = wide / len(counts)
    bars = [
        {
            "x": left + at * each + 0.5,
            "y": floor - high * count / most,
            "width": max(each - 1, 0.5),
            "height": high * count / most,
            "tip": f"{start + at * step:g} to {start + (at + 1) * step:g} {unit}: {count:,} utterances "
            f"({count / total:.1%})",
        }
        for at, count in enumerate(counts)
    ]
    ticks = range(0, len(counts) + 1, max(1, round(len(counts) / 7)))
    median = _find_median(counts, start, step)
    return {
        **_CHART,
        "title": title,
        "label": f"{unit}; median {median:.1f}",
        "bars": bars,
        "ticks": [{"x": left + at * each, "label": f"{start + at * step:g}"} for at in ticks],
        "wide": wide,
        "floor": floor,
        "most": most,
        "median_x": left + (median - start) / step * each,
    }


def _find_median(counts: Sequence[int], start: float, step: float) -> float:
    """Interpolate the median inside its bin."""
    half, before = sum(counts) / 2, 0
    for at, count in enumerate(counts):
        if count and before + count >= half:
            return start + step * (at + (half - before) / count)
        before += count
    return start


def _list_reasons(
    report: Mapping[str, Any], examples: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[dict[str, Any]]:
    """Yield what the page shows of each reason, errors first."""
    reasons = report["rejected_by_reason"]
    for code, count in sorted(reasons.items(), key=lambda item: (item[0] not in ERROR_REASONS, -item[1])):
        yield {
            "code": code,
            "count": count,
            "meaning": REASONS[code],
            "kind": "bad" if code in ERROR_REASONS else "warn",
            "share": count / max(reasons.values()),
            "examples": [{**row, "place": _describe_place(row)} for row in examples.get(code, ())],
        }


def _describe_place(row: Mapping[str, Any]) -> str:
    return f"{Path(row['file']).name}:{row['line']}" + (f" · {row['path']}" if row["path"] else "")


def _list_letters(counts: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for name, count in counts.items():
        code = name.split(" ")[0]
        character = chr(int(code.removeprefix("U+"), 16))
        combining = unicodedata.category(character).startswith("M")
        shown = "␣" if character == " " else f"\u25cc{character}" if combining else character
        yield {"name": name, "code": code, "shown": shown, "count": count}


def _encode_sound(place: Mapping[str, Any], reader: AudioReader) -> str | None:
    """Return the first seconds of an utterance as an MP3 data URI; `None` if nothing can be decoded."""
    try:
        samples = reader.read(
            place["audio"], place["offset"], place["duration"], place["row"], _LONGEST_READ_S, place["channel"]
        ).samples
    except AudioError:
        try:  # too long to decode whole
            start = place["offset"] or 0.0
            samples = reader.read(
                place["audio"], start, EXAMPLE_SECONDS, place["row"], channel=place["channel"]
            ).samples
        except (AudioError, OSError):
            return None
    except OSError:
        return None
    samples = samples[: round(EXAMPLE_SECONDS * SAMPLE_RATE_HZ)]
    if not len(samples):
        return None
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE_HZ, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.8)
    return f"data:audio/mpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
