"""Voices of two free synthesizers, named by their settings: the name says how a sentence was spoken.

`espeak-f3-p60-s160` is eSpeak NG's voice of the language with variant f3, pitch 60 (0–99) and 160 words a minute;
`festival-nsk-p120-s90` is Festival's recorded Hindi diphone voice with a mean F0 of 120 Hz at 90 % of its normal speed.
A range such as `p30..70` is a family of voices; a seeded choice draws one voice of it for each sentence.
"""

import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from data_prep.languages.language import DEFAULT_LANGUAGE, find_refusal, list_languages, load_language

ENGINES = {  # program, Debian packages, limits of pitch and of speed
    "espeak": ("espeak-ng", "espeak-ng", (0, 99), (80, 450)),
    "festival": ("festival", "festival festvox-hi-nsk festival-hi", (60, 300), (50, 200)),
}
FESTIVAL_VARIANTS = {"nsk": "voice_hindi_NSK_diphone"}
# Festival drops a word that holds a separate nukta; it knows only the single-code-point letters.
SINGLE_NUKTA_LETTERS = {
    "क़": "\u0958", "ख़": "\u0959", "ग़": "\u095a", "ज़": "\u095b",
    "ड़": "\u095c", "ढ़": "\u095d", "फ़": "\u095e", "य़": "\u095f",
}  # fmt: skip
_NAME = re.compile(r"(espeak|festival)-([^-]+)-p(\d+)(?:\.\.(\d+))?-s(\d+)(?:\.\.(\d+))?")


@dataclass(frozen=True)
class Voice:
    """One voice, or a family of voices where a range is wider than one value.

    Attributes:
        engine: `espeak` or `festival`.
        variant: eSpeak's voice variant (the voice's own name, such as `hi`, for none), or `nsk` for Festival.
        pitch: Lowest and highest pitch: eSpeak's 0–99, Festival's mean F0 in Hz.
        speed: Lowest and highest speed: eSpeak's words a minute, Festival's percentage of normal.
    """

    engine: str
    variant: str
    pitch: tuple[int, int]
    speed: tuple[int, int]

    @property
    def name(self) -> str:
        """The name that `parse_voice` reads."""
        return f"{self.engine}-{self.variant}-p{_range_text(self.pitch)}-s{_range_text(self.speed)}"

    def draw(self, rng: random.Random) -> "Voice":
        """Draw one voice of the family."""
        pitch, speed = rng.randint(*self.pitch), rng.randint(*self.speed)
        return Voice(self.engine, self.variant, (pitch, pitch), (speed, speed))


