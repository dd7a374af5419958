import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indicnlp.normalize.indic_normalize import IndicNormalizerFactory

from data_prep import text as text_module
from data_prep.alphabet import load_alphabet
from data_prep.text import NORMALIZER_FINGERPRINT, RULES, find_outside_alphabet, normalize_text

INDIC = IndicNormalizerFactory().get_normalizer("hi")

NUKTA_LETTERS = {"\u0929": "न", "\u0931": "र", "\u0934": "ळ"} | dict(
    zip(map(chr, range(0x958, 0x960)), "कखगजडढफय", strict=True)
)
DEVANAGARI = [chr(code) for code in range(0x900, 0x980)]
NEIGHBOURS = list("aZ09 \t\n.,:;|।॥'\"-–—…‘’“”%₹&()?!é\u0301<\u0338😀\x00\x7f\u00ad\u00a0\u034f")
NEIGHBOURS += list("\u200b\u200c\u200d\u2028\u2060\ufe0f\ufeff\ufffe")
HINDI_TEXT = st.text(st.sampled_from(DEVANAGARI + NEIGHBOURS))


def remove_invisible(text: str) -> str:
    """The reference: format and control characters and their kin go; all white space and U+200B become spaces."""
    text = "".join(" " if char.isspace() or char == "\u200b" else char for char in text)
    text = re.sub("[\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef\ufffe\uffff]", "", text)
    return "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cf"))


def list_letters(text: str) -> list[str]:
    """Letters, marks and digits in canonical order, the way in which they are encoded set aside."""
    decomposed = unicodedata.normalize("NFD", remove_invisible(text)).replace("\u0972", "ए")
    return [char for char in decomposed if unicodedata.category(char)[0] in "LMN"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("समय: दस", "समय दस"),
        ("समय:", "समय"),
        ("उसने कहा: हाँ", "उसने कहा हाँ"),
        ("10:30", "10 30"),
        ("दुःख छः प्रातः अंतःकरण", "दुःख छः प्रातः अंतःकरण"),
        ("अत: छ: प्राय: दु:ख नि:शुल्क प्रात:काल अंत:करण", "अतः छः प्रायः दुःख निःशुल्क प्रातःकाल अंतःकरण"),
        ("कुछ: पूछ: मृतप्राय: अपुन:", "कुछ पूछ मृतप्राय अपुन"),  # छ:, प्राय: and पुन: count as whole words only
        ("देश:मोदी", "देश मोदी"),
        ("एक।दो॥तीन|चार", "एक दो तीन चार"),
        ("कि\u200dस्मत क्\u200cष \ufeffराम", "किस्मत क्ष राम"),
        ("माँ अंक ऑफ़िस ऍप हँसी बॉल कॅट", "माँ अंक ऑफ़िस ऍप हँसी बॉल कॅट"),
        ("“क” ‘ख’ \"ग\" 'घ' – — … ...", "क ख ग घ"),
        ("डी'सूज़ा धीरे-धीरे", "डी सूज़ा धीरे धीरे"),
        ("डॉ॰ राम, (सीता)! क्या?", "डॉ राम सीता क्या"),
        ("  क \t ख\u00a0\u2028ग\n", "क ख ग"),
        ("क\x00ख\x07ग", "कखग"),
        ("क\u200bख", "क ख"),
        ("क\u093c् क्\u093c", "क\u093c् क\u093c्"),
        ("ॲप", "एप"),
        ("", ""),
        ("।", ""),
    ],
)
def test_normalize(text: str, expected: str):
    assert normalize_text(text) == expected


@pytest.mark.parametrize(
    "text", ["70वीं", "कोविड19", "१२ बजे", "50%", "₹100", "R&D", "a@b", "😀", "ௐ", "ऽ", "2+2=4", "25°"]
)
def test_what_is_read_aloud_stays_to_be_rejected(text: str):
    assert normalize_text(text) == text
    assert find_outside_alphabet(normalize_text(text), load_alphabet())


@pytest.mark.parametrize(("composed", "base"), NUKTA_LETTERS.items())
def test_nukta_is_always_its_own_character(composed: str, base: str):
    assert normalize_text(composed) == normalize_text(base + "\u093c") == base + "\u093c"


def test_every_letter_of_the_alphabet_is_left_alone():
    for character in load_alphabet()[1:]:
        assert normalize_text("क" + character) == "क" + character


@given(HINDI_TEXT | st.text())
@settings(max_examples=1500, deadline=None)
def test_a_second_time_changes_nothing(text: str):
    once = normalize_text(text)
    assert normalize_text(once) == once
    assert once == " ".join(once.split())


@given(st.text(st.sampled_from([char for char in DEVANAGARI + NEIGHBOURS if char != ":"])))
@settings(max_examples=1500, deadline=None)
def test_no_letter_is_lost_or_reordered(text: str):
    assert list_letters(normalize_text(text)) == list_letters(text)


@given(HINDI_TEXT)
@settings(max_examples=1500, deadline=None)
def test_skipping_indic_nlp_where_it_has_nothing_to_do_changes_nothing(text: str):
    for name, rule in RULES:
        if name == "apply_indic_nlp":
            assert rule(text) == INDIC.normalize(text)
        text = rule(text)


@given(st.text(st.sampled_from(DEVANAGARI)))
@settings(max_examples=500, deadline=None)
def test_colon_and_bar_never_reach_indic_nlp(text: str):
    words = [f"{word}य" for word in text.split()]
    assert normalize_text(": ".join([*words, ""])) == normalize_text(" ".join(words))
    assert normalize_text("|".join(words)) == normalize_text(" ".join(words))


def read_lines(shared_data: Path) -> Iterator[str]:
    paths = [*sorted(shared_data.glob("text/*.txt")), *sorted(shared_data.glob("*/transcripts.tsv"))]
    assert paths
    for path in paths:
        yield from path.read_text(encoding="utf-8").split("\n")


def test_all_real_lines_are_idempotent_and_lose_no_letter(shared_data: Path):
    restored = 0
    for line in read_lines(shared_data):
        once = normalize_text(line)
        assert normalize_text(once) == once
        letters, expected = list_letters(once), list_letters(line)
        if letters != expected:
            visargas = letters.count("ः") - expected.count("ः")
            assert 0 < visargas <= line.count(":"), line
            assert [char for char in letters if char != "ः"] == [char for char in expected if char != "ः"], line
            restored += visargas
    assert restored > 0


def test_all_real_lines_agree_with_indic_nlp_but_for_punctuation(shared_data: Path):
    compared = 0
    for line in read_lines(shared_data):
        if ":" not in line and "|" not in line:
            expected = re.sub(
                r"[^\w\s%&@#+=°₹$\u0300-\u036f\u0900-\u0963\ufffd]", " ", INDIC.normalize(remove_invisible(line))
            )
            compared += 1
            found = re.sub(r"[^\w\s%&@#+=°₹$\u0300-\u036f\u0900-\u0963\ufffd]", " ", normalize_text(line))
            assert found.replace("_", " ").split() == expected.replace("_", " ").split(), line
    assert compared > 25_000


def test_fingerprint_is_the_same_in_another_process_and_changes_with_the_tables(monkeypatch: pytest.MonkeyPatch):
    assert re.fullmatch(r"hi-1-[0-9a-f]{8}", NORMALIZER_FINGERPRINT)
    code = "from data_prep.text import NORMALIZER_FINGERPRINT as f; print(f)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == NORMALIZER_FINGERPRINT
    monkeypatch.setattr(text_module, "SILENT_SYMBOLS", "|")
    assert text_module._fingerprint() != NORMALIZER_FINGERPRINT
