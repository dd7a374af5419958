"""Scripts folded into one and back: nothing of any language is lost, and what cannot be folded is refused."""

import random
import unicodedata
from pathlib import Path

import pytest

from data_prep.languages.folding import fold_letters, invert, join_folds
from data_prep.languages.language import find_refusal, list_languages, load_language
from data_prep.languages.union import join_labels, list_labels
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy

USABLE = [code for code in list_languages() if not find_refusal(code)]
FOLDED = [code for code in USABLE if load_language(code).scripts[0] not in ("LATIN", "ARABIC")]
OWN_LABELS = {"as": "ৎ", "bn": "ৎ", "ml": "ൺൻർൽൾൿ", "or": "ୟୱ", "pa": "ੜੲੳੴੰੱ"}
"""Letters without a Devanagari letter that is one code point in NFC: they are their own labels."""


def fold_and_unfold(text: str, language: str) -> tuple[str, str]:
    letters = fold_letters(language)
    folded = text.translate(str.maketrans(invert(letters)))
    return folded, folded.translate(str.maketrans(letters))


@pytest.mark.parametrize("language", FOLDED)
def test_every_text_of_a_language_comes_back(language: str):
    alphabet = load_alphabet(language=language)
    sentences = [normalize_text(text, TextPolicy(language=language)) for text in load_language(language).sentences]
    letters = "".join(alphabet)
    scrambled = "".join(random.Random(0).choices(letters, k=2000))  # any sequence, also one that no word has
    for text in (*sentences, letters, scrambled):
        folded, back = fold_and_unfold(text, language)
        assert back == text and len(folded) == len(text)
        own = set(folded) - {letter for letter in folded if "DEVANAGARI" in unicodedata.name(letter)} - set(" ʼ")
        assert own <= set(OWN_LABELS.get(language, ""))
    labels = fold_letters(language)
    assert len(labels) == len(alphabet) and list(labels.values()) == alphabet


@pytest.mark.parametrize("language", FOLDED)
def test_a_letter_keeps_its_name(language: str):
    """What indic-nlp gives is the letter of the same name, but for long and short e and o, and rules of our own."""
    same = {"EE": "E", "OO": "O", "E": "SHORT E", "O": "SHORT O", "BINDI": "ANUSVARA"}
    ruled = {*load_language(language).fold, *OWN_LABELS.get(language, "")}
    for label, letter in fold_letters(language).items():
        if letter in ruled or letter in " ʼ":
            continue
        mine, its = (
            unicodedata.name(one).split(" ", 1)[1].replace("VOWEL CANDRA", "LETTER CANDRA") for one in (letter, label)
        )
        kind, _, name = mine.rpartition(" ")
        assert its in (mine, f"{kind} {same.get(name)}"), f"{letter} {label}"


def test_letters_of_one_sound_share_a_label_and_letters_of_one_language_never():
    assert {fold_letters(code)["क"] for code in ("hi", "bn", "ta", "ml", "pa")} == {"क", "ক", "க", "ക", "ਕ"}
    assamese = fold_letters("as")
    assert assamese["र"] == "ৰ" and assamese["व"] == "ৱ" and assamese["ৎ"] == "ৎ"
    tamil = fold_letters("ta")
    assert tamil["श"] == "ஶ" and tamil["ष"] == "ஷ"  # indic-nlp's way back has ஷ for both
    assert "ख" not in tamil and "घ" not in tamil  # and க for these


def test_the_labels_of_several_languages_are_fewer_and_hindi_comes_first():
    folded, union = load_alphabet(language="hi,bn,ml", script="devanagari"), load_alphabet(language="hi,bn,ml")
    assert folded[: len(load_alphabet())] == load_alphabet() and len(folded) == len(set(folded)) < len(union) / 2 + 10
    labels = list_labels(",".join(FOLDED), "devanagari")
    assert list(labels) == FOLDED and set(join_labels(labels)) == {one for own in labels.values() for one in own}


@pytest.mark.parametrize(
    ("language", "script", "message"),
    [
        (
            "hi,ur",
            "devanagari",
            r"expected languages in scripts of India, found ur \(Urdu\), which is written in Arabic",
        ),
        ("hi,en", "devanagari", r"found en \(English\), which is written in Latin; leave it out, or set script=null"),
        ("hi,ks", "devanagari", "language=ks: expected a language with a checked alphabet"),
        ("hi", "devanagari", "script=devanagari: expected several languages to write in one script, found language=hi"),
        ("hi,bn", "bengali", "script=bengali: expected devanagari, or null; choose one"),
    ],
)
def test_what_cannot_be_folded_is_refused_in_one_line(language: str, script: str, message: str):
    with pytest.raises(ValueError, match=message):
        load_alphabet(language=language, script=script)


def test_two_letters_with_one_label_are_refused(tmp_path: Path):
    written = Path(load_language.__code__.co_filename).with_name("bn.yaml").read_text(encoding="utf-8")
    path = tmp_path / "xyz.yaml"
    path.write_text(written.replace("  U+09CE: U+09CE", "  U+09CE: U+0924"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"label U\+0924 DEVANAGARI LETTER TA for two letters of bn, .* and .*KHANDA"):
        load_alphabet(language=f"hi,{path}", script="devanagari")
    with pytest.raises(ValueError, match=r"found the labels U\+0915 .* and U\+0916 .* \(in b\) for U\+0995"):
        join_folds({"a": {"क": "ক"}, "b": {"ख": "ক"}})
