import pytest

from data_prep.prepare.report import ReportBuilder, format_preparation
from data_prep.text.alphabet import load_alphabet


def make_kept(path: str, duration: float, text: str, speaker: str) -> dict:
    """A kept result of a work unit."""
    kept = {"audio_filepath": path, "duration": duration, "text": text, "speaker": speaker}
    return {"kept": kept, "path": path}


def build(rows_in: int = 5) -> dict:
    builder = ReportBuilder(load_alphabet(), ["train", "dev"])
    builder.add_kept(make_kept("audio/a.wav", 1800.0, "कक", "a"), "train")
    builder.add_kept(make_kept("/b.wav", 5400.0, "ख", "b"), "train")
    builder.add_kept(make_kept("/c.wav", 3600.0, "क", "a"), "dev")
    builder.add_rejected({"reason": "outside_alphabet", "detail": "U+0031 DIGIT ONE, U+0032 DIGIT TWO"})
    builder.add_rejected({"reason": "missing_audio", "detail": "a.wav: no such file", "file": "/c/t.tsv", "line": 7})
    return builder.build(rows_in)


def test_the_sums():
    report = build()
    assert report["in"] == report["kept"] + report["rejected"] == 3 + 2
    assert report["rejected_by_reason"] == {"missing_audio": 1, "outside_alphabet": 1}
    assert report["rejected_as_error"] == 1
    assert report["audio"] == {"referenced": 2, "converted": 1}
    assert report["splits"]["train"] == {"utterances": 2, "hours": 2.0, "speakers": 2, "speaker_names": ["a", "b"]}
    assert report["speakers_in_several_splits"] == ["a"]
    assert report["outside_alphabet_utterances"] == {"U+0031 DIGIT ONE": 1, "U+0032 DIGIT TWO": 1}
    assert report["alphabet"]["counts"]["U+0915 DEVANAGARI LETTER KA"] == 3
    assert len(report["alphabet"]["never_seen"]) == 65 - 2


def test_a_row_that_is_not_accounted_for_stops_the_job():
    with pytest.raises(AssertionError, match="6 rows in, but 3 kept and 2 rejected"):
        build(rows_in=6)


def test_the_table_names_every_number():
    table = format_preparation({"source": "news", **build()})
    assert table.startswith("news: 5 rows in, 3 kept (2 audio files referenced, 1 converted), 2 rejected")
    for words in (
        "train 2 2.000 2",
        "dev 1 1.000 1",
        "missing_audio 1 error: the audio",
        "e.g. t.tsv:7: a.wav: no such file",
        "outside_alphabet 1 characters",
    ):
        assert words in " ".join(table.split())
    assert "1 rows rejected as errors" in table and "exit status 3" in table and "1 speakers are in more than" in table


def test_the_histograms():
    builder = ReportBuilder(load_alphabet(), ["train"])
    for duration, snr in ((1.0, 20.0), (1.999, 21.9), (4.0, -3.0), (2.0, None)):
        builder.add_kept(make_kept("/a.wav", duration, "क" * 8, "a") | {"measures": {"snr_db": snr}}, "train")
    report = builder.build(4)
    assert report["histograms"] == {
        "duration_s": {"start": 1, "step": 1, "counts": [2, 1, 0, 1]},
        "characters_per_second": {"start": 2, "step": 1, "counts": [1, 0, 2, 0, 0, 0, 1]},
        "snr_db": {"start": -4, "step": 2, "counts": [1, *[0] * 11, 2]},
    }
    assert report["speaker_hours"] == {"a": round(8.999 / 3600, 5)}
