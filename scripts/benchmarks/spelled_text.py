"""Sentences of AN4's kinds, made from rules: spelled words, letters with a number, numbers, dates and short commands.

AN4's transcripts are not read. The words to spell come from text files.

    python scripts/benchmarks/spelled_text.py OUTPUT --sentences 3000 --words TEXT [TEXT …]
"""

import argparse
import random
import re
import string
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]


def words_of(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ONES = words_of("ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE")
TEENS = words_of("TEN ELEVEN TWELVE THIRTEEN FOURTEEN FIFTEEN SIXTEEN SEVENTEEN EIGHTEEN NINETEEN")
TENS = words_of("TWENTY THIRTY FORTY FIFTY SIXTY SEVENTY EIGHTY NINETY")
ORDINALS = words_of(
    "FIRST SECOND THIRD FOURTH FIFTH SIXTH SEVENTH EIGHTH NINTH TENTH ELEVENTH TWELFTH THIRTEENTH FOURTEENTH FIFTEENTH "
    "SIXTEENTH SEVENTEENTH EIGHTEENTH NINETEENTH TWENTIETH"
)
MONTHS = words_of("JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER")
COMMANDS = words_of("YES NO GO STOP START HELP REPEAT")
FIRST_WORDS = words_of("ENTER ERASE RUBOUT")


class Sentences:
    """Draws sentences.

    Args:
        words: Words to spell, in capitals of the English alphabet.
        seed: Seed of all draws.
    """

    def __init__(self, words: Sequence[str], seed: int) -> None:
        self.words, self.draw = words, random.Random(seed)
        self.kinds: dict[Callable[[], list[str]], int] = {  # a kind and its weight
            self.spelled: 6,
            self.letters: 4,
            self.digits: 3,
            self.numbers: 2,
            self.date: 2,
            self.command: 1,
        }

    def next(self) -> str:
        """Return one sentence."""
        (kind,) = self.draw.choices(list(self.kinds), list(self.kinds.values()))
        return " ".join(kind())

    def spelled(self) -> list[str]:
        return list(self.draw.choice(self.words))

    def letters(self) -> list[str]:
        first = [self.draw.choice(FIRST_WORDS)] if self.draw.random() < 0.6 else []
        letters = self.draw.choices(string.ascii_uppercase, k=self.draw.randint(2, 6))
        return [*first, *letters, *(self.number() if self.draw.random() < 0.8 else [])]

    def digits(self) -> list[str]:
        return [self.draw.choice([*ONES, "OH", "ZERO"]) for _ in range(self.draw.choice([3, 4, 5, 5, 7, 7]))]

    def numbers(self) -> list[str]:
        return [word for _ in range(self.draw.randint(1, 3)) for word in self.number()]

    def date(self) -> list[str]:
        day = self.draw.randrange(31)
        ordinal = [ORDINALS[day]] if day < 20 else ["THIRTIETH"] if day == 29 else self._after_twentieth(day)
        year = ["NINETEEN", *self.number()] if self.draw.random() < 0.6 else []
        return [self.draw.choice(MONTHS), *ordinal, *year]

    def command(self) -> list[str]:
        return [self.draw.choice(COMMANDS)]

    def number(self) -> list[str]:
        value = self.draw.randrange(1, 100)
        if value < 10:
            return [ONES[value - 1]]
        if value < 20:
            return [TEENS[value - 10]]
        return [TENS[value // 10 - 2], *([ONES[value % 10 - 1]] if value % 10 else [])]

    def _after_twentieth(self, day: int) -> list[str]:
        return ["THIRTY", "FIRST"] if day == 30 else ["TWENTY", ORDINALS[day - 20]]


def main() -> None:
    given = read_arguments()
    from data_prep.manifest import write_text

    texts = [path.read_text(encoding="utf-8") for path in given.words]
    words = sorted({word.upper() for text in texts for word in re.findall(r"\b[A-Za-z]{3,11}\b", text)})
    if not words:
        sys.exit(f"{given.words[0]}: found no word of 3 to 11 English letters; give an English text")
    sentences, found = Sentences(words, given.seed), dict[str, None]()
    for _ in range(100 * given.sentences):  # short kinds repeat
        found[sentences.next()] = None
        if len(found) == given.sentences:
            break
    else:
        sys.exit(f"--sentences {given.sentences}: found only {len(found)} different ones; give more words")
    write_text(given.output, "".join(f"{sentence}\n" for sentence in found))


def read_arguments() -> argparse.Namespace:

    def existing(text: str) -> Path:
        if not Path(text).is_file():
            raise argparse.ArgumentTypeError(f"{text}: found no file, expected a UTF-8 text")
        return Path(text)

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--sentences", type=int, default=3000)
    parser.add_argument("--words", nargs="+", type=existing, required=True, help="texts with words to spell")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
