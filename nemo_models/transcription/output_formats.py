"""Writes transcripts for other programs: SRT and WebVTT subtitles, NIST's CTM, Praat's TextGrid, plain text."""

from collections.abc import Callable, Sequence
from pathlib import Path

from data_prep.atomic import atomic_path
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.subtitles import Cue, SubtitleSettings, list_cues
from nemo_models.transcription.transcripts import TIME_DIGITS, Transcript, Word

NAME_BYTES = 200  # of the 255 that a file's name may have
SHORTEST_WORD_S = 0.02  # one frame: a word that was found in one frame still has a beginning and an end


def check_formats(formats: Sequence[str]) -> list[str]:
    """Check the names of formats.

    Raises:
        ValueError: A name is unknown.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ValueError(f"output_formats={', '.join(map(str, unknown))}: expected any of {', '.join(FORMATS)}")
    return list(formats)


def name_transcripts(
    inputs: Sequence[AudioInput], audio_dir: Path | None, folder: Path | None = None, formats: Sequence[str] = ()
) -> list[str]:
    """Name each input's files, without extension: after its audio, segments with their time, all names different.

    Args:
        inputs: All inputs of the job.
        audio_dir: The folder that the inputs were found in, whose subfolders are kept; `None`: names only.
        folder: The folder of the files; names of folders in it are not used.
        formats: The files' extensions.
    """
    names: list[str] = []
    paths = [_path_below(audio.path, audio_dir) for audio in inputs]
    folders = {str(parent) for path in paths for parent in path.parents}
    taken: set[str] = set()

    def is_taken(name: str) -> bool:
        files = [f"{name}.{extension}" for extension in formats]
        return name in taken or any(file in folders or (folder and (folder / file).is_dir()) for file in files)

    for number, (audio, path) in enumerate(zip(inputs, paths, strict=True), 1):
        name = str(path.parent / _cut(path.name.removesuffix(path.suffix) or "audio"))
        if audio.offset_s:
            name += f"-{audio.offset_s:.2f}"
        if audio.label is not None:
            name += f"-{audio.label.replace(' ', '')}"
        if is_taken(name):
            name += f"-{number}"
        while is_taken(name):  # a file's own name may look like that
            name += "-"
        taken.add(name)
        names.append(name)
    return names


def _path_below(path: Path, audio_dir: Path | None) -> Path:
    inside = audio_dir is not None and path.is_relative_to(audio_dir)
    return Path(_writable(str(path.relative_to(audio_dir)) if inside and audio_dir else path.name))


def _writable(name: str) -> str:
    """Replace by _ what no UTF-8 text, or no file name, can hold."""
    return "".join("_" if character == "\0" or "\ud800" <= character <= "\udfff" else character for character in name)


def _cut(name: str) -> str:
    """Shorten a name so that numbers and an extension still fit behind it."""
    return name.encode()[:NAME_BYTES].decode(errors="ignore")


def write_formats(
    folder: Path,
    name: str,
    transcript: Transcript,
    formats: Sequence[str],
    subtitles: SubtitleSettings | None = None,
) -> None:
    """Write one transcript in several formats; each file appears complete or not at all.

    Args:
        folder: The folder of the files.
        name: The files' name, without extension.
        transcript: The transcript, with words if a format has times. After an error, files of an earlier run are
            removed.
        formats: Any of `FORMATS`, which are the files' extensions.
        subtitles: Form of the subtitles; `None`: the defaults.
    """
    for extension in formats:
        path = folder / f"{name}.{extension}"
        if transcript.error:
            path.unlink(missing_ok=True)
        else:
            with atomic_path(path, sync=False) as temporary:  # another run can make it again
                temporary.write_text(format_transcript(transcript, extension, subtitles), encoding="utf-8")


def format_transcript(transcript: Transcript, extension: str, subtitles: SubtitleSettings | None = None) -> str:
    """Return a transcript in one of `FORMATS`.

    Args:
        transcript: The transcript, with words if the format has times.
        extension: The format's name.
        subtitles: Form of the subtitles; `None`: the defaults.
    """
    return FORMATS[extension](transcript, subtitles or SubtitleSettings())


def to_srt(transcript: Transcript, subtitles: SubtitleSettings) -> str:
    """Write SubRip subtitles, on the time line of the whole file; a channel's label begins each cue."""
    label = f"[{transcript.audio.label}] " if transcript.audio.label is not None else ""
    cues = enumerate(list_cues(_words_in_file(transcript), subtitles, label), 1)
    return "".join(f"{number}\n{_span(cue, ',')}\n{cue.text}\n\n" for number, cue in cues)


