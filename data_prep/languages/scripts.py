"""The script of a text, and the advice if most texts are in another script than that of their language."""

import unicodedata
from collections import Counter

from data_prep.languages.language import Language, find_refusal, list_languages, load_language

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
        One line for the texts in another script, and one for those with several scripts; none where there are few.
    """
    lines = []
    expected = " or ".join(script.capitalize() for script in language.scripts)
    if texts.foreign.total() * 2 > texts.all:
        script, count = texts.foreign.most_common(1)[0]
        others = [code for code in list_languages() if not find_refusal(code)]
        fitting = [code for code in others if load_language(code).scripts == (script,)]
        remedy = f"set language={' or '.join(fitting[:_NAMED])}" if fitting else "choose another corpus"
        lines.append(
            f"language={asked}: expected texts in {expected}, found {script.capitalize()} in {count} of {texts.all}; "
            f"{remedy}"
        )
    if texts.mixed:
        lines.append(
            f"language={asked}: expected texts in {expected}, found {texts.mixed} of {texts.all} that mix it with "
            "another script; they are rejected"
        )
    return lines


class ScriptCount:
    """Counts texts by script while a job goes on.

    Attributes:
        all: Number of texts.
        foreign: Script → number of texts that are wholly in that script, which is not the language's.
        mixed: Number of texts that hold letters of the language's script and of another.
    """

    def __init__(self, language: Language) -> None:
        self._own = set(language.scripts)
        self.all = 0
        self.foreign: Counter[str] = Counter()
        self.mixed = 0

    def add(self, text: str, is_rejected: bool) -> None:
        """Count a text; only those that were rejected are looked at."""
        self.all += 1
        if not is_rejected:
            return
        scripts = find_scripts(text)
        others = [script for script in scripts if script not in self._own]
        if others and any(script in self._own for script in scripts):
            self.mixed += 1
        elif others:
            self.foreign[scripts.most_common(1)[0][0]] += 1
