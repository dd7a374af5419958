"""English words of a Hindi text in Devanagari, offline: from a list of common words, else by rule.

eSpeak NG gives the sounds of a word that is not on the list, `loan_spelling` the letters. The result is a guess that is
wrong for one such word in six to four (RESULTS.md), so that every job that uses it lists what it wrote. Some words have
no one reading here: capitals (BBC), words with one that are not on the list (mostly names: Khan), single letters, words
without a vowel letter (km, Mr), words that touch a digit or another script, words beside a number (phone 15), and all
words of a text wholly in Latin letters. They stay, and their text is rejected.
"""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from data_prep.text.character_rules import Change, Rule
from data_prep.text.loan_spelling import write_loan_word
from data_prep.text.sound_letters import CONSONANTS, VOWELS

ENGLISH_WORDS_PATH = Path(__file__).with_name("english_hi.tsv")
"""English words and their usual spellings in Hindi, the most usual first; scoring uses the list, too."""
# Raise it when the rules of this file, loan_spelling.py or sound_letters.py write something else than before.
TRANSLITERATION_VERSION = 1

PROGRAM = "espeak-ng"
VOICE = "en-gb-x-rp"  # British: Hindi has डांस and क्लास, not डैंस
_TIMEOUT_S = 300
_WORD = re.compile(r"(?<![A-Za-z])[A-Za-z][a-z]{1,29}(?:['’][a-z]{1,2})?(?![A-Za-z])")
# What may not touch a word: a letter, digit or mark (a danda may), or a number beside it.
_BEFORE = re.compile(r"[^\W_]$|[\u0900-\u0963\u0966-\u097f]$|\d[ -]$")
_AFTER = re.compile(r"[^\W_]|[\u0900-\u0963\u0966-\u097f]|[ -]\d")
_DEVANAGARI = re.compile("[\u0904-\u0939]")
_HAS_VOWEL = re.compile("[aeiouy]")
_NUKTA = "\u093c"
_STRESS = re.compile("[ˈˌ]")

_written: dict[str, str | None] = {}  # word in small letters -> in Devanagari; None without a rule


def find_english_words(text: str) -> list[re.Match[str]]:
    """Find the words of a Hindi text that can be written in Devanagari: meeting, don't, Office; not OK, Khan, km or 5G.

    There are none in a text without a letter of Devanagari: it may be English, or Hindi in Latin letters.
    """
    if not _DEVANAGARI.search(text):
        return []
    return [
        match
        for match in _WORD.finditer(text)
        if _HAS_VOWEL.search(_fold(match[0]))
        and (match[0].islower() or _fold(match[0]) in read_usual_spellings())
        and not _BEFORE.search(text[max(0, match.start() - 2) : match.start()])
        and not _AFTER.match(text[match.end() : match.end() + 2])
    ]


def write_english_words(text: str) -> str:
    """Write the English words of a text in Devanagari; those without a rule stay.

    Raises:
        FileNotFoundError: eSpeak NG is not installed.
        OSError: It failed.
    """
    found = find_english_words(text)
    learn_english_words([text] if found else [])
    for match in reversed(found):
        written = _written[_fold(match[0])]
        text = f"{text[: match.start()]}{written}{text[match.end() :]}" if written else text
    return text


TRANSLITERATION_RULE: Rule = ("write_english_words", write_english_words)


def learn_english_words(texts: Iterable[str]) -> None:
    """Write the words of many texts at once, with one process of eSpeak NG, and keep them for `write_english_words`.

    Raises:
        FileNotFoundError: eSpeak NG is not installed.
        OSError: It failed.
    """
    if not _written:
        _written.update(read_usual_spellings())
    new = {_fold(match[0]): None for text in texts for match in find_english_words(text)}
    words = [word for word in new if word not in _written]
    for word, sounds in zip(words, speak_words(words), strict=True):
        known = all(sound in VOWELS or sound in CONSONANTS for sound in sounds)
        _written[word] = write_loan_word(word.replace("'", ""), sounds) if known else None


def list_written_words(changes: Iterable[Change]) -> dict[str, str]:
    """List the English words that a text's rules wrote in Devanagari: the word in small letters -> as written."""
    before = (change.before for change in changes if change.rule == TRANSLITERATION_RULE[0])
    words = (_fold(match[0]) for text in before for match in find_english_words(text))
    return {word: written for word in words if (written := _written.get(word))}


@cache
def read_usual_spellings() -> dict[str, str]:
    """Read the list of common words: word in small letters -> its most usual spelling, with its nuktas, as by rule."""
    lines = ENGLISH_WORDS_PATH.read_text(encoding="utf-8").splitlines()
    usual = {}
    for word, *spellings in (line.split("\t") for line in lines if line and not line.startswith("#")):
        same = [one for one in spellings if one.replace(_NUKTA, "") == spellings[0].replace(_NUKTA, "")]
        usual[word] = max(same, key=lambda one: one.count(_NUKTA))
    return usual


def speak_words(words: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the sounds of English words in IPA, without stress marks; empty for a word that is not one to eSpeak NG.

    Raises:
        FileNotFoundError: eSpeak NG is not installed.
        OSError: It failed.
    """
    if not words:
        return []
    lines = _run(words)
    if len(lines) != len(words):  # a word with a pause inside
        lines = ["".join(spoken) if len(spoken) == 1 else "" for spoken in (_run([word]) for word in words)]
    return [tuple(filter(None, _STRESS.sub("", line).split("_"))) for line in lines]


def _run(words: Sequence[str]) -> list[str]:
    check_program()
    command = [PROGRAM, "-v", VOICE, "-q", "--ipa", "--sep=_", "--stdin"]
    text = "".join(f"{word}.\n\n" for word in words)
    done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8", timeout=_TIMEOUT_S, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip() or 'no message'}")
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def check_program() -> None:
    """Check that eSpeak NG is installed.

    Raises:
        FileNotFoundError: It is not.
    """
    if shutil.which(PROGRAM) is None:
        raise FileNotFoundError(
            f"latin=transliterate: found no program {PROGRAM}, expected it for the sounds of English words; install "
            f"it: sudo apt-get install -y {PROGRAM}"
        )


@cache
def fingerprint_transliteration() -> str:
    """Name the versions of the list, the rules, and eSpeak NG, whose dictionaries have the sounds."""
    check_program()
    done = subprocess.run([PROGRAM, "--version"], capture_output=True, encoding="utf-8", timeout=_TIMEOUT_S, check=True)
    version = re.search(r"\d[\w.-]*", done.stdout)
    digest = hashlib.sha256(ENGLISH_WORDS_PATH.read_bytes()).hexdigest()[:8]
    return f"english-{TRANSLITERATION_VERSION}-{digest}-espeak-{version[0] if version else 'unknown'}"


def _fold(word: str) -> str:
    return word.lower().replace("’", "'")
