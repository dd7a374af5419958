"""A language as data: alphabet, script, normaliser, numbers, abbreviations, spelling variants, sentences, sources.

`language=` of every job is a code (`ta`) or the path of a file of your own in the same form (`my/xyz.yaml`). The class
`Language` explains the keys, and `ml.yaml` is an example; only Hindi has rules in code as well (`data_prep.text`). A
language without a trustworthy source for its alphabet has a file with `refused`, the reason.

`hi+en` is Hindi with English words in Latin letters, in one sentence: the letters of both, each word by the rules of
its own language. Any language but English can have `+en`; it needs no file.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from data_prep.languages.characters import parse_alphabet, parse_code_points

DEFAULT_LANGUAGE = "hi"
SEPARATOR = ","
"""Stands between the languages of a model that has several, see `union`."""
ENGLISH = "en"
WITH_ENGLISH = f"+{ENGLISH}"
"""Ends the name of a language whose sentences hold English words in Latin letters."""
_FOLDER = Path(__file__).resolve().parent
_SUFFIX = ".yaml"
_DIRECTIONS = ("ltr", "rtl")
_REQUIRED = ("code", "name", "scripts", "direction", "sources")


@dataclass(frozen=True)
class Language:
    """A language; the names of the attributes are the keys of its file.

    Attributes:
        code: Two or three letters (ISO 639), in fingerprints and manifests.
        name: English name.
        scripts: Scripts of its letters, as Unicode's character names begin: `TAMIL`.
        direction: `ltr`, or `rtl` for text that runs from right to left.
        sources: Where the alphabet and the rules come from.
        refused: Why the language cannot be used; empty if it can.
        alphabet: The characters, one code point each, in label order, the space first.
        own_rules: Whether `data_prep.text` has the normaliser's rules in code (Hindi).
        indic_nlp: Code whose normaliser of indic-nlp-library is applied; `None` for none.
        protect: Letters that indic-nlp would replace and that stay.
        join: Sequences with a zero-width joiner → what they mean, before joiners are removed.
        replace: Sequences that look like a letter, and other encodings of a letter → the letter.
        remove: Marks and letters that are dropped.
        silent: Symbols that separate words like punctuation.
        apostrophe: Letter for an apostrophe between two letters; empty if it is punctuation.
        case: `upper` for alphabets of capitals, else `None`.
        fold: Letter → its label with `script=devanagari`, where indic-nlp has a wrong one or none (see `folding`).
        digits: The ten digits of its script, from zero; empty if it uses ASCII ones only.
        numbers: Code of indic_numtowords for number words; `None` if `numbers_refused` says why not.
        grammars: Code of nemo_text_processing's grammars for its numbers with signs, `hi` or `en`; empty for none.
        numbers_refused: Why numbers are not written in words.
        number_spelling: Part of a number word that the library writes wrongly → the right one.
        abbreviations: Abbreviation without its full stop → the words; only those with one reading.
        spelling: Pairs of spellings of one sound that scoring may count as equal, first → second.
        espeak: Voice of eSpeak NG for synthesised speech; empty if it has none.
        sentences: Test sentences, written for this project.
        corpora: Corpus reader → its folder or code of this language.
    """

    code: str
    name: str
    scripts: tuple[str, ...]
    direction: str
    sources: tuple[str, ...]
    refused: str = ""
    alphabet: tuple[str, ...] = ()
    own_rules: bool = False
    indic_nlp: str | None = None
    protect: str = ""
    join: Mapping[str, str] = field(default_factory=dict)
    replace: Mapping[str, str] = field(default_factory=dict)
    remove: str = ""
    silent: str = ""
    apostrophe: str = ""
    case: str | None = None
    fold: Mapping[str, str] = field(default_factory=dict)
    digits: str = ""
    numbers: str | None = None
    grammars: str = ""
    numbers_refused: str = ""
    number_spelling: Mapping[str, str] = field(default_factory=dict)
    abbreviations: Mapping[str, str] = field(default_factory=dict)
    spelling: Mapping[str, str] = field(default_factory=dict)
    espeak: str = ""
    sentences: tuple[str, ...] = ()
    corpora: Mapping[str, str] = field(default_factory=dict)


def list_languages() -> list[str]:
    """List the codes of the languages that come with the project, refused ones included."""
    return sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}"))


def load_language(language: str) -> Language:
    """Load a language.

    Args:
        language: A code, or the path of a language file (it ends in `.yaml`); with `+en`, its sentences hold English
            words.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The code is unknown (the message names the nearest), the language is refused, its file is wrong, or
            several languages are named.
    """
    language = str(language)
    if SEPARATOR in language:
        raise ValueError(f"language={language}: expected one language here; name one of them")
    if language.endswith(WITH_ENGLISH):
        return _join_english(language.removesuffix(WITH_ENGLISH))
    if language.endswith(_SUFFIX):
        path = Path(language).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"language={language}: found no file, expected a language file; correct the path")
        return _read(path.resolve())
    return _load_code(language)


@cache  # each text asks for its language: a look into the folder would cost more than the rest of the verdict
def _load_code(language: str) -> Language:
    known = list_languages()
    if language not in known:
        raise ValueError(f"language={language}: expected one of {', '.join(known)}; {_suggest(language, known)}")
    found = _read(_FOLDER / f"{language}{_SUFFIX}")
    if found.refused:
        raise ValueError(
            f"language={language}: expected a language with a checked alphabet; {found.name} has none: {found.refused}"
        )
    return found


def with_english(language: str) -> str:
    """Return the name of a language whose sentences may hold English words in Latin letters: `hi` → `hi+en`.

    A language in Latin letters, and one that has English words already, stay as they are.
    """
    return language if "LATIN" in load_language(language).scripts else f"{language}{WITH_ENGLISH}"


def is_known(code: str) -> bool:
    """Whether a language that a model or a manifest names comes with the project."""
    return code.removesuffix(WITH_ENGLISH) in list_languages()


@cache
def _join_english(language: str) -> Language:
    """Join English to a language: one alphabet, and all the data that are not letters from the language itself."""
    found, english = load_language(language), load_language(ENGLISH)
    if "LATIN" in found.scripts:
        raise ValueError(
            f"language={language}{WITH_ENGLISH}: expected a language in another script than Latin; set {language}"
        )
    return replace(
        found,
        code=f"{found.code}{WITH_ENGLISH}",
        name=f"{found.name} with English words",
        scripts=(*found.scripts, *english.scripts),
        sources=(*found.sources, *english.sources),
        alphabet=tuple(dict.fromkeys((*found.alphabet, *english.alphabet))),
        case=english.case,
        sentences=tuple(f"{one} {other}" for one, other in zip(found.sentences, english.sentences, strict=False)),
    )


def find_refusal(code: str) -> str:
    """Return the reason why a language is refused; empty if it is not."""
    return _read(_FOLDER / f"{code}{_SUFFIX}").refused


def _suggest(language: str, known: list[str]) -> str:
    """Name the nearest code: by the English name, then by the spelling of the code."""
    names = {_read(_FOLDER / f"{code}{_SUFFIX}").name.lower(): code for code in known}
    wanted = language.lower().strip()
    near = difflib.get_close_matches(wanted, names, 1, 0.7) or [
        name for name in names if len(wanted) > 2 and name.startswith(wanted[:3])
    ]
    code = names[near[0]] if near else (difflib.get_close_matches(wanted, known, 1, 0.5) or [""])[0]
    remedy = "or give the path of a language file (.yaml)"
    return f"did you mean {code} ({_read(_FOLDER / f'{code}{_SUFFIX}').name})? {remedy}" if code else remedy


@lru_cache(maxsize=64)
def _read(path: Path) -> Language:
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: found no YAML ({' '.join(str(error).split())}); correct the file") from error
    if not isinstance(written, dict):
        raise ValueError(f"{path}: found {type(written).__name__}, expected keys and values; see data_prep/languages")
    known = Language.__dataclass_fields__
    if unknown := [key for key in written if key not in known]:
        raise ValueError(f"{path}: found the key {unknown[0]}, expected one of {', '.join(known)}; correct it")
    if missing := [key for key in _REQUIRED if not written.get(key)]:
        raise ValueError(f"{path}: found no key {missing[0]}, expected one; add it")
    if written["direction"] not in _DIRECTIONS:
        raise ValueError(f"{path}: found direction {written['direction']}, expected ltr or rtl; correct it")
    return Language(**{key: _convert(key, value, path) for key, value in written.items()})


def _convert(key: str, value: Any, path: Path) -> Any:
    """Convert a value as YAML has it to the attribute's type; characters are written as code points."""
    where = f"{path}: {key}"
    if key == "alphabet":
        return tuple(parse_alphabet(str(value).splitlines(), where))
    if key in ("join", "replace", "spelling", "fold"):
        return {
            parse_code_points(before, where): parse_code_points(after or "", where)
            for before, after in dict(value).items()
        }
    if key in ("protect", "remove", "silent", "apostrophe", "digits"):
        return parse_code_points(str(value), where)
    if key in ("scripts", "sources", "sentences"):
        return tuple(map(str, value))
    if key in ("abbreviations", "number_spelling", "corpora"):
        return {str(name): str(words) for name, words in dict(value).items()}
    return value
