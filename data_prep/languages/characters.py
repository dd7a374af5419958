"""Characters by code point and name, as alphabet files, language files and reports write them."""

import unicodedata
from collections.abc import Iterable


def describe_character(character: str) -> str:
    """Name a character in the form of the alphabet file, e.g. `U+0967 DEVANAGARI DIGIT ONE`."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '<no name>')}"


def parse_alphabet(lines: Iterable[str], where: str) -> list[str]:
    """Read the lines of an alphabet: one `U+XXXX NAME` a line, `#` starts a comment line.

    Args:
        lines: The lines.
        where: The file, for messages.

    Returns:
        The characters, one code point each, in label order.

    Raises:
        ValueError: A line is not `U+XXXX NAME`, names another character than its code point, or repeats one.
    """
    alphabet: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        character = _parse_line(line.strip(), f"{where}:{number}")
        if character in alphabet:
            raise ValueError(
                f"{where}:{number}: found {describe_character(character)} twice, expected it once; remove one line"
            )
        alphabet.append(character)
    if not alphabet:
        raise ValueError(
            f"{where}: found no character, expected lines like 'U+0905 DEVANAGARI LETTER A'; add one line for each "
            "label"
        )
    return alphabet


def parse_code_points(written: str, where: str) -> str:
    """Read a sequence of code points: `U+09A4 U+09CD` → ত্.

    Raises:
        ValueError: A part is not `U+` and a hexadecimal number.
    """
    try:
        return "".join(_to_character(part) for part in written.split())
    except (ValueError, OverflowError):
        raise ValueError(f"{where}: found '{written}', expected code points such as 'U+09A4 U+09CD'") from None


def _to_character(code: str) -> str:
    if not code.startswith("U+"):
        raise ValueError(code)
    return chr(int(code.removeprefix("U+"), 16))


def _parse_line(line: str, where: str) -> str:
    code, _, name = line.partition(" ")
    try:
        character = _to_character(code)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{where}: found '{line}', expected 'U+0905 DEVANAGARI LETTER A' or the like; correct the line"
        ) from None
    if describe_character(character) != line:
        raise ValueError(f"{where}: found '{name}', expected {describe_character(character)}; correct the line")
    return character
