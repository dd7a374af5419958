"""The alphabet: one file for the model's labels, the text checks and the language model, so that they agree."""

import unicodedata
from collections.abc import Collection
from pathlib import Path

HINDI_ALPHABET_PATH = Path(__file__).resolve().parent / "alphabet_hi.txt"


def load_alphabet(path: Path | None = None) -> list[str]:
    """Read an alphabet file: one `U+XXXX NAME` a line, `#` starts a comment line.

    Args:
        path: The file; `None` is the Hindi alphabet that comes with the project.

    Returns:
        The characters, one code point each, in label order (the space first in the Hindi file).

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: A line is not `U+XXXX NAME`, names another character than its code point, or repeats one.
    """
    path = Path(path or HINDI_ALPHABET_PATH)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: found no file, expected an alphabet (`U+XXXX NAME` a line); correct the path")
    alphabet: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        character = _parse_line(line.strip(), f"{path}:{number}")
        if character in alphabet:
            raise ValueError(
                f"{path}:{number}: found {describe_character(character)} twice, expected it once; remove one line"
            )
        alphabet.append(character)
    if not alphabet:
        raise ValueError(
            f"{path}: found no character, expected lines like 'U+0905 DEVANAGARI LETTER A'; add one line for each label"
        )
    return alphabet


def describe_character(character: str) -> str:
    """Name a character in the form of the alphabet file, e.g. `U+0967 DEVANAGARI DIGIT ONE`."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '<no name>')}"


def find_outside_alphabet(text: str, alphabet: Collection[str]) -> list[str]:
    """List the characters of a text that an alphabet lacks.

    Args:
        text: Any text.
        alphabet: The characters that are allowed.

    Returns:
        Each offending character once, as `describe_character` names it, in order of first appearance.
    """
    return [describe_character(character) for character in dict.fromkeys(text) if character not in alphabet]


def _parse_line(line: str, where: str) -> str:
    code, _, name = line.partition(" ")
    try:
        character = chr(int(code.removeprefix("U+"), 16)) if code.startswith("U+") else ""
    except (ValueError, OverflowError):
        character = ""
    if not character:
        raise ValueError(
            f"{where}: found '{line}', expected 'U+0905 DEVANAGARI LETTER A' or the like; correct the line"
        )
    if describe_character(character) != line:
        raise ValueError(f"{where}: found '{name}', expected {describe_character(character)}; correct the line")
    return character
