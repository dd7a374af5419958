"""Subtitles and other formats, read back by parsers written after their published grammars."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.output_formats import (
    FORMATS,
    check_formats,
    format_transcript,
    name_transcripts,
    write_formats,
)
from nemo_models.transcription.subtitles import SubtitleSettings
from nemo_models.transcription.transcripts import Transcript, Word

CLOCK = r"(\d{2,}):([0-5]\d):([0-5]\d)[.,](\d{3})"

spoken = st.lists(
    st.tuples(
        st.text('कखगािी्ंँ<&>"', min_size=1, max_size=12),
        st.floats(0, 3),  # the pause before it
        st.floats(0, 2),  # its length: one frame may be all there is
        st.one_of(st.none(), st.floats(0, 1)),
    ),
    max_size=60,
)


def make(entries, offset_s=0.0):
    words, time = [], 0.0
    for text, pause, length, confidence in entries:
        words.append(Word(text, time + pause, time + pause + length, confidence))
        time += pause + length
    return Transcript(
        0, AudioInput(Path("a b/long file.wav"), offset_s), " ".join(w.word for w in words), time, None, tuple(words)
    )


def seconds(match):
    hours, minutes, whole, thousandths = map(int, match)
    return 3600 * hours + 60 * minutes + whole + thousandths / 1000


def parse_srt(text):
    """SubRip: blocks of a number from 1, a time span with commas, lines of text, an empty line."""
    cues = []
    for number, block in enumerate(re.findall(r"(.+?)\n\n", text, re.DOTALL), 1):
        found, span, *lines = block.split("\n")
        assert found == str(number) and 1 <= len(lines) <= 2
        start, end = re.fullmatch(rf"{CLOCK} --> {CLOCK}".replace("[.,]", ","), span).groups()[:4], None
        end = re.fullmatch(rf".* --> {CLOCK}", span).groups()
        cues.append((seconds(start), seconds(end), " ".join(lines)))
    assert "".join(re.findall(r".+?\n\n", text, re.DOTALL)) == text
    return cues


def parse_vtt(text):
    """WebVTT (W3C): the signature, then cues; no bare & or < in a cue's text."""
    assert text.startswith("WEBVTT\n\n")
    cues = []
    for block in re.findall(r"(.+?)\n\n", text.removeprefix("WEBVTT\n\n"), re.DOTALL):
        span, *lines = block.split("\n")
        times = re.fullmatch(rf"{CLOCK} --> {CLOCK}".replace("[.,]", r"\."), span).groups()
        payload = " ".join(lines)
        assert not re.search(r"<|>|&(?!(amp|lt|gt);)", payload)
        payload = payload.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        cues.append((seconds(times[:4]), seconds(times[4:]), payload))
    return cues


@given(spoken, st.sampled_from([0.0, 3700.25]))
def test_subtitles(entries, offset_s):
    transcript = make(entries, offset_s)
    for cues in (parse_srt(format_transcript(transcript, "srt")), parse_vtt(format_transcript(transcript, "vtt"))):
        assert " ".join(text for _, _, text in cues) == transcript.text, "every word, in order, once"
        assert all(start < end for start, end, _ in cues)
        # times are written in milliseconds
        assert all(end <= later + 0.0011 for (_, end, _), (later, _, _) in pairwise(cues))
        if cues:
            assert cues[0][0] == pytest.approx(offset_s + transcript.words[0].start_s, abs=0.0011)
        settings = SubtitleSettings()
        assert all(end - start <= settings.longest_cue_s + 0.0011 or " " not in text for start, end, text in cues)
        assert all(end - start >= settings.shortest_cue_s - 0.0011 for start, end, _ in cues)


@given(spoken, st.sampled_from([0.0, 12.5]))
def test_ctm(entries, offset_s):
    """NIST sclite: file, channel, start, duration, word, and a confidence where there is one."""
    transcript = make(entries, offset_s)
    lines = format_transcript(transcript, "ctm").splitlines()
    assert len(lines) == len(transcript.words)
    for line, word in zip(lines, transcript.words, strict=True):
        fields = line.split(" ")
        assert fields[:2] == ["long_file", "1"] and fields[4] == word.word
        assert float(fields[2]) >= offset_s and float(fields[3]) > 0
        assert (len(fields) == 6) == (word.confidence is not None)
        assert len(fields) == 5 or 0 <= float(fields[5]) <= 1