def to_vtt(transcript: Transcript, subtitles: SubtitleSettings) -> str:
    """Write WebVTT subtitles, on the time line of the whole file; a channel's label is each cue's voice."""
    voice = f"<v {transcript.audio.label}>" if transcript.audio.label is not None else ""
    cues = list_cues(_words_in_file(transcript), subtitles)
    escaped = ((_span(cue, "."), cue.text.replace("&", "&amp;").replace("<", "&lt;")) for cue in cues)
    return "WEBVTT\n\n" + "".join(f"{span}\n{voice}{text.replace('>', '&gt;')}\n\n" for span, text in escaped)


def to_ctm(transcript: Transcript, _: SubtitleSettings) -> str:
    """Write NIST's CTM, on the time line of the whole file: recording, channel, start, duration, word, confidence."""
    recording = _writable("_".join(transcript.audio.path.stem.split())) or "audio"
    channel = int(transcript.audio.channel or 0) + 1 if transcript.audio.label is not None else 1
    return "".join(
        f"{recording} {channel} {word.start_s:.3f} {word.end_s - word.start_s:.3f} {word.word}"
        + ("\n" if word.confidence is None else f" {word.confidence:.4f}\n")
        for word in _words_in_file(transcript)
    )


def to_textgrid(transcript: Transcript, _: SubtitleSettings) -> str:
    """Write Praat's TextGrid, one tier of words with the silence between them, from 0 to the end of what was read."""
    tier = "words" if transcript.audio.label is None else f"words {transcript.audio.label}"
    words = _words_in_file(transcript)
    end_s = max([_place(transcript, transcript.duration_s), *(word.end_s for word in words[-1:])])
    intervals, reached = [], 0.0
    for word in words:
        if word.start_s > reached:
            intervals.append((reached, word.start_s, ""))
        intervals.append((word.start_s, word.end_s, word.word))
        reached = word.end_s
    if end_s > reached or not intervals:
        intervals.append((reached, end_s, ""))
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end_s:.6f}"]
    head += ["tiers? <exists>", "size = 1", "item []:", "    item [1]:", '        class = "IntervalTier"']
    head += [f'        name = "{tier}"', "        xmin = 0", f"        xmax = {end_s:.6f}"]
    lines = [*head, f"        intervals: size = {len(intervals)}"]
    for number, (start_s, stop_s, text) in enumerate(intervals, 1):
        lines.append(f"        intervals [{number}]:")
        lines += [f"            xmin = {start_s:.6f}", f"            xmax = {stop_s:.6f}"]
        lines.append('            text = "{}"'.format(text.replace('"', '""')))
    return "\n".join(lines) + "\n"


def to_text(transcript: Transcript, _: SubtitleSettings) -> str:
    """Write the text alone, one line; a channel's label begins it."""
    return (
        f"{transcript.text}\n" if transcript.audio.label is None else f"{transcript.audio.label}: {transcript.text}\n"
    )


FORMATS: dict[str, Callable[[Transcript, SubtitleSettings], str]] = {
    "srt": to_srt,
    "vtt": to_vtt,
    "ctm": to_ctm,
    "TextGrid": to_textgrid,
    "txt": to_text,
}


def _words_in_file(transcript: Transcript) -> list[Word]:
    """Place the words on the file's time line: each ends after it begins, none begins before the last ended."""
    words: list[Word] = []
    for word in transcript.words or ():
        start = max(_place(transcript, word.start_s), words[-1].end_s if words else 0.0)
        end = max(_place(transcript, word.end_s), round(start + SHORTEST_WORD_S, TIME_DIGITS))
        words.append(Word(word.word, start, end, word.confidence))
    return words


def _place(transcript: Transcript, seconds: float) -> float:
    return round(transcript.audio.offset_s + seconds, TIME_DIGITS)


def _span(cue: Cue, point: str) -> str:
    return f"{_clock(cue.start_s, point)} --> {_clock(cue.end_s, point)}"


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
