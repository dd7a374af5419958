"""English words in Devanagari by rule, beside their usual spellings: exact words and character errors.

A list is a table of a word and its spellings, divided by tabs; a word is right if it is one of them. The half of the
words whose SHA-256 is odd was not looked at while the rules were written. The project's list is not used.

    python scripts/benchmarks/transliteration.py data_prep/text/english_hi.tsv [--errors]
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from data_prep.text.loan_spelling import write_loan_word
from data_prep.text.normalizer import normalize_text
from data_prep.text.transliteration import fingerprint_transliteration, speak_words
from nemo_models.evaluation.scoring import score_texts
from nemo_models.evaluation.spelling import spelling_key

Row = tuple[str, list[str]]


def main() -> None:
    rows = read_list(Path(sys.argv[1]))
    held_out = [row for row in rows if hashlib.sha256(row[0].encode()).digest()[-1] % 2]
    seen = [row for row in rows if row not in held_out]
    print(fingerprint_transliteration())
    for name, half in (("seen", seen), ("held out", held_out)):
        measure(name, half, "--errors" in sys.argv)


def read_list(path: Path) -> list[Row]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return [(word, spellings) for word, *spellings in (line.split("\t") for line in lines)]


def measure(name: str, rows: Sequence[Row], shows_errors: bool) -> None:
    exact, equal, nearest, written = 0, 0, [], []
    for (word, spellings), sounds in zip(rows, speak_words([word for word, _ in rows]), strict=True):
        found = normalize_text(write_loan_word(word, sounds) or "")
        listed = [text for text in map(normalize_text, spellings) if text]
        keys = [spelling_key(spelling) for spelling in listed]
        exact += found in listed
        equal += spelling_key(found) in keys
        written.append(spelling_key(found))
        rates = [score_texts([key], [written[-1]]).cer for key in keys]
        nearest.append(keys[rates.index(min(rates))])
        if shows_errors and spelling_key(found) not in keys:
            print(f"  {word} {found}, usually {listed[0]}")
    cer = score_texts(nearest, written).cer
    print(
        f"{name}: {len(rows)} words, {100 * exact / len(rows):.1f} % exact, {100 * equal / len(rows):.1f} % with "
        f"spelling variants, CER to the nearest spelling {100 * cer:.1f} %"
    )


if __name__ == "__main__":
    main()
