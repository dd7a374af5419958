"""Makes a corpus of synthesised speech: sentences of text files, each spoken by one voice or more.

Every stage of the pipeline can be tried on such speech without a download. The result is a folder with `audio/` and
`transcripts.tsv` (path, duration_s, sample_rate, speaker, text), 16 kHz mono 16-bit, as `corpus=tsv` reads it.
"""

import hashlib
import os
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile

from data_prep.arguments import require_int
from data_prep.atomic import atomic_path
from data_prep.languages.language import DEFAULT_LANGUAGE, load_language
from data_prep.manifest import write_text
from data_prep.progress import ProgressBar
from data_prep.synthesis.voices import Voice, check_voices, parse_voice, run_program, speak
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import find_outside_alphabet, normalize_text
from data_prep.text.policy import AS_WRITTEN

SAMPLE_RATE_HZ = 16000
TSV_HEADER = "path\tduration_s\tsample_rate\tspeaker\ttext"
MIN_SECONDS_PER_CHARACTER = 0.02  # below this the voice left words out
CHUNK = 40  # sentences that one process of a synthesizer speaks


@dataclass(frozen=True)
class SpokenSentence:
    """One sentence in one voice, and the file under the corpus folder that holds it."""

    text: str
    voice: Voice

    @property
    def path(self) -> str:
        """Path of the audio, relative to the corpus folder."""
        digest = hashlib.sha256(self.text.encode("utf-8")).hexdigest()[:12]
        return f"audio/{self.voice.name}_{digest}.wav"


def read_sentences(
    paths: Sequence[str | Path],
    min_words: int = 1,
    max_words: int | None = None,
    exclude: Iterable[str] = (),
    skipped: Callable[[str], None] | None = None,
    language: str = DEFAULT_LANGUAGE,
) -> list[str]:
    """Read text files with one sentence a line; normalise the sentences and drop repeated ones.

    Args:
        paths: UTF-8 text files; empty lines are ignored.
        min_words: Fewest words of a sentence.
        max_words: Most words of a sentence; `None` for no limit.
        exclude: Normalised sentences to leave out, e.g. those of a test set.
        skipped: Function that is called with the reason for each line left out; `None` makes such a line an error.
        language: Language of the sentences, as `load_language` takes it.

    Returns:
        The sentences in order of first appearance.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is not UTF-8, or a line is unusable and `skipped` is `None`, or no sentence is left.
    """
    alphabet, policy = set(load_alphabet(language=language)), replace(AS_WRITTEN, language=language)
    excluded, sentences, problems = set(exclude), dict[str, None](), []
    for path in paths:
        for number, line in enumerate(_read_lines(path), start=1):
            text = normalize_text(line, policy)
            if not text:
                continue
            reason, detail = _reason_against(text, alphabet, min_words, max_words, excluded, sentences)
            if reason and skipped:
                skipped(reason)
            elif reason:
                problems.append(f"{path}:{number}: {reason} {detail}".strip())
            else:
                sentences[text] = None
    if problems:
        raise ValueError(
            f"{', '.join(map(str, paths))}: found {len(problems)} unusable lines; correct them, or leave them out "
            f"with skip_unusable=true: {'; '.join(problems[:5])}"
        )
    if not sentences:
        name = load_language(language).name
        raise ValueError(f"{', '.join(map(str, paths))}: no usable sentence; expected one {name} sentence a line")
    return list(sentences)


