"""The report as one page to look at: a single HTML file with its charts and sounds inside, and no scripts.

It holds what `report.json` holds and a few rejected utterances of each reason to listen to, cut and compressed so that
the file stays small. Where a browser has no Devanagari font, names of characters stand beside them.
"""

import base64
import io
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import soundfile

from data_prep.audio.reader import SAMPLE_RATE_HZ, AudioError, AudioReader
from data_prep.selection.quality import ERROR_REASONS, REASONS

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
_STYLE = """
:root{color-scheme:light dark;--ink:#1d2433;--soft:#5d6880;--line:#dfe4ee;--page:#f5f7fb;--card:#fff;--bar:#3d6bd6;
--good:#2a8c67;--bad:#c2453d;--warn:#b7791f}
@media(prefers-color-scheme:dark){:root{--ink:#e8ecf5;--soft:#9aa6bf;--line:#2c3548;--page:#11161f;--card:#1a2130;
--bar:#7aa2ff;--good:#56c79b;--bad:#ff8a80;--warn:#e6b455}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);line-height:1.5;
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans Devanagari","Nirmala UI",Mangal,
"Kohinoor Devanagari",sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}h1{font-size:28px;margin:0}h2{font-size:18px;margin:0 0 12px}
p{margin:4px 0 12px;color:var(--soft)}section{background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:20px 22px;margin:18px 0}.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;
margin:20px 0}.cards div{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px}
.cards b{display:block;font-size:25px;line-height:1.2;font-variant-numeric:tabular-nums}.cards span{color:var(--soft);
font-size:13px}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:7px 10px 7px 0;
vertical-align:top;border-bottom:1px solid var(--line)}th{font-size:13px;color:var(--soft);font-weight:600}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.bar{width:34%}.track{background:var(--line);border-radius:4px;
height:12px;margin-top:5px}.track i{display:block;height:12px;border-radius:4px;background:var(--bar);min-width:2px}
.bad i{background:var(--bad)}.warn i{background:var(--warn)}.good{color:var(--good)}.alarm{color:var(--bad)}
code{font:13px ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font-size:12px}.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));
gap:18px}.charts section{margin:0}
.letters{display:grid;grid-template-columns:repeat(auto-fill,minmax(74px,1fr));gap:8px}
.letters div{border:1px solid var(--line);border-radius:8px;text-align:center;padding:6px 2px}.letters b{font-size:24px;
font-weight:500;display:block;line-height:1.45}.letters span{font-size:11px;color:var(--soft);display:block}
.letters .none{border-color:var(--bad);background:color-mix(in srgb,var(--bad) 10%,transparent)}
.example{border-left:3px solid var(--line);padding:2px 0 2px 12px;margin:10px 0}
.example p{margin:2px 0;color:var(--ink)}
.example small{color:var(--soft);overflow-wrap:anywhere}audio{height:34px;width:min(100%,380px);margin-top:4px}
details summary{cursor:pointer;color:var(--soft)}
"""


def collect_examples(
    rejected: Iterable[tuple[Mapping[str, Any], Mapping[str, Any] | None]],
) -> dict[str, list[dict[str, Any]]]:
    """Choose the first rejected utterances of each reason and turn their audio into data URIs.

    Args:
        rejected: Rows of `rejected.jsonl`, each with where its audio lies (`audio`, `offset`, `duration`, `row`).

    Returns:
        Reason → rows, each with `sound`: a data URI, or `None` where there is nothing to hear.
    """
    chosen: dict[str, list[dict[str, Any]]] = {}
    budget = MAX_AUDIO_BYTES
    with TemporaryDirectory() as scratch, AudioReader(Path(scratch)) as reader:
        for row, audio in rejected:
            rows = chosen.setdefault(row["reason"], [])
            if len(rows) < EXAMPLES_PER_REASON:
                sound = _encode_sound(audio, reader) if budget > 0 and audio else None
                budget -= len(sound or "")
                rows.append({**row, "sound": sound})
    return chosen


