"""Hindi's normalised texts, verdicts and fingerprints are what they were before the project knew other languages.

The digests were computed with the code before that change. A change of the Hindi rules changes them on purpose: then
raise NORMALIZER_VERSION or POLICY_VERSION and write the new digests here.
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import pytest

from data_prep.text import devanagari
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import (
    NORMALIZER_FINGERPRINT,
    NORMALIZER_VERSION,
    RULES,
    fingerprint_policy,
    normalize_text,
    trace_rules,
)
from data_prep.text.policy import AS_WRITTEN, POLICY_VERSION, TextPolicy
from data_prep.text.verdict import judge

POLICIES = {
    "as_written": AS_WRITTEN,
    "default": TextPolicy(),
    "strip": TextPolicy(annotations="strip", abbreviations="reject"),
    "keep": TextPolicy(numbers="keep", latin="keep", annotations="keep", abbreviations="keep"),
}
WRITTEN = """
यह एक साधारण वाक्य है।
“क़लम” और ‘किताब’ — दोनों मेज़ पर हैं…
अत: समय: दस बजे, पुन: मिलेंगे |
क़िला क़िला क\u200dष क\u200cष नीला\ufeff रंग
िकताब अाम उुपर काा कंा ख़बरें
डॉ. राम कि.मी. चले, सं. पाँच देखें
[हँसी] हाँ (खाँसते हुए) <noise> ठीक है
कोविड19 में 70वीं बार ₹1,25,000 मिले १०%
Hello दुनिया தமிழ் বাংলা
ॲप ऑफ़िस ऍप ऱ ऴ ऩ ॐ ऽ ॥
बंसीे ्क क् ़क
"""


def digest(lines: list[str], policy: TextPolicy) -> str:
    """Hash what the normaliser and the verdict make of some lines."""
    sha = hashlib.sha256()
    for line in lines:
        text, changes = trace_rules(line, policy)
        fault = judge(text, None, policy)
        sha.update(
            repr((text, [change.rule for change in changes], fault and (fault.reason, fault.offending))).encode()
        )
        assert normalize_text(line, policy) == text
    return sha.hexdigest()[:16]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("as_written", "69eff5423f4efe94"),
        ("default", "202dbc27211bd4f3"),
        ("strip", "8623d51b94f4ac78"),
        ("keep", "69eff5423f4efe94"),
    ],
)
def test_written_examples_give_what_they_gave(name: str, expected: str):
    lines = WRITTEN.splitlines()
    assert digest(lines, POLICIES[name]) == expected


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("common_voice_hi_sentences.CC0.txt", "157c4b520f16ee46"),
        ("hindi_discourse_stories.MIT.txt", "193b62ab72c3e912"),
        ("hiner_validation_sentences.CC-BY-SA-4.0.txt", "51bb008d210d44f3"),
        ("pratham_books_hi.CC-BY-4.0.txt", "45e7e3044ae64ae1"),
    ],
)
def test_real_texts_give_what_they_gave(shared_data: Path, file: str, expected: str):
    lines = (shared_data / "text" / file).read_text(encoding="utf-8").splitlines()[:2000]
    assert digest(lines, TextPolicy()) == expected


def test_the_fingerprint_is_made_as_it_was():
    """The recipe of the fingerprint, written out once more: versions may be raised, nothing else may enter it."""
    silent = "%٪﹪％‰‱&﹠＆@﹫＠#﹟＃§", "।॥|¦｜", "\"'`´", "−", "^~<>•●○■□▪▫◆◇★☆►▶"
    pictures = r"[\u2600-\u27bf\u2b00-\u2bff\u20e3\U0001f000-\U0001fbff]"
    invisible = r"[\ufe00-\ufe0f\U000e0100-\U000e01ef\u034f\ufffe\uffff]"
    triggers = "[\u0972\u0929\u0931\u0934\u0958-\u095f]"
    tables = [*silent, pictures, "\u200b", invisible, triggers, devanagari.LOOK_ALIKES]
    made_of = [NORMALIZER_VERSION, [name for name, _ in RULES], tables, load_alphabet(), version("indic-nlp-library")]
    expected = f"hi-{NORMALIZER_VERSION}-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]}"
    assert expected == NORMALIZER_FINGERPRINT
    assert fingerprint_policy(AS_WRITTEN) == f"{expected}-0-"
    assert fingerprint_policy(TextPolicy()) == f"{expected}-{POLICY_VERSION}-"


def test_the_alphabet_is_what_it_was():
    assert hashlib.sha256("".join(load_alphabet()).encode()).hexdigest()[:16] == "196519fbf450c727"
