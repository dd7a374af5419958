"""nemo_text_processing's Hindi grammars, for what they say well: clock times, dates, fractions and units of measure.

They take most of a minute to build, so they are built once and kept in the user's cache folder; and 1 to 30 ms a call,
so they are asked about the one span at hand, never a sentence, and every answer is remembered. What they say wrongly
(grouped and long numbers, currency, percent, phone numbers, some ordinals) never reaches them: see `numbers.py`.
"""

import fcntl
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data_prep.text.number_words import fix_spelling

# The three archives that the grammars are kept in; the third is Hindi in spite of its name.
ARCHIVES = (
    "hi_tn_True_deterministic_cased__tokenize.far",
    "hi_tn_post_processing.far",
    "en_tn_True_deterministic_verbalizer.far",
)


def check_grammars(needed_by: str = "numbers=verbalize") -> None:
    """Check that nemo_text_processing is installed, without the time that importing it takes.

    Args:
        needed_by: The argument that asks for it.

    Raises:
        ValueError: It is not.
    """
    if importlib.util.find_spec("nemo_text_processing") is None or importlib.util.find_spec("pynini") is None:
        raise ValueError(
            f"{needed_by} needs nemo_text_processing, which is not installed; run: "
            "pip install -c constraints.txt '.[numbers]'"
        )


def find_grammar_cache(kind: str = "hi") -> Path:
    """Give the folder of the built grammars: one for each kind and version, in $XDG_CACHE_HOME or ~/.cache."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"grammars-{kind}-{version('nemo_text_processing')}-pynini-{version('pynini')}"
    return caches / "hindi-xlsr-nemo" / name


@cache
def say_span(span: str) -> str:
    """Say one clock time, date, fraction or measure: 10:30 → साढ़े दस.

    Args:
        span: ASCII digits and signs, in a form that the grammars read well.

    Returns:
        Hindi words in this project's spelling; whatever the grammars leave as it is stays in.
    """
    return fix_spelling(" ".join(_load_normalizer().normalize(span).split()))


@cache
def _load_normalizer() -> Any:
    check_grammars()
    return load_built(find_grammar_cache(), ARCHIVES, _make_normalizer)


def load_built(folder: Path, archives: Sequence[str], make: Callable[[Path], Any]) -> Any:
    """Load grammars from the archives in a folder, which are built first where they are not there.

    Args:
        folder: Where they are kept.
        archives: The files that must be there for the grammars to be complete.
        make: Makes them from a folder, and writes what is missing in it.

    Raises:
        OSError: The folder cannot be written.
    """
    if not _is_built(folder, archives):
        _build(folder, archives, make)
    return make(folder)


def _is_built(folder: Path, archives: Sequence[str]) -> bool:
    return all((folder / name).is_file() for name in archives)


def _build(folder: Path, archives: Sequence[str], make: Callable[[Path], Any]) -> None:
    """Build the grammars aside and move them to their place whole; of many processes one builds, the others wait."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_suffix(".lock").open("w")
    except OSError as error:
        raise OSError(
            f"{folder.parent}: the number grammars cannot be kept there ({error.strerror}); "
            "set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_built(folder, archives):
            return
        print(f"building the Hindi number grammars, once, about a minute: {folder}", file=sys.stderr)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            make(temporary)
            shutil.rmtree(folder, ignore_errors=True)  # what a build of another kind left there is not complete
            temporary.replace(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _make_normalizer(folder: Path) -> Any:
    from nemo_text_processing.text_normalization.normalize import Normalizer  # pynini is heavy: not for every job

    logging.getLogger("NeMo-text-processing").setLevel(logging.ERROR)
    return Normalizer(input_case="cased", lang="hi", cache_dir=str(folder), overwrite_cache=False)
