"""The alphabet is one file, because the model's labels, the text checks and the language model must never disagree."""

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
        FileNotFoundError: There is no such file.
        ValueError: A line is not `U+XXXX NAME`, names another character than its code point, or repeats one.
    """
    path = Path(path or HINDI_ALPHABET_PATH)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such alphabet file")
    alphabet: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        character = _parse_line(line.strip(), f"{path}:{number}")
        if character in alphabet:
            raise ValueError(f"{path}:{number}: {describe_character(character)} is listed twice; remove one")
        alphabet.append(character)
    if not alphabet:
        raise ValueError(f"{path}: lists no character; expected lines like 'U+0905 DEVANAGARI LETTER A'")
    return alphabet


def describe_character(character: str) -> str:
    """Name one character the way the alphabet file does, e.g. `U+0967 DEVANAGARI DIGIT ONE`."""
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
        raise ValueError(f"{where}: found '{line}', expected a line like 'U+0905 DEVANAGARI LETTER A'")
    if describe_character(character) != line:
        raise ValueError(f"{where}: '{name}' is not the name of {describe_character(character)}; correct the line")
    return character
