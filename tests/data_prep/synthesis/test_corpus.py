"""Synthesised corpora: which sentences, which voices, what happens when a voice fails or a run breaks off."""

import shutil
from pathlib import Path

import pytest
import soundfile

from data_prep.synthesis import corpus as synthesis
from data_prep.synthesis.corpus import plan_sentences, read_sentences, read_voice_names, synthesize_corpus
from data_prep.synthesis.voices import Voice, parse_voice

SENTENCES = ["आज बारिश हो रही है", "वह घर पर नहीं है", "कॉफ़ी बहुत गरम थी"]
VOICES = ["espeak-f3-p40..60-s150", "espeak-m2-p50-s140..170"]
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def write_text(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_sentences_are_normalised_and_come_once(tmp_path: Path):
    path = write_text(tmp_path / "a.txt", "आज बारिश हो रही है।", "", "आज, बारिश हो रही है!", "  वह घर पर  नहीं है  ")
    reasons: list[str] = []
    assert read_sentences([path], skipped=reasons.append) == SENTENCES[:2]
    assert reasons == ["repeated"]


def test_unusable_lines_are_named_or_counted_by_reason(tmp_path: Path):
    lines = ["आज 5 बजे", "एक", "एक दो तीन चार पाँच", "वह घर गया", "वह शहर गया"]
    path = write_text(tmp_path / "a.txt", *lines)
    limits = {"min_words": 2, "max_words": 4, "exclude": ["वह शहर गया"]}
    with pytest.raises(ValueError) as error:
        read_sentences([path], **limits)
    for part in ("4 unusable lines", f"{path}:1: outside the alphabet (U+0035 DIGIT FIVE)", f"{path}:2:", "found 5"):
        assert part in str(error.value)
    reasons: list[str] = []
    assert read_sentences([path], **limits, skipped=reasons.append) == ["वह घर गया"]
    assert reasons == ["outside the alphabet", "not 2 to 4 words", "not 2 to 4 words", "excluded"]


def test_no_usable_sentence_and_text_that_is_not_utf8_are_errors(tmp_path: Path):
    with pytest.raises(ValueError, match="no usable sentence"):
        read_sentences([write_text(tmp_path / "a.txt", "abc")], skipped=lambda reason: None)
    (tmp_path / "b.txt").write_bytes("आज".encode("utf-16"))
    with pytest.raises(ValueError, match=r"b\.txt: found bytes that are not UTF-8"):
        read_sentences([tmp_path / "b.txt"])


def test_a_sentences_voices_do_not_depend_on_the_other_sentences():
    families = [parse_voice(name) for name in VOICES]
    together = plan_sentences(SENTENCES, families, 2, seed=3)
    assert len(together) == 6
    alone = [utterance for text in reversed(SENTENCES) for utterance in plan_sentences([text], families, 2, seed=3)]
    assert set(together) == set(alone)
    assert set(plan_sentences(SENTENCES, families, 2, seed=4)) != set(together)


def test_every_voice_gets_its_share():
    families = [parse_voice(f"espeak-{variant}-p50-s150") for variant in ("f1", "f2", "m1", "m2")]
    plan = plan_sentences([f"वाक्य {number}" for number in range(400)], families, 1, seed=0)
    counts = [sum(utterance.voice == voice for utterance in plan) for voice in families]
    assert sum(counts) == 400 and min(counts) > 70  # 100 expected, standard deviation 8.7


@pytest.mark.parametrize("count", [0, 3])
def test_more_voices_a_sentence_than_there_are_is_an_error(count: int):
    with pytest.raises(ValueError, match=f"voices_per_sentence={count}: expected"):
        plan_sentences(SENTENCES, [parse_voice(name) for name in VOICES], count, seed=0)


def test_voice_list_ignores_comments(tmp_path: Path):
    path = write_text(tmp_path / "voices.txt", "# two voices", VOICES[0], "", f"{VOICES[1]}  # male")
    assert read_voice_names(path) == VOICES


@needs_espeak
def test_corpus_is_complete_reproducible_and_resumable(tmp_path: Path):
    assert synthesize_corpus(SENTENCES, VOICES, tmp_path / "a", 2, seed=1, workers=1) == []
    assert synthesize_corpus(SENTENCES[::-1], VOICES, tmp_path / "b", 2, seed=1, workers=3) == []
    table = (tmp_path / "a" / "transcripts.tsv").read_text(encoding="utf-8").splitlines()
    assert table[0] == "path\tduration_s\tsample_rate\tspeaker\ttext"
    rows = [line.split("\t") for line in table[1:]]
    assert sorted({row[4] for row in rows}) == sorted(SENTENCES) and len(rows) == 6
    for path, duration, rate, speaker, _ in rows:
        info = soundfile.info(tmp_path / "a" / path)
        assert (info.samplerate, info.channels, info.subtype, rate) == (16000, 1, "PCM_16", "16000")
        assert info.duration == pytest.approx(float(duration), abs=0.001) and 0.8 < info.duration < 4
        assert parse_voice(speaker).name == speaker and speaker in path
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()
    kept, lost = (tmp_path / "a" / row[0] for row in rows[:2])
    before = kept.stat().st_mtime_ns
    lost.unlink()
    assert synthesize_corpus(SENTENCES, VOICES, tmp_path / "a", 2, seed=1) == []
    assert lost.is_file() and kept.stat().st_mtime_ns == before
    assert len(list((tmp_path / "a" / "audio").iterdir())) == 6  # no temporary file stays behind


def write_tone(path: Path, seconds: float) -> None:
    soundfile.write(path, [0.1, -0.1] * int(seconds * 11025), 22050)


@pytest.mark.parametrize("how", ["crash", "no file", "too short", "no audio"])
def test_a_sentence_that_cannot_be_spoken_is_named_and_costs_no_other(tmp_path: Path, monkeypatch, how: str):
    def speak(voice: Voice, texts: list[str], paths: list[Path], language: str) -> None:
        for text, path in zip(texts, paths, strict=True):
            if text == SENTENCES[1] and how == "crash":
                raise OSError("exit status -11")
            if text == SENTENCES[1] and how == "too short":
                write_tone(path, 0.05)
            elif text == SENTENCES[1] and how == "no audio":
                path.write_bytes(b"RIFF")
            elif text != SENTENCES[1]:
                write_tone(path, 1.0)
        if SENTENCES[1] in texts and how == "no file":
            raise OSError("not spoken")

    monkeypatch.setattr(synthesis, "check_voices", lambda voices, language: None)
    monkeypatch.setattr(synthesis, "speak", speak)
    errors = synthesize_corpus(SENTENCES, ["espeak-hi-p50-s150"], tmp_path)
    assert len(errors) == 1 and SENTENCES[1] in errors[0] and "espeak-hi-p50-s150" in errors[0]
    table = (tmp_path / "transcripts.tsv").read_text(encoding="utf-8")
    assert [text for text in SENTENCES if text in table] == [SENTENCES[0], SENTENCES[2]]
    assert len(list((tmp_path / "audio").iterdir())) == 2
