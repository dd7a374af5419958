"""Abbreviations that are spoken in full: a closed list with one reading each, and the shapes that have to be rejected.

Sources: Central Hindi Directorate, "Devanagari Lipi evam Hindi Vartani ka Manakikaran" (the sign ॰ and the forms डॉ॰,
पं॰, प्रो॰, रु॰, कि॰मी॰); Unicode CLDR, locale hi (ई॰पू॰, कि॰मी॰, से॰मी॰, मि॰मी॰, कि॰ग्रा॰); Commission for Scientific and
Technical Terminology (units); the forms of addresses and files (क्र॰सं॰, पृ॰सं॰, प्रा॰लि॰, उ॰प्र॰) as government offices
write them. Letter names (बी.ए., टी.वी., के. एल. राहुल) are spoken as they are written.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

from data_prep.text.number_patterns import compile_pattern

# Before a name only: at a sentence's end, प्रो. may be the word.
TITLES = {
    "डॉ": "डॉक्टर",
    "डा": "डॉक्टर",
    "प्रो": "प्रोफ़ेसर",
    "पं": "पंडित",
    "स्व": "स्वर्गीय",
    "इंजी": "इंजीनियर",
    "इं": "इंजीनियर",
    "चौ": "चौधरी",
    "ले": "लेफ़्टिनेंट",
    "लेफ्टि": "लेफ़्टिनेंट",
    "लेफ़्टि": "लेफ़्टिनेंट",
    "कैप्ट": "कैप्टन",
    "ब्रिगे": "ब्रिगेडियर",
    "इंस्पे": "इंस्पेक्टर",
    "सहा": "सहायक",
    "असि": "असिस्टेंट",
    "एडवो": "एडवोकेट",
}
# In any place.
EXPANSIONS = {
    "ई.पू": "ईसा पूर्व",
    "वि.सं": "विक्रम संवत",
    "क्र.सं": "क्रम संख्या",
    "पृ.सं": "पृष्ठ संख्या",
    "म.सं": "मकान संख्या",
    "मो.नं": "मोबाइल नंबर",
    "नं": "नंबर",
    "क्र": "क्रमांक",
    "पृ": "पृष्ठ",
    "लि": "लिमिटेड",
    "प्रा.लि": "प्राइवेट लिमिटेड",
    "कं": "कंपनी",
    "उदा": "उदाहरण",
    "अ.भा": "अखिल भारतीय",
    "उ.प्र": "उत्तर प्रदेश",
    "म.प्र": "मध्य प्रदेश",
    "हि.प्र": "हिमाचल प्रदेश",
    "छ.ग": "छत्तीसगढ़",
    "वि.वि": "विश्वविद्यालय",
    "भा.ज.पा": "भाजपा",
    "ब.स.पा": "बसपा",
    "रा.ज.द": "राजद",
    "कि.मी": "किलोमीटर",
    "से.मी": "सेंटीमीटर",
    "मि.मी": "मिलीमीटर",
    "कि.ग्रा": "किलोग्राम",
    "मि.ग्रा": "मिलीग्राम",
    "मि.ली": "मिलीलीटर",
    "कि.वा": "किलोवाट",
}
# Forms without a sign that are not words.
BARE = {"डॉ": "डॉक्टर", "किमी": "किलोमीटर", "सेमी": "सेंटीमीटर", "मिमी": "मिलीमीटर", "किग्रा": "किलोग्राम", "ईपू": "ईसा पूर्व"}
# Right after digits, these belong to the number rules.
UNITS_AFTER_DIGITS = (
    "कि.मी", "से.मी", "मि.मी", "मि.ली", "कि.ग्रा", "मि.ग्रा", "कि.वा", "मी", "ग्रा", "ली", "घं", "हे", "क्विं", "प्र.श", "रु",
    "रू",
)  # fmt: skip
# Only beside what settles the reading.
NUMBERED_THINGS = (
    "क्रम|पृष्ठ|खाता|गाड़ी|वाहन|ट्रेन|रेल|उड़ान|कमरा|मकान|भवन|प्लॉट|फ़्लैट|फ्लैट|वार्ड|पत्र|आदेश|फ़ाइल|फाइल|मुक़दमा|मुकदमा|वाद|"
    "रोल|अंक|बिल|रसीद|पंजीकरण|दूरभाष|फ़ोन|फोन|मोबाइल|सीट|बूथ|केस|मामला|प्राथमिकी|आवेदन|चेक|कार्ड"
)
# Several readings, or one that only the reader knows.
_AMBIGUOUS_FORMS = """
सं दि मो कु मि जि सु पो तह प्र प्रा वि ता मौ ठा सां न्या अधि उप अ उ पू द्वि त्रि भा श्रीम कै ज अनु सं.वि मी
ग्रा घं इ मु हि बु शु
"""
AMBIGUOUS = frozenset(unicodedata.normalize("NFC", _AMBIGUOUS_FORMS).split())
# Short words that may end a sentence: न. is the word with a full stop.
_SHORT_WORDS = """
न व कि की का के को में से ने है हैं हो हूँ हूं था थी थे थीं तो भी ही जो वो वे या ना हाँ हां दो लो ले दे दी दूँ
आ जा खा पी सो रो ये यह वह पर गा छू छः छह मैं तू सी सा जी माँ मां बू भू लें दें हों दीं लीं कीं नौ सौ रे हे ओ
लूँ लूं दूं मैँ हैँ मे मै स्त्री घी लौ धो बो ढो ज्यों त्यों यों श्री क्या क्यों ली पा शो बे क्यूँ यूँ यूं
क्यूं ला खो छा पे फ़्लू फ्लू डे न्यू ऐ ऊ ऊँ ब्लू चूँ लू थ्री ड्रॉ ड्रा जूँ जूं फ्री फ़्री छी झीं चीं घूँ एँ
स्नो ज़ू मॉँ हॉँ तूं तूँ टू भौं हा नी फू शू
"""
SHORT_WORDS = frozenset(unicodedata.normalize("NFC", _SHORT_WORDS).split())
_LETTER_NAMES = """
ए बी सी डी ई एफ एफ़ जी एच आई जे के एल एम एन ओ पी क्यू आर एस टी यू वी डब्ल्यू डब्लू एक्स वाई ज़ेड जेड पीएच
एमबीबीएस
"""
LETTER_NAMES = frozenset(unicodedata.normalize("NFC", _LETTER_NAMES).split())

_LETTER = "\u0900-\u0963\u0971-\u097f"
_SIGN = r"(?:\s?[.॰]|०(?![0-9०-९]))"
_START, _NO_LETTER = rf"(?<![{_LETTER}])", rf"(?![{_LETTER}])"
_NO_NUMBER_BEFORE = r"(?<![0-9०-९])(?<![0-9०-९]\s)"
_AKSHARA = (
    r"(?:[\u0915-\u0939\u0958-\u095f]\u093c?\u094d)*[\u0904-\u0939\u0958-\u0961]\u093c?[\u093e-\u094c\u0962]?"
    r"[\u0900-\u0902]?"
)
_SPACES = re.compile(r"  +")
_PIECES = re.compile(r"[.॰०\s]+")


def _spell(form: str) -> str:
    return rf"{_SIGN}\s?".join(map(re.escape, form.split(".")))


def _forms(listed: Iterable[str]) -> str:
    return "|".join(_spell(form) for form in sorted(listed, key=len, reverse=True))


Expand = Callable[["re.Match[str]"], str]


def _look_up(table: dict[str, str]) -> Expand:
    composed = {unicodedata.normalize("NFC", form): words for form, words in table.items()}
    return lambda match: f" {composed['.'.join(filter(None, _PIECES.split(match[1])))]} "


# Units and rupees right after digits belong to the number rules, where numbers are verbalised.
_RULES: tuple[tuple[re.Pattern[str], Expand], ...] = (
    (compile_pattern(rf"(?<=[0-9०-९])\s*(ई){_SIGN}(?!\s?(?:पू|[{_LETTER}]{{1,3}}\.))"), lambda match: " ईस्वी "),
    (
        compile_pattern(rf"{_START}(ई){_SIGN}(?=\s?(?:सन्?\s|[0-9०-९]|(?:में|तक|से|का|की){_NO_LETTER}(?!\.)))"),
        lambda match: " ईस्वी ",
    ),
    (compile_pattern(rf"(?<=डिग्री)\s+(से|फ़ा|फा){_SIGN}"), lambda match: " सेल्सियस " if match[1] == "से" else " फ़ारेनहाइट "),
    (compile_pattern(rf"{_START}({NUMBERED_THINGS})\s(सं){_SIGN}"), lambda match: f"{match[1]} संख्या "),
    (compile_pattern(rf"{_START}(दि){_SIGN}(?=\s?[-–:]?\s?[0-9०-९])"), lambda match: " दिनांक "),
    (compile_pattern(rf"{_START}(मो){_SIGN}(?=\s?[-–:]?\s?[+0-9०-९])"), lambda match: " मोबाइल "),
    (compile_pattern(rf"{_START}(ता){_SIGN}(?=\s?[-–:]?\s?[0-9०-९])"), lambda match: " तारीख़ "),
    (compile_pattern(rf"{_START}({_forms(TITLES)}){_SIGN}(?=\s?\(?[{_LETTER}])"), _look_up(TITLES)),
    (compile_pattern(rf"{_NO_NUMBER_BEFORE}{_START}({_forms(EXPANSIONS)}){_SIGN}"), _look_up(EXPANSIONS)),
    (compile_pattern(rf"{_NO_NUMBER_BEFORE}{_START}(रु|रू){_SIGN}(?!\s?[0-9०-९])"), lambda match: " रुपये "),
    (compile_pattern(rf"{_NO_NUMBER_BEFORE}{_START}(कि\.मी|ई\.पू){_NO_LETTER}"), _look_up(EXPANSIONS)),
    (compile_pattern(rf"{_NO_NUMBER_BEFORE}{_START}({'|'.join(BARE)}){_NO_LETTER}(?!/)"), _look_up(BARE)),
    (compile_pattern(rf"(?<=[0-9०-९])\s*(ई\s?[.॰०]\s?पू\s?[.॰०]?|ईपू){_NO_LETTER}"), lambda match: " ईसा पूर्व "),
)
_LISTED = compile_pattern(
    rf"{_START}(?:{_forms([*TITLES, *EXPANSIONS, 'रु'])}){_SIGN}|{_START}(?:{'|'.join(BARE)}){_NO_LETTER}"
)
_PART = rf"(?:{_AKSHARA}){_SIGN}"
_NEXT_WORD = rf"(?=\s?[{_LETTER}])"
_SHAPES = compile_pattern(
    "|".join(
        [
            rf"(?P<measured>[0-9०-९]\s?(?:{_forms(UNITS_AFTER_DIGITS)}){_SIGN}|{_START}(?:रु|रू){_SIGN}(?=\s?[0-9०-९]))",
            r"(?P<unclear>(?<=[0-9०-९])\s?(?:से|मि)[.॰])",  # सेकंड or सेंटीग्रेड, मिनट or मीटर
            rf"{_START}(?:{_forms(AMBIGUOUS)}){_SIGN}(?:\s?{_PART})*",
            # भा.क.पा., भा.क.पा
            rf"{_START}{_PART}(?:{_PART})+(?:(?:{_AKSHARA}){_NO_LETTER})?|{_START}{_PART}(?:{_AKSHARA}){_NO_LETTER}",
            # A lone akshara before the next word: र. कुमार, चि. राहुल; with a space before its stop, a consonant only.
            rf"(?P<lone>{_START}(?:(?:{_AKSHARA})[.॰]|[\u0915-\u0939]\u093c?ं?\s[.॰]){_NEXT_WORD})",
            rf"{_START}[{_LETTER}]+(?:\s?॰|०(?![0-9०-९]))",
        ]
    )
)
_STOP = re.compile(rf"(?<=[{_LETTER}])(?:\s?\.|०(?![0-9०-९]))")
_LAST_WORD = re.compile(rf"[{_LETTER}]+\Z")
_LONGEST = 14  # characters of a piece of an abbreviation, and more
_ONE_AKSHARA = re.compile(_AKSHARA)
_LISTED_PIECES = frozenset(
    unicodedata.normalize("NFC", piece)
    for form in (*TITLES, *EXPANSIONS, *UNITS_AFTER_DIGITS, *AMBIGUOUS, "ई", "से", "फ़ा", "फा")
    for piece in form.split(".")
)
_BARE_HINTS = tuple(unicodedata.normalize("NFC", form) for form in BARE)


def expand_abbreviations(text: str) -> str:
    """Write the listed abbreviations of a text in full: डॉ. राम → डॉक्टर राम.

    Args:
        text: A text in NFC with its punctuation.

    Returns:
        The text; abbreviations with several readings stay.
    """
    if may_hold_abbreviations(text):
        for pattern, expand in _RULES:
            if pattern.search(text):
                text = _SPACES.sub(" ", pattern.sub(expand, text))
    return text


def find_abbreviations(text: str, listed: bool = True) -> list[re.Match[str]]:
    """Find the abbreviations of a text.

    Args:
        text: A text in NFC with its punctuation.
        listed: Whether those that `expand_abbreviations` writes in full count too.

    Returns:
        One match for each, in order, none inside another.
    """
    if not may_hold_abbreviations(text):
        return []
    found = list(_LISTED.finditer(text)) if listed else []
    taken = {at for match in found for at in range(*match.span())}
    found += [match for match in _SHAPES.finditer(text) if match.start() not in taken and _is_abbreviation(match)]
    return sorted(found, key=lambda match: match.start())


def may_hold_abbreviations(text: str) -> bool:
    """Whether a text can hold an abbreviation: a quick look that spares most texts the rules."""
    if "॰" in text or any(hint in text for hint in _BARE_HINTS):
        return True
    if "." not in text and "०" not in text:
        return False
    for stop in _STOP.finditer(text):
        word = _LAST_WORD.search(text, max(0, stop.start() - _LONGEST), stop.start())
        if stop[0] == "०" or (word and _may_be_abbreviation(word[0])):
            return True
    return False


@lru_cache(maxsize=10_000)
def _may_be_abbreviation(word: str) -> bool:
    """Whether a word before a full stop can be an abbreviation's last piece; a sentence's last word mostly is not."""
    return word in _LISTED_PIECES or (word not in SHORT_WORDS and _ONE_AKSHARA.fullmatch(word) is not None)


def _is_abbreviation(match: re.Match[str]) -> bool:
    """Whether a dotted shape is an abbreviation: not a sentence's last word, not letter names, not a measure."""
    if match["measured"]:
        return False
    if match["unclear"]:
        return True
    written = match[0]
    pieces = [piece for piece in _PIECES.split(written) if piece]
    if all(piece in LETTER_NAMES or piece in SHORT_WORDS for piece in pieces):
        return False
    if "॰" in written or "०" in written or len(pieces) > 1:
        return True
    return pieces[0] in AMBIGUOUS or match["lone"] is not None