def parse_voice(name: str) -> Voice:
    """Read a voice's name.

    Args:
        name: A voice such as `espeak-f3-p60-s160`, or a family such as `espeak-f3-p30..70-s140..180`.

    Returns:
        The voice.

    Raises:
        ValueError: The name has another form, or a setting is outside the engine's limits.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise ValueError(
            f"voice '{name}': expected ENGINE-VARIANT-pPITCH-sSPEED, engine {' or '.join(ENGINES)}, "
            "e.g. espeak-f3-p60-s160 or espeak-f3-p30..70-s140..180"
        )
    engine, variant, *numbers = match.groups()
    low_pitch, high_pitch, low_speed, high_speed = (int(number) if number else None for number in numbers)
    ranges = []
    for what, low, high, limits in (
        ("pitch", low_pitch, high_pitch, ENGINES[engine][2]),
        ("speed", low_speed, high_speed, ENGINES[engine][3]),
    ):
        assert low is not None
        high = low if high is None else high
        if not limits[0] <= low <= high <= limits[1]:
            raise ValueError(f"voice '{name}': {what} {low}..{high}, expected a range within {limits[0]}..{limits[1]}")
        ranges.append((low, high))
    return Voice(engine, variant, ranges[0], ranges[1])


def check_voices(voices: Sequence[Voice], language: str = DEFAULT_LANGUAGE) -> None:
    """Check that sox and the synthesizers are installed, speak the language and have the variants.

    Args:
        voices: The voices.
        language: Language of the texts, as `load_language` takes it.

    Raises:
        FileNotFoundError: A program is missing; the message holds the command that installs it.
        ValueError: A synthesizer has no voice of the language, or a variant is unknown; the message lists the known
            ones.
    """
    _check_program("sox", "sox")
    for engine in sorted({voice.engine for voice in voices}):
        _check_language(engine, language)
        program, packages, *_ = ENGINES[engine]
        _check_program(program, packages)
        plain = load_language(language).espeak
        known = (plain, *_espeak_variants()) if engine == "espeak" else tuple(FESTIVAL_VARIANTS)
        for voice in voices:
            if voice.engine == engine and voice.variant not in known:
                raise ValueError(
                    f"voice '{voice.name}': found no variant '{voice.variant}', expected one of {' '.join(known)}"
                )


def speak(voice: Voice, texts: Sequence[str], paths: Sequence[Path], language: str = DEFAULT_LANGUAGE) -> None:
    """Speak texts with one voice into WAV files, at the synthesizer's own sample rate.

    Args:
        voice: One voice, not a family.
        texts: Normalised texts.
        paths: One file for each text; overwritten.
        language: Language of the texts, as `load_language` takes it.

    Raises:
        OSError: The synthesizer failed, or did not write a file.
    """
    if voice.engine == "festival":
        message = _speak_festival(voice, texts, paths)
    else:
        found = load_language(language)
        spoken = list(texts)
        if found.case == "upper":
            spoken = [_say_spelled_a(text.lower()) for text in texts]  # capitals would be spelled
        message = _speak_espeak(voice, spoken, paths, found.espeak)
    for path in paths:
        if not path.is_file():
            raise OSError(f"not spoken ({message or 'no message'})")


def _check_program(program: str, packages: str) -> None:
    if shutil.which(program) is None:
        raise FileNotFoundError(f"{program}: no such program; install it: sudo apt-get install -y {packages}")


def _check_language(engine: str, language: str) -> None:
    found = load_language(language)
    if engine == "festival" and found.code != DEFAULT_LANGUAGE:
        raise ValueError(f"language={language}: expected {DEFAULT_LANGUAGE} with a voice of festival; use espeak's")
    if engine == "espeak" and not found.espeak:
        # a refused language has no voice either, and cannot be loaded
        spoken = [code for code in list_languages() if not find_refusal(code) and load_language(code).espeak]
        raise ValueError(
            f"language={language}: expected a language that eSpeak NG speaks: {', '.join(spoken)}; record the sentences"
        )


def _speak_espeak(voice: Voice, texts: Sequence[str], paths: Sequence[Path], name: str) -> str:
    full_name = name if voice.variant == name else f"{name}+{voice.variant}"
    settings = ["-v", full_name, "-p", str(voice.pitch[0]), "-s", str(voice.speed[0]), "-b", "1"]
    message = ""
    for text, path in zip(texts, paths, strict=True):
        message = run_program(["espeak-ng", *settings, "-w", str(path), "--stdin"], stdin=text)
    return message


def _say_spelled_a(text: str) -> str:
    """Write the sound of the letter for an `a` that is last or beside a single letter; others are the article."""
    words = text.split()
    beside = zip(["", *words], [*words[1:], "a"], strict=False)
    spelled = [
        word == "a" and 1 in (len(before), len(after)) for word, (before, after) in zip(words, beside, strict=False)
    ]
    return " ".join("[['eI]]" if is_letter else word for word, is_letter in zip(words, spelled, strict=True))


def _speak_festival(voice: Voice, texts: Sequence[str], paths: Sequence[Path]) -> str:
    # The Debian voice leaves Int_Method to a default voice that is not installed, hence the two intonation lines.
    lines = [
        f"({FESTIVAL_VARIANTS[voice.variant]})",
        "(Parameter.set 'Int_Method 'Simple)",
        f"(set! int_simple_params '((f0_mean {voice.pitch[0]}) (f0_std {max(1, voice.pitch[0] // 8)})))",
        f"(Parameter.set 'Duration_Stretch {100 / voice.speed[0]:.3f})",
    ]
    for text, path in zip(texts, paths, strict=True):
        lines.append(f"(set! utterance (utt.synth (Utterance Text {_scheme_string(_single_nukta(text))})))")
        lines.append(f"(utt.save.wave utterance {_scheme_string(str(path))} 'riff)")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "speak.scm"
        script.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return run_program(["festival", "-b", str(script)])


def run_program(command: list[str], stdin: str = "") -> str:
    """Run a program without a shell; return its standard error. A failure raises `OSError`."""
    done = subprocess.run(command, input=stdin, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip() or 'no message'}")
    return done.stderr.strip()


def _single_nukta(text: str) -> str:
    for two, one in SINGLE_NUKTA_LETTERS.items():
        text = text.replace(two, one)
    return text.replace("\u093c", "")  # a nukta that is left belongs to a letter without such a form


def _scheme_string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _range_text(limits: tuple[int, int]) -> str:
    return str(limits[0]) if limits[0] == limits[1] else f"{limits[0]}..{limits[1]}"


@cache
def _espeak_variants() -> tuple[str, ...]:
    listing = _listing(["espeak-ng", "--voices=variant"])
    names = set(re.findall(r"!v/([^\s-]+)(?:\s\s|$)", listing, re.MULTILINE))  # not "Mr serious": no name could hold it
    return tuple(sorted(names))


def _listing(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True).stdout
