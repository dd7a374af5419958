"""Words of which more than one spelling is in use, from a list with sources; users may add lists."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from data_prep.text.normalizer import normalize_text
from nemo_models.evaluation.spelling import spelling_key

VARIANTS_PATH = Path(__file__).with_name("variants_hi.tsv")
ENDINGS = ("ियों", "ियां", "ाओं", "ाएं", "ों", "ें", "ओं", "एं")
"""Endings of inflected words, as spelling keys: a listed word is found with them, too (कॉलेजों = कालेजों). Endings of
one vowel would go too far: शर्म = शरम, but शर्मा is a name and शरमा a verb."""
_LEAST_STEM = 3


@cache
def load_variants(paths: tuple[Path, ...] = (VARIANTS_PATH,)) -> Mapping[str, str]:
    """Read lists of words with more than one spelling.

    Args:
        paths: Tables of class, spellings divided by spaces, and source, divided by tabs.

    Returns:
        Each spelling's key → the key of the first spelling in its line.

    Raises:
        FileNotFoundError: A list is missing.
        ValueError: A line has fewer than two spellings or no source.
    """
    first: dict[str, str] = {}
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"variants={path}: no such list; expected a table of class, spellings and source")
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            columns = line.split("\t")
            spellings = columns[1].split() if len(columns) == 3 else []
            if len(spellings) < 2:
                raise ValueError(f"{path}:{number}: found {line!r}, expected class, two spellings or more, and source")
            keys = [spelling_key(normalize_text(spelling)) for spelling in spellings]
            target = next((first[key] for key in keys if key in first), keys[0])
            first.update(dict.fromkeys(keys, target))
    return first


def make_variant_key(paths: Sequence[Path] = ()) -> Callable[[str], str]:
    """Return the function from a spelling key to a key that is equal for all listed spellings of a word.

    Args:
        paths: Lists beside the project's own.
    """
    first = load_variants((VARIANTS_PATH, *paths))

    def variant_key(key: str) -> str:
        if key in first:
            return first[key]
        for ending in ENDINGS:
            stem = key.removesuffix(ending)
            if stem != key and len(stem) >= _LEAST_STEM and stem in first:
                return first[stem] + ending
        return key

    return variant_key
