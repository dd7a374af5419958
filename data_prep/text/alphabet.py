"""The alphabet: one list for the model's labels, the text checks and the language model, so that they agree."""

from collections.abc import Collection
from pathlib import Path

from data_prep.languages.characters import describe_character as describe_character
from data_prep.languages.characters import parse_alphabet
from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.languages.scripts import check_script
from data_prep.languages.union import is_several, join_labels, list_labels


def load_alphabet(
    path: str | Path | None = None, language: str = DEFAULT_LANGUAGE, script: str | None = None
) -> list[str]:
    """Read an alphabet: a file of one `U+XXXX NAME` a line, or that of a language.

    Args:
        path: The file; `None` is the alphabet of `language`.
        language: Code of a language, or the path of a language file; or several, joined by commas.
        script: Script in which several languages are written, see `folding`; `None`: each in its own.

    Returns:
        The characters, one code point each, in label order (the space first in the project's alphabets).

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The language is unknown, a file is given with several languages, or a line is not `U+XXXX NAME`,
            names another character than its code point, or repeats one; or all letters are of other scripts than the
            language's.
    """
    if not path:
        return join_labels(list_labels(language, script))
    if is_several(language):
        raise ValueError(
            f"alphabet={path}: expected null with language={language}; each language's own file has its letters"
        )
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: found no file, expected an alphabet (`U+XXXX NAME` a line); correct the path")
    alphabet = parse_alphabet(path.read_text(encoding="utf-8").splitlines(), str(path))
    check_script(alphabet, language, path)
    return alphabet


def find_outside_alphabet(text: str, alphabet: Collection[str]) -> list[str]:
    """List the characters of a text that an alphabet lacks.

    Args:
        text: Any text.
        alphabet: The characters that are allowed.

    Returns:
        Each offending character once, as `describe_character` names it, in order of first appearance.
    """
    return [describe_character(character) for character in dict.fromkeys(text) if character not in alphabet]
