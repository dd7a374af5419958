"""Rules that every language shares: invisible characters, Unicode's composed form, punctuation, white space."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Symbols that Unicode counts as punctuation but that readers speak: the verdict has to see them.
READ_ALOUD = "%٪﹪％‰‱&﹠＆@﹫＠#﹟＃§"
# Marks that Unicode counts as symbols but that nobody reads aloud: quotes, bars, dashes and bullets.
DANDAS = "।॥|¦｜"
QUOTES = "\"'`´"
DASHES = "−"
SILENT_SYMBOLS = "^~<>•●○■□▪▫◆◇★☆►▶"
# Pictures: symbols of these blocks; U+20E3 is the box around a keycap.
EMOJI = r"[\u2600-\u27bf\u2b00-\u2bff\u20e3\U0001f000-\U0001fbff]"
# Format characters inside words are removed, except these, which separate words.
ZERO_WIDTH_SPACE = "\u200b"
# Invisible characters that Unicode files under other categories: variation selectors, grapheme joiner, noncharacters.
INVISIBLE = r"[\ufe00-\ufe0f\U000e0100-\U000e01ef\u034f\ufffe\uffff]"

Rule = tuple[str, Callable[[str], str]]


class _CategoryTable(dict[int, int | str | None]):
    """A `str.translate` table that computes a character's entry at its first use."""

    def __init__(self, entry: Callable[[str], str | None]) -> None:
        super().__init__()
        self._entry = entry

    def __missing__(self, code_point: int) -> str | None:
        self[code_point] = value = self._entry(chr(code_point))
        return value


def _map_invisible(character: str) -> str | None:
    if character.isspace() or character == ZERO_WIDTH_SPACE:
        return " "
    invisible = unicodedata.category(character) in ("Cc", "Cf") or re.match(INVISIBLE, character)
    return None if invisible else character


def make_silent(is_silent: Callable[[str, str], bool]) -> Callable[[str], str]:
    """Make a rule that puts a space in place of each character for which `is_silent(character, category)`."""
    table = _CategoryTable(lambda char: " " if is_silent(char, unicodedata.category(char)) else char)
    return lambda text: text.translate(table)


_INVISIBLE_TABLE = _CategoryTable(_map_invisible)


def remove_invisible(text: str) -> str:
    """Remove format characters and controls; every kind of white space becomes a space."""
    return text.translate(_INVISIBLE_TABLE)


def compose(text: str) -> str:
    """Bring a text into Unicode's composed form, NFC."""
    return unicodedata.normalize("NFC", text)


def collapse_whitespace(text: str) -> str:
    """Leave one space between words and none at the ends."""
    return " ".join(text.split())


ENCODING_RULES: tuple[Rule, ...] = (
    ("remove_invisible", remove_invisible),  # BOM, ZWJ, ZWNJ, control characters; every kind of white space → space
    ("compose", compose),  # NFC
)
SILENT_RULES: tuple[Rule, ...] = (
    (
        "remove_emoji",
        make_silent(lambda char, kind: kind in ("So", "Sk", "Me") and re.match(EMOJI, char) is not None),
    ),
    ("remove_dandas", make_silent(lambda char, kind: char in DANDAS)),
    ("remove_quotes", make_silent(lambda char, kind: kind in ("Pi", "Pf") or char in QUOTES)),
    ("remove_dashes", make_silent(lambda char, kind: kind == "Pd" or char in DASHES)),
    (
        "remove_punctuation",
        make_silent(lambda char, kind: (kind[0] == "P" and char not in READ_ALOUD) or char in SILENT_SYMBOLS),
    ),
)


@dataclass(frozen=True)
class Change:
    """A change of one text by one rule."""

    rule: str
    before: str
    after: str


def apply_rules(rules: Sequence[Rule], text: str, changes: list[Change]) -> str:
    """Apply rules in order and note those that changed the text."""
    for name, rule in rules:
        after = rule(text)
        if after != text:
            changes.append(Change(name, text, after))
            text = after
    return text