@given(spoken, st.sampled_from([0.0, 12.5]))
def test_textgrid(entries, offset_s):
    """Praat's manual: intervals of a tier follow each other without a gap from its xmin to its xmax."""
    transcript = make(entries, offset_s)
    text = format_transcript(transcript, "TextGrid")
    assert text.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = ')
    end = re.search(r"^xmax = (\S+)$", text, re.MULTILINE)[1]
    intervals = re.findall(
        r' {8}intervals \[(\d+)\]:\n {12}xmin = (\S+)\n {12}xmax = (\S+)\n {12}text = "((?:[^"]|"")*)"\n', text
    )
    assert int(re.search(r"intervals: size = (\d+)", text)[1]) == len(intervals) >= 1
    assert [int(number) for number, *_ in intervals] == list(range(1, len(intervals) + 1))
    assert float(intervals[0][1]) == 0 and intervals[-1][2] == end
    assert all(one[2] == two[1] for one, two in pairwise(intervals))
    assert all(float(start) < float(stop) for _, start, stop, _ in intervals) or not transcript.words
    labels = [label.replace('""', '"') for _, _, _, label in intervals if label]
    assert labels == [word.word for word in transcript.words]


def test_text_and_long_files_clock():
    words = (Word("क", 3_599.9996, 3_600.4), Word("ख", 10 * 3600 + 61.5, 10 * 3600 + 62.0))
    transcript = Transcript(0, AudioInput(Path("a.wav")), "क ख", 36_062.0, None, words)
    assert format_transcript(transcript, "txt") == "क ख\n"
    assert [span[:2] for span in parse_srt(format_transcript(transcript, "srt"))] == [
        (3600.0, 3600.7),
        (36_061.5, 36_062.2),
    ]


def test_files_are_written_beside_each_other_and_errors_leave_none(tmp_path):
    transcript = make([("क", 0.0, 0.5, 0.9)])
    write_formats(tmp_path / "new", "sub/a", transcript, list(FORMATS))
    names = {f"a.{name}" for name in ("srt", "vtt", "ctm", "TextGrid", "txt")}
    assert {path.name for path in (tmp_path / "new/sub").iterdir()} == names
    failed = Transcript(0, transcript.audio, error="truncated: a")
    write_formats(tmp_path / "new", "sub/a", failed, list(FORMATS))
    assert not list((tmp_path / "new/sub").iterdir()), "of an earlier run"


def test_names_are_never_alike(tmp_path):
    inputs = [AudioInput(tmp_path / name) for name in ("a.wav", "x/a.wav", "a.mp3", "a-3.wav")]
    inputs += [AudioInput(tmp_path / "a.wav", 1.25, 2.0), AudioInput(Path("/elsewhere/a.wav")), AudioInput(Path())]
    named = name_transcripts(inputs, tmp_path)
    assert named[:2] == ["a", "x/a"] and named[4] == "a-1.25"
    assert len(set(named)) == len(inputs)
    assert name_transcripts(inputs[:2], None) == ["a", "a-2"]


def test_names_can_be_written(tmp_path):
    """Names as long as a file's may be, of characters that no file's name or no text holds, and of folders."""
    long = "क" * 83
    inputs = [AudioInput(Path(f"{long}.wav")), AudioInput(Path(f"{long}.mp3")), AudioInput(Path(f"{long}.wav"), 1.5)]
    inputs += [AudioInput(Path(name)) for name in ("nul\0.wav", "lone\ud800.wav", "\udce0.wav", "x.wav", "..")]
    (tmp_path / "x.srt").mkdir()
    formats = list(FORMATS)
    names = name_transcripts(inputs, None, tmp_path, formats)
    assert len(set(names)) == len(inputs) and names[3:7] == ["nul_", "lone_", "_", "x-7"]
    for audio, name in zip(inputs, names, strict=True):
        words = (Word("क", 0.0, 0.5),)
        write_formats(tmp_path, name, Transcript(0, audio, "क", 1.0, None, words), formats)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(inputs) * len(formats)


def test_names_leave_room_for_the_folders_of_others(tmp_path):
    inputs = [AudioInput(tmp_path / name) for name in ("a.wav", "a.srt/b.wav")]
    assert name_transcripts(inputs, tmp_path, tmp_path / "files", ["srt"]) == ["a-1", "a.srt/b"]


def test_unknown_formats_are_named():
    with pytest.raises(ValueError, match=r"output_formats=doc: expected any of srt, vtt, ctm, TextGrid, txt"):
        check_formats(["srt", "doc"])
