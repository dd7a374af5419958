"""Voices: names, limits, and what the two synthesizers do when they are there."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest
import soundfile

from data_prep.languages.language import load_language
from data_prep.synthesis import voices
from data_prep.synthesis.voices import check_voices, parse_voice, speak
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy

SENTENCE = "बाज़ार में बहुत भीड़ थी"
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
needs_festival = pytest.mark.skipif(shutil.which("festival") is None, reason="festival is not installed")


@pytest.mark.parametrize("name", ["espeak-f3-p60-s160", "espeak-hi-p0..99-s80..450", "festival-nsk-p120-s90..110"])
def test_a_name_is_read_and_written_alike(name: str):
    assert parse_voice(name).name == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("espeak-f3", "expected ENGINE-VARIANT-pPITCH-sSPEED"),
        ("flite-f3-p60-s160", "engine espeak or festival"),
        ("espeak-f3-p60-s160 ", "expected ENGINE"),
        ("espeak-f3-p100-s160", r"pitch 100\.\.100, expected a range within 0\.\.99"),
        ("espeak-f3-p70..30-s160", r"pitch 70\.\.30"),
        ("festival-nsk-p120-s40", r"speed 40\.\.40, expected a range within 50\.\.200"),
    ],
)
def test_a_bad_name_says_what_is_wrong(name: str, message: str):
    with pytest.raises(ValueError, match=message):
        parse_voice(name)


def test_a_drawn_voice_is_within_its_family_and_follows_the_seed():
    family = parse_voice("espeak-m2-p30..32-s140..141")
    drawn = {family.draw(random.Random(seed)).name for seed in range(60)}
    assert drawn == {f"espeak-m2-p{pitch}-s{speed}" for pitch in (30, 31, 32) for speed in (140, 141)}
    assert family.draw(random.Random(1)) == family.draw(random.Random(1))


def test_a_missing_synthesizer_names_the_packages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(voices.shutil, "which", lambda program: None if program == "festival" else program)
    with pytest.raises(FileNotFoundError, match="apt-get install -y festival festvox-hi-nsk festival-hi"):
        check_voices([parse_voice("festival-nsk-p120-s90")])


@needs_espeak
def test_an_unknown_variant_lists_the_known_ones():
    check_voices([parse_voice("espeak-hi-p50-s150"), parse_voice("espeak-f3-p50-s150")])
    with pytest.raises(ValueError, match=r"no variant 'nobody', expected one of hi .*f3.*"):
        check_voices([parse_voice("espeak-nobody-p50-s150")])


def test_a_language_without_a_voice_is_refused_and_the_others_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(voices.shutil, "which", lambda program: program)
    with pytest.raises(ValueError, match=r"language=brx: expected a language that eSpeak NG speaks: as, bn, en, gu"):
        check_voices([parse_voice("espeak-f3-p50-s150")], "brx")
    with pytest.raises(ValueError, match=r"language=ta: expected hi with a voice of festival; use espeak's"):
        check_voices([parse_voice("festival-nsk-p120-s90")], "ta")


@needs_espeak
@pytest.mark.parametrize("language", ["ta", "en", "ur"])
def test_each_language_is_spoken_with_its_own_voice(tmp_path: Path, language: str):
    plain, sentence = (
        load_language(language).espeak,
        normalize_text(load_language(language).sentences[0], TextPolicy(language=language)),
    )
    voice = parse_voice(f"espeak-{plain}-p50-s150")
    check_voices([voice], language)
    speak(voice, [sentence], [tmp_path / "own.wav"], language)
    speak(parse_voice("espeak-hi-p50-s150"), [sentence], [tmp_path / "hindi.wav"])
    own, hindi = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("own", "hindi"))
    assert len(own) > 8000 and (len(own) != len(hindi) or (own != hindi).any())


@needs_espeak
def test_settings_reach_espeak(tmp_path: Path):
    seconds = {}
    for name in ("espeak-f3-p50-s120", "espeak-f3-p50-s180", "espeak-m1-p50-s180"):
        speak(parse_voice(name), [SENTENCE], [tmp_path / f"{name}.wav"])
        seconds[name] = soundfile.info(tmp_path / f"{name}.wav").duration
    assert seconds["espeak-f3-p50-s120"] > 1.2 * seconds["espeak-f3-p50-s180"]  # 180 / 120 less the pauses
    slow, other = (tmp_path / f"espeak-{variant}-p50-s180.wav" for variant in ("f3", "m1"))
    assert slow.read_bytes() != other.read_bytes()


@needs_festival
def test_festival_speaks_letters_with_nukta(tmp_path: Path):
    texts = ["वह बाज़ार वह", "वह वह"]  # two words alone make Festival's voice crash on some texts, three do not
    speak(parse_voice("festival-nsk-p120-s90"), texts, [tmp_path / "with.wav", tmp_path / "without.wav"])
    longer, shorter = (soundfile.info(tmp_path / name).duration for name in ("with.wav", "without.wav"))
    assert longer > shorter + 0.3  # a word that is left out takes no time


@needs_espeak
def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path):
    with pytest.raises(OSError):
        speak(parse_voice("espeak-hi-p50-s150"), [SENTENCE], [tmp_path / "no_folder" / "x.wav"])


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("P A U L A", "p [['eI]] u l [['eI]]"),
        ("A M Y", "[['eI]] m y"),
        ("PLAN A", "plan [['eI]]"),
        ("A", "[['eI]]"),
        ("A BOOK ON A TABLE", "a book on a table"),
        ("A BANANA", "a banana"),
    ],
)
def test_a_spelled_a_is_spoken_as_the_letter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, spoken: str):
    said = []
    monkeypatch.setattr(voices, "run_program", lambda command, stdin: said.append(stdin) or "")
    (tmp_path / "a.wav").touch()
    speak(parse_voice("espeak-f3-p60-s160"), [text], [tmp_path / "a.wav"], "en")
    assert said == [spoken]


@needs_espeak
def test_espeak_speaks_the_letter_where_it_would_speak_the_article():
    def sounds(text: str) -> list[str]:
        command = ["espeak-ng", "-v", "en", "-q", "--ipa", "--stdin"]
        return subprocess.run(command, input=text, capture_output=True, encoding="utf-8", check=True).stdout.split()

    letter = sounds("a")  # alone, eSpeak itself speaks the letter
    assert sounds("p a u")[1:2] != letter
    assert sounds("p [['eI]] u")[1:2] == letter
