"""English loan words in Devanagari by rule, from given sounds: what its letters decide, and how they join."""

import pytest

from data_prep.text.loan_spelling import write_loan_word
from data_prep.text.sound_letters import align_letters

CASES = {
    "meeting": ("m iː t ɪ ŋ", "मीटिंग"),  # a final ng
    "bank": ("b æ ŋ k", "बैंक"),
    "computer": ("k ə m p j uː t ɐ", "कंप्यूटर"),  # an anusvara before its stop, the r of -er
    "manager": ("m æ n ɪ dʒ ɐ", "मैनेजर"),  # an unstressed a
    "agent": ("eɪ dʒ ə n t", "एजेंट"),  # -ent
    "camera": ("k æ m ɹ ɐ", "कैमरा"),  # a final a; m and r are two syllables
    "doctor": ("d ɒ k t ɐ", "डॉक्टर"),
    "network": ("n ɛ t w ɜː k", "नेटवर्क"),  # t does not join w
    "internet": ("ɪ n t ə n ɛ t", "इंटरनेट"),  # an unstressed r does not join
    "service": ("s ɜː v ɪ s", "सर्विस"),  # a stressed one does
    "sport": ("s p ɔː t", "स्पोर्ट"),
    "form": ("f ɔː m", "फ़ॉर्म"),
    "fire": ("f aɪə", "फ़ायर"),
    "tower": ("t aʊ ɐ", "टावर"),
    "radio": ("ɹ eɪ d ɪ əʊ", "रेडियो"),
    "station": ("s t eɪ ʃ ə n", "स्टेशन"),
    "student": ("s t j uː d ə n t", "स्टूडेंट"),
    "clear": ("k l iə", "क्लियर"),
    "table": ("t eɪ b əl", "टेबल"),
    "player": ("p l eɪ ɐ", "प्लेयर"),
    "happy": ("h æ p ɪ", "हैप्पी"),
    "extra": ("ɛ k s t ɹ ɐ", "एक्स्ट्रा"),
    "expert": ("ɛ k s p ɜː t", "एक्सपर्ट"),
    "turned": ("t ɜː n d", "टर्न्ड"),  # no anusvara without a vowel before it
    "high": ("h aɪ", "हाई"),
    "boy": ("b ɔɪ", "बॉय"),
}


@pytest.mark.parametrize("word", CASES)
def test_words(word):
    sounds, wanted = CASES[word]
    assert write_loan_word(word, sounds.split()) == wanted


def test_a_sound_without_a_rule_is_not_guessed():
    assert write_loan_word("genre", ["ʒ", "ɑ̃", "ɹ"]) is None and write_loan_word("x", []) is None


def test_letters_of_sounds():
    assert align_letters("college", ["k", "ɒ", "l", "ɪ", "dʒ"]) == ["c", "o", "ll", "e", "ge"]
    assert align_letters("right", ["ɹ", "aɪ", "t"]) == ["r", "igh", "t"]
    assert align_letters("cute", ["k", "j", "uː", "t"])[1] == ""
