"""The script of a text, and the advice if most texts are in another script than that of their language."""

import unicodedata
from collections import Counter
from collections.abc import Iterable

from data_prep.languages.language import (
    DEFAULT_LANGUAGE,
    Language,
    find_refusal,
    list_languages,
    load_language,
    with_english,
)

_NAMED = 3


def find_scripts(text: str) -> Counter[str]:
    """Count the letters of a text by script, as Unicode's character names begin: `TAMIL`."""
    letters = (unicodedata.name(character, "") for character in text if unicodedata.category(character)[0] == "L")
    return Counter(name.split()[0] for name in letters if name)


def describe_foreign_scripts(language: Language, asked: str, texts: "ScriptCount") -> list[str]:
    """Say which scripts the rejected texts of a job are in, where that explains many of them.

    Args:
        language: The job's language.
        asked: What the user gave as `language`.
        texts: The rejected texts' scripts.

    Returns:
        One line for the texts in another script, and one for those with several scripts; none if there are few.
    """
    lines = []
    expected = " or ".join(script.capitalize() for script in language.scripts)
    if texts.foreign.total() * 2 > texts.all:
        script, count = texts.foreign.most_common(1)[0]
        lines.append(
            f"language={asked}: expected texts in {expected}, found {script.capitalize()} in {count} of {texts.all}; "
            f"{_suggest_language(script)}"
        )
    if texts.mixed:
        is_english = texts.mixed_with.most_common(1)[0][0] == "LATIN"
        keep = f"; set language={with_english(asked)} to keep English words" if is_english else ""
        lines.append(
            f"language={asked}: expected texts in {expected}, found {texts.mixed} of {texts.all} that mix it with "
            f"another script; they are rejected{keep}"
        )
    return lines


def check_script(alphabet: Iterable[str], language: str, path: object) -> None:
    """Check that an alphabet of the user's has a letter of the language's script.

    Args:
        alphabet: Its characters.
        language: The language, as `load_language` takes it.
        path: The alphabet's file.

    Raises:
        ValueError: All letters are of other scripts.
    """
    own, found = load_language(language).scripts, find_scripts("".join(alphabet))
    if found and not set(own) & set(found):
        expected, script = " or ".join(name.capitalize() for name in own), found.most_common(1)[0][0]
        raise ValueError(
            f"alphabet={path}: expected letters of {expected} with language={language}, found {script.capitalize()}; "
            f"{_suggest_language(script)}"
        )


def describe_foreign_labels(language: Language, asked: str, labels: Iterable[str], offending: Counter[str]) -> str:
    """Say what script a text is in that labels cannot write.

    Args:
        language: The text's language.
        asked: What the user gave as `language`.
        labels: The characters that can be written.
        offending: Characters that cannot, as `describe_character` names them, with their numbers.

    Returns:
        One line; empty if the script is not the reason.
    """
    letters: Counter[str] = Counter()
    for name, count in offending.items():
        script, _, letter = name.partition(" ")[2].partition(" ")
        letters[script] += count * letter.startswith(("LETTER", "SMALL LETTER", "CAPITAL LETTER"))
    script = letters.most_common(1)[0][0] if letters.total() else ""
    expected = " or ".join(script.capitalize() for script in language.scripts)
    own = find_scripts("".join(labels))
    if not script or script in own:
        return ""
    if script in language.scripts:
        written = own.most_common(1)[0][0].capitalize() if own else "other"
        return (
            f"the labels are {written} letters, the text is {expected}; choose the alphabet or model of {language.code}"
        )
    return f"language={asked}: expected texts in {expected}, found {script.capitalize()}; {_suggest_language(script)}"


def _suggest_language(script: str) -> str:
    """Name the languages of a script, the default one first."""
    codes = [code for code in list_languages() if not find_refusal(code) and load_language(code).scripts == (script,)]
    codes.sort(key=lambda code: code != DEFAULT_LANGUAGE)
    return f"set language={' or '.join(codes[:_NAMED])}" if codes else "choose another text"


class ScriptCount:
    """Counts texts by script while a job goes on.

    Attributes:
        all: Number of texts.
        foreign: Script → number of texts that are wholly in that script, which is not the language's.
        mixed: Number of texts that hold letters of the language's script and of another.
        mixed_with: Other script -> number of such texts that hold it.
    """

    def __init__(self, language: Language) -> None:
        self._own = set(language.scripts)
        self.all = 0
        self.foreign: Counter[str] = Counter()
        self.mixed = 0
        self.mixed_with: Counter[str] = Counter()

    def add(self, text: str, is_rejected: bool) -> None:
        """Count a text; only those that were rejected are looked at."""
        self.all += 1
        if not is_rejected:
            return
        scripts = find_scripts(text)
        others = [script for script in scripts if script not in self._own]
        if others and any(script in self._own for script in scripts):
            self.mixed += 1
            self.mixed_with.update(others)
        elif others:
            self.foreign[scripts.most_common(1)[0][0]] += 1