def read_voice_names(path: str | Path) -> list[str]:
    """Read a list of voices: one name a line; `#` starts a comment."""
    lines = (line.split("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def plan_sentences(
    sentences: Sequence[str], voices: Sequence[Voice], per_sentence: int, seed: int
) -> list[SpokenSentence]:
    """Choose the voices of each sentence; they depend on the sentence and the seed, not on the other sentences.

    Args:
        sentences: Normalised sentences.
        voices: Voices or families of voices, drawn with equal probability; one that is listed twice counts twice.
        per_sentence: Number of different entries of `voices` that speak each sentence.
        seed: Seed of the choice, any integer.

    Raises:
        ValueError: `per_sentence` is not within 1 … the number of voices.
    """
    require_int("voices_per_sentence", per_sentence, least=1)
    if per_sentence > len(voices):
        raise ValueError(f"voices_per_sentence={per_sentence}: expected 1 to {len(voices)}, the number of voices")
    plan = []
    for text in sentences:
        rng = random.Random(f"{seed} {text}")
        plan += [SpokenSentence(text, family.draw(rng)) for family in rng.sample(list(voices), per_sentence)]
    return list(dict.fromkeys(plan))


def synthesize_corpus(
    sentences: Sequence[str],
    voice_names: Sequence[str],
    corpus_dir: str | Path,
    voices_per_sentence: int = 1,
    seed: int = 0,
    workers: int = 2,
    language: str = DEFAULT_LANGUAGE,
) -> list[str]:
    """Speak sentences into a corpus folder. Audio that exists is kept, so a stopped run can be continued.

    Args:
        sentences: Normalised sentences.
        voice_names: Names of voices, see `parse_voice`.
        corpus_dir: Folder to make: `audio/*.wav` and, at the end, `transcripts.tsv`.
        voices_per_sentence: Number of voices, see `plan_sentences`.
        seed: Seed of the choice of voices.
        workers: Number of synthesizer processes at a time; the result does not depend on it.
        language: Language of the sentences, as `load_language` takes it.

    Returns:
        A message for each utterance that could not be spoken; the others are in the corpus.

    Raises:
        FileNotFoundError: A synthesizer is not installed.
        ValueError: A voice is unknown, or the synthesizer does not speak the language.
    """
    voices = [parse_voice(name) for name in voice_names]
    check_voices(voices, language)
    plan = plan_sentences(sentences, voices, voices_per_sentence, seed)
    root = Path(corpus_dir)
    (root / "audio").mkdir(parents=True, exist_ok=True)
    missing = [utterance for utterance in plan if not (root / utterance.path).is_file()]
    errors: list[str] = []

    def speak_chunk(chunk: Sequence[SpokenSentence]) -> tuple[Sequence[SpokenSentence], list[str]]:
        return chunk, _speak_chunk(chunk, root, language)

    with (
        ThreadPoolExecutor(workers) as pool,  # child processes do the work
        ProgressBar(total=len(plan), initial=len(plan) - len(missing), unit="utt", desc="speaking") as bar,
    ):
        for chunk, chunk_errors in pool.map(speak_chunk, _chunks(missing)):
            errors += chunk_errors
            bar.update(len(chunk))
    _write_transcripts(root, plan)
    return errors


def _read_lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: found bytes that are not UTF-8 ({error}); convert the file with iconv") from error


def _reason_against(
    text: str,
    alphabet: set[str],
    min_words: int,
    max_words: int | None,
    excluded: set[str],
    seen: Collection[str],
) -> tuple[str, str]:
    """Return why a sentence is unusable: a reason to count, and its detail; two empty strings if it is usable."""
    if outside := find_outside_alphabet(text, alphabet):
        return "outside the alphabet", f"({', '.join(outside)})"
    words = len(text.split())
    if words < min_words or (max_words is not None and words > max_words):
        return f"not {min_words} to {max_words or '…'} words", f"(found {words})"
    if text in excluded:
        return "excluded", ""
    return ("repeated", "") if text in seen else ("", "")


def _chunks(utterances: Sequence[SpokenSentence]) -> list[list[SpokenSentence]]:
    """Group by voice, because one process of Festival speaks with one voice."""
    groups: dict[Voice, list[SpokenSentence]] = {}
    for utterance in utterances:
        groups.setdefault(utterance.voice, []).append(utterance)
    return [group[at : at + CHUNK] for group in groups.values() for at in range(0, len(group), CHUNK)]


def _speak_chunk(chunk: Sequence[SpokenSentence], root: Path, language: str) -> list[str]:
    raw = {utterance: _name_raw(root / utterance.path) for utterance in chunk}
    voice, errors = chunk[0].voice, []
    with suppress(OSError):  # a sentence that is missing after this is spoken alone, and then its error counts
        speak(voice, [utterance.text for utterance in chunk], list(raw.values()), language)
    for utterance, raw_path in raw.items():
        try:
            if not raw_path.is_file():
                speak(voice, [utterance.text], [raw_path], language)
            _convert(raw_path, root / utterance.path, len(utterance.text))
        except (OSError, ValueError, soundfile.SoundFileError) as error:
            errors.append(f"voice '{voice.name}', '{utterance.text}': {error}")
        finally:
            raw_path.unlink(missing_ok=True)
    return errors


def _convert(raw: Path, target: Path, characters: int) -> None:
    seconds = soundfile.info(raw).duration
    if seconds < characters * MIN_SECONDS_PER_CHARACTER:
        raise ValueError(f"{seconds:.2f} s of speech for {characters} characters; the voice left words out")
    with atomic_path(target, sync=False) as temporary:
        # -R and -D: no random dither, so that the same settings give the same bytes; -G: no clipping by the resampler.
        command = ["sox", "-R", "-D", "-G", str(raw), "-r", str(SAMPLE_RATE_HZ), "-c", "1", "-b", "16", str(temporary)]
        run_program(command)


def _name_raw(path: Path) -> Path:
    return path.with_name(f".{path.stem}.{os.getpid()}.raw.wav")


def _write_transcripts(root: Path, plan: Sequence[SpokenSentence]) -> None:
    lines = [TSV_HEADER]
    for utterance in plan:
        path = root / utterance.path
        if path.is_file():
            duration = soundfile.info(path).duration
            lines.append(
                f"{utterance.path}\t{duration:.3f}\t{SAMPLE_RATE_HZ}\t{utterance.voice.name}\t{utterance.text}"
            )
    write_text(root / "transcripts.tsv", "\n".join(lines) + "\n")