def format_html(report: Mapping[str, Any], examples: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Lay a report out as a page.

    Args:
        report: What `report.json` holds.
        examples: What `collect_examples` gives.

    Returns:
        A whole HTML document, self-contained.
    """
    charts = "".join(
        f"<section><h2>{title}</h2>{_draw_histogram(report['histograms'][name], unit)}</section>"
        for name, (title, unit) in HISTOGRAMS.items()
    )
    body = [
        _head(report),
        f'<section id="splits"><h2>Splits</h2>{_tabulate_splits(report)}</section>',
        f'<section id="leaks"><h2>Leaks between splits</h2>{_tabulate_leaks(report)}</section>',
        f'<div class="charts" id="histograms">{charts}</div>',
        f'<section id="rejections"><h2>Left out, and why</h2>{_list_rejections(report, examples)}</section>',
        f'<section id="alphabet"><h2>Alphabet</h2>{_show_alphabet(report)}</section>',
        f'<section id="speakers"><h2>Speakers</h2>{_list_speakers(report)}</section>',
        f'<section id="settings"><h2>Settings</h2>{_list_settings(report)}</section>',
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    title = f"<title>{_safe(report['source'])} – data report</title>"
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}{title}<style>{_STYLE}</style></head>\n<body><main>\n' + (
        "\n".join(body) + "\n</main></body></html>\n"
    )


def _safe(value: Any) -> str:
    return escape(str(value).encode("utf-8", "replace").decode())


def _head(report: Mapping[str, Any]) -> str:
    hours = sum(split["hours"] for split in report["splits"].values())
    share = report["kept"] / report["in"] if report["in"] else 0.0
    broken = report["rejected_as_error"]
    cards = [
        (f"{hours:.2f}", "hours kept"),
        (f"{report['kept']:,}", f"utterances kept of {report['in']:,}"),
        (f"{report['rejected']:,}", f"left out, {broken:,} of them broken"),
        (f"{len(report['speaker_hours']):,}", "speakers"),
        (f"{report['audio']['converted']:,}", f"audio files converted, {report['audio']['referenced']:,} referenced"),
    ]
    shown = "".join(f"<div><b>{value}</b><span>{_safe(label)}</span></div>" for value, label in cards)
    normalizer = f"Normaliser <code>{_safe(report['normalizer_fingerprint'])}</code>"
    line = f"{share:.1%} of the rows are fit for training. {normalizer}"
    return f'<h1>{_safe(report["source"])}</h1><p id="headline">{line}</p><div class="cards">{shown}</div>'


def _bar(share: float, kind: str = "") -> str:
    return f'<div class="track {kind}"><i style="width:{100 * min(max(share, 0.0), 1.0):.1f}%"></i></div>'


def _tabulate_splits(report: Mapping[str, Any]) -> str:
    most = max([split["hours"] for split in report["splits"].values()] or [0]) or 1
    rows = "".join(
        f'<tr><td><b>{name}</b></td><td class="n">{split["utterances"]:,}</td><td class="n">{split["hours"]:.3f}</td>'
        f'<td class="n">{split["speakers"]:,}</td><td class="bar">{_bar(split["hours"] / most)}</td></tr>'
        for name, split in report["splits"].items()
    )
    columns = "".join(f'<th class="n">{name}</th>' for name in ("utterances", "hours", "speakers"))
    head = f"<tr><th>split</th>{columns}<th></th></tr>"
    shared = len(report["speakers_in_several_splits"])
    note = (
        f'<p class="alarm">{shared} speakers are in more than one split.</p>'
        if shared
        else '<p class="good">No speaker is in two splits.</p>'
    )
    return f"<table>{head}{rows}</table>{note}"


def _tabulate_leaks(report: Mapping[str, Any]) -> str:
    if not report["leaks"]:
        return "<p>There are no two splits to compare.</p>"
    head = '<tr><th>text of</th><th>found in</th><th class="n">sentences</th><th class="n">exact</th>'
    head += '<th class="n">contained</th><th class="n">overlap</th><th class="n">share</th></tr>'
    rows, shown = "", ""
    for leak in report["leaks"]:
        kind = "alarm" if leak["leaked"] else "good"
        counts = "".join(f'<td class="n">{leak[name]:,}</td>' for name in ("exact", "contained", "overlap"))
        rows += f"<tr><td><b>{leak['evaluation']}</b></td><td>{leak['training']}</td>"
        rows += f'<td class="n">{leak["evaluation_sentences"]:,}</td>{counts}'
        rows += f'<td class="n {kind}">{leak["leaked_share"]:.1%}</td></tr>'
        for found in leak["examples"]:
            shown += f'<div class="example"><p>{_safe(found["text"])}</p><small>{_safe(found["kind"])}: '
            shown += f"{_safe(found['evaluation'])} in {_safe(found['training'][0])}</small></div>"
    more = f"<details><summary>Examples</summary>{shown}</details>" if shown else ""
    return f"<table>{head}{rows}</table>{more}"


def _draw_histogram(histogram: Mapping[str, Any], unit: str) -> str:
    """Draw counts per bin as an inline SVG with a line at the median; every bar says its numbers when pointed at."""
    counts, start, step = histogram["counts"], histogram["start"], histogram["step"]
    total = sum(counts)
    if not total:
        return "<p>Nothing was measured.</p>"
    wide, high = _CHART["width"] - _CHART["left"] - 8, _CHART["height"] - _CHART["bottom"] - _CHART["top"]
    floor, left, most = _CHART["height"] - _CHART["bottom"], _CHART["left"], max(counts)
    each = wide / len(counts)
    parts = []
    for at, count in enumerate(counts):
        tall = high * count / most
        place = f'x="{left + at * each + 0.5:.1f}" y="{floor - tall:.1f}" width="{max(each - 1, 0.5):.1f}"'
        tip = f"{start + at * step:g} to {start + (at + 1) * step:g} {unit}: {count:,} utterances ({count / total:.1%})"
        parts.append(f'<rect {place} height="{tall:.1f}" rx="1.5" fill="var(--bar)"><title>{tip}</title></rect>')
    label_every = max(1, round(len(counts) / 7))
    for at in range(0, len(counts) + 1, label_every):
        at_x = left + at * each
        parts.append(f'<text x="{at_x:.1f}" y="{floor + 15}" text-anchor="middle">{start + at * step:g}</text>')
    parts.append(f'<text x="{left - 6}" y="{_CHART["top"] + 10}" text-anchor="end">{most:,}</text>')
    parts.append(f'<text x="{left - 6}" y="{floor}" text-anchor="end">0</text>')
    parts.append(f'<path d="M{left} {floor}h{wide}" stroke="var(--line)"/>')
    median = _find_median(counts, start, step)
    middle = left + (median - start) / step * each
    parts.append(f'<path d="M{middle:.1f} {_CHART["top"]}V{floor}" stroke="var(--bad)" stroke-dasharray="4 3"/>')
    label = f"{unit}; median {median:.1f}"
    parts.append(f'<text x="{left + wide / 2}" y="{_CHART["height"] - 3}" text-anchor="middle">{label}</text>')
    box = f"0 0 {_CHART['width']} {_CHART['height']}"
    return f'<svg viewBox="{box}" role="img" aria-label="{_safe(label)}">{"".join(parts)}</svg>'


def _find_median(counts: Sequence[int], start: float, step: float) -> float:
    """Interpolate the median inside its bin."""
    half, before = sum(counts) / 2, 0
    for at, count in enumerate(counts):
        if count and before + count >= half:
            return start + step * (at + (half - before) / count)
        before += count
    return start


def _list_rejections(report: Mapping[str, Any], examples: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    reasons = report["rejected_by_reason"]
    if not reasons:
        return '<p class="good">Nothing was left out.</p>'
    most = max(reasons.values())
    parts = []
    for reason, count in sorted(reasons.items(), key=lambda item: (item[0] not in ERROR_REASONS, -item[1])):
        kind = "bad" if reason in ERROR_REASONS else "warn"
        note = "broken" if kind == "bad" else "by policy"
        parts.append(
            f'<h3 style="margin:18px 0 0;font-size:15px">{reason} <span style="font-weight:400;color:var(--soft)">'
            f"{count:,}, {note} – {_safe(REASONS[reason])}</span></h3>{_bar(count / most, kind)}"
        )
        parts += [_show_example(row) for row in examples.get(reason, ())]
    return "".join(parts)


def _show_example(row: Mapping[str, Any]) -> str:
    place = f"{Path(row['file']).name}:{row['line']}" + (f" · {row['path']}" if row["path"] else "")
    sound = f'<audio controls preload="metadata" src="{row["sound"]}"></audio>' if row["sound"] else ""
    text = f"<p>{_safe(row['text'])}</p>" if row["text"] else ""
    return f'<div class="example">{text}<small>{_safe(row["detail"])}<br>{_safe(place)}</small><br>{sound}</div>'


def _show_alphabet(report: Mapping[str, Any]) -> str:
    alphabet = report["alphabet"]
    seen = alphabet["size"] - len(alphabet["never_seen"])
    cells = []
    for name, count in alphabet["counts"].items():
        character = chr(int(name.split(" ")[0].removeprefix("U+"), 16))
        combining = unicodedata.category(character).startswith("M")
        shown = "␣" if character == " " else f"\u25cc{character}" if combining else _safe(character)
        kind = "" if count else ' class="none"'
        code = f"<span>{name.split(' ')[0]}</span>"
        cells.append(f'<div{kind} title="{_safe(name)}"><b>{shown}</b>{code}<span>{count:,}</span></div>')
    outside = report["outside_alphabet_utterances"]
    rows = "".join(f'<tr><td>{_safe(name)}</td><td class="n">{count:,}</td></tr>' for name, count in outside.items())
    table = (
        f'<h3>Outside it</h3><table><tr><th>character</th><th class="n">utterances</th></tr>{rows}</table>'
        if rows
        else ""
    )
    note = f"<p>{seen} of {alphabet['size']} characters occur in what was kept; the others are marked.</p>"
    return f'{note}<div class="letters">{"".join(cells)}</div>{table}'


def _list_speakers(report: Mapping[str, Any]) -> str:
    hours = report["speaker_hours"]
    ranked = sorted(hours.items(), key=lambda item: (-item[1], item[0]))
    most = ranked[0][1] if ranked and ranked[0][1] else 1
    rows = "".join(
        f'<tr><td>{_safe(name)}</td><td class="n">{60 * time:.1f} min</td><td class="bar">{_bar(time / most)}</td></tr>'
        for name, time in ranked[:_SPEAKERS_SHOWN]
    )
    more = f"<p>… and {len(ranked) - _SPEAKERS_SHOWN:,} more</p>" if len(ranked) > _SPEAKERS_SHOWN else ""
    return f"<table>{rows}</table>{more}" if rows else "<p>None.</p>"


def _list_settings(report: Mapping[str, Any]) -> str:
    settings = {"corpus": report["corpus"], "corpus_dir": report["corpus_dir"], **report["settings"]}
    rows = "".join(
        f"<tr><td><code>{name}</code></td><td><code>{_safe(value)}</code></td></tr>" for name, value in settings.items()
    )
    return f"<details><summary>All of them</summary><table>{rows}</table></details>"


def _encode_sound(place: Mapping[str, Any], reader: AudioReader) -> str | None:
    """Return the first seconds of an utterance as an MP3 data URI; `None` where nothing can be decoded."""
    try:
        arguments = (place["audio"], place["offset"], place["duration"], place["row"])
        samples = reader.read(*arguments, _LONGEST_READ_S).samples
    except AudioError:
        try:  # too long to decode whole
            samples = reader.read(place["audio"], place["offset"] or 0.0, EXAMPLE_SECONDS, place["row"]).samples
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
