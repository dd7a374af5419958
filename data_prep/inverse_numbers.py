"""Numbers in digits, in text that was recognised as it was spoken: nemo_text_processing's Hindi grammars, backwards."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_prep.grammars import check_grammars, find_grammar_cache, load_built

DIGITS = ("devanagari", "ascii")
ARCHIVE = "hi_itn.far"
_TO_ASCII = str.maketrans("०१२३४५६७८९", "0123456789")


def make_number_writer(digits: str = "devanagari") -> Callable[[str], str]:
    """Load the grammars, or build them (about a minute) the first time.

    Args:
        digits: `devanagari`, as the grammars write them, or `ascii`.

    Returns:
        A function that writes numbers, dates, times, sums of money and measures of a text in digits:
        "पच्चीस रुपये" → "₹२५". What the grammars cannot take comes back as it is.

    Raises:
        OSError: The folder of built grammars cannot be written.
        ValueError: `digits` is neither, or nemo_text_processing is not installed.
    """
    if digits not in DIGITS:
        raise ValueError(f"itn_digits is {digits}, expected one of {', '.join(DIGITS)}")
    check_grammars("itn=true")
    grammars = load_built(find_grammar_cache("hi-inverse"), (ARCHIVE,), _make_normalizer)

    def write(text: str) -> str:
        if not text.strip():
            return text
        written = " ".join(grammars.inverse_normalize(text, verbose=False).split())
        return written.translate(_TO_ASCII) if digits == "ascii" else written

    return write


def _make_normalizer(folder: Path) -> Any:
    # pynini is heavy: not for every job
    from nemo_text_processing.inverse_text_normalization.inverse_normalize import InverseNormalizer

    logging.getLogger("NeMo-text-processing").setLevel(logging.ERROR)
    return InverseNormalizer(lang="hi", cache_dir=str(folder), overwrite_cache=False)
