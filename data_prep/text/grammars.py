"""nemo_text_processing's grammars of Hindi and English: clock times, fractions, units of measure and more in words.

Building them takes most of a minute, so they are built once and kept in the user's cache folder. A call takes 1 to
30 ms in Hindi and up to 300 in English, so it gets one span, not a sentence, and every answer is cached. The Hindi
grammars are wrong for grouped and long numbers, currency, percent, phone numbers and some ordinals; `number_rules.py`
handles these.
"""

import fcntl
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.text.number_words import fix_spelling


def check_grammars(needed_by: str = "numbers=verbalize") -> None:
    """Check that nemo_text_processing is installed, without importing it.

    Args:
        needed_by: The argument that needs it.

    Raises:
        ValueError: It is not installed.
    """
    if importlib.util.find_spec("nemo_text_processing") is None or importlib.util.find_spec("pynini") is None:
        raise ValueError(
            f"{needed_by}: expected nemo_text_processing to be installed; run: "
            "pip install -c constraints.txt '.[numbers]'"
        )


def find_grammar_cache(kind: str = "hi") -> Path:
    """Return the folder of the built grammars: one for each kind and version, in $XDG_CACHE_HOME or ~/.cache."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"grammars-{kind}-{version('nemo_text_processing')}-pynini-{version('pynini')}"
    return caches / "hindi-xlsr-nemo" / name


def list_archives(language: str = DEFAULT_LANGUAGE) -> tuple[str, ...]:
    """List the files of complete grammars; the third is the language's own, although its name says English."""
    kinds = ("tn_True_deterministic_cased__tokenize.far", "tn_post_processing.far")
    return (*(f"{language}_{kind}" for kind in kinds), "en_tn_True_deterministic_verbalizer.far")


@cache
def say_span(span: str, language: str = DEFAULT_LANGUAGE) -> str:
    """Say one clock time, date, fraction or measure: 10:30 → साढ़े दस.

    Args:
        span: ASCII digits and signs, in a form that the grammars read well.
        language: `hi` or `en`.

    Returns:
        Words, Hindi ones in this project's spelling; what the grammars do not know stays as it is.
    """
    words = " ".join(_load_normalizer(language).normalize(span).split())
    return fix_spelling(words) if language == DEFAULT_LANGUAGE else words


@cache
def _load_normalizer(language: str) -> Any:
    check_grammars()
    return load_built(find_grammar_cache(language), list_archives(language), partial(_make_normalizer, language))


def load_built(folder: Path, archives: Sequence[str], make: Callable[[Path], Any]) -> Any:
    """Load grammars from the archives in a folder; build the archives first where they are missing.

    Args:
        folder: Folder of the archives.
        archives: Names of all files of complete grammars.
        make: Function that loads the grammars from a folder and writes missing files into it.

    Raises:
        OSError: The folder is not writable.
    """
    if not _is_built(folder, archives):
        _build(folder, archives, make)
    return make(folder)


def _is_built(folder: Path, archives: Sequence[str]) -> bool:
    return all((folder / name).is_file() for name in archives)


def _build(folder: Path, archives: Sequence[str], make: Callable[[Path], Any]) -> None:
    """Build the grammars in a temporary folder, then rename it; one process builds, the others wait."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = folder.with_suffix(".lock").open("w")
    except OSError as error:
        raise OSError(
            f"{folder.parent}: found a folder without write access ({error.strerror}), expected one for the number "
            "grammars; set XDG_CACHE_HOME to a writable folder"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_built(folder, archives):
            return
        print(f"building the number grammars, once, about a minute: {folder}", file=sys.stderr)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            make(temporary)
            shutil.rmtree(folder, ignore_errors=True)  # an incomplete build
            temporary.replace(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _make_normalizer(language: str, folder: Path) -> Any:
    from nemo_text_processing.text_normalization.normalize import Normalizer  # pynini is heavy: not for every job

    logging.getLogger("NeMo-text-processing").setLevel(logging.ERROR)
    return Normalizer(input_case="cased", lang=language, cache_dir=str(folder), overwrite_cache=False)
