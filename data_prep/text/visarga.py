"""A visarga typed as a colon, अत: for अतः: a list of words decides which colons are visargas.

At a word's end: adverbs in -तः and -शः and some others, none of which is a word without its visarga (समय: has a colon).
Inside a word: a stem that takes visarga in compounds, before क ख प फ श ष स, the only letters before which Sanskrit
sandhi can leave it as it is: अध:पतन, मन:स्थिति, but देश:मोदी. Modern compounds of पुनः and प्रातः, which are
no words without their visarga, keep it before every letter: पुन:निर्माण. Source of the rule: M. R. Kale, A Higher
Sanskrit Grammar, rules of visarga sandhi.

Where no list says what the colon after a consonant and -त or -श is (विषयत: is an adverb, अजत: a name), it stays, and
the verdict rejects the text.
"""

import re
import unicodedata

# fmt: off
FINAL = (
    "अंतत", "अन्तत", "अंशत", "अक्षरश", "अग्रत", "अत", "अधिकांशत", "अनुमानत", "अनिवार्यत", "अन्यत", "अपरोक्षत", "अप्रत्यक्षत",
    "अर्थत", "अवश्यत", "आंशिकत", "आदित", "आधारत", "आमत", "इतस्तत", "उत्तरत", "उभयत", "एकत", "कार्यत", "क्रमश", "खंडश",
    "खण्डश", "गुणत", "छ", "जन्मत", "ज्ञानत", "तत्त्वत", "तत्वत", "तथ्यत", "दैवत", "धर्मत", "नाममात्रत", "निश्चयत",
    "निष्कर्षत", "नियमत", "न्यायत", "परिणामत", "पुन", "पूर्णत", "पूर्वत", "प्रकृतित", "प्रत्यक्षत", "प्रथमत",
    "प्रधानत", "प्रमुखत", "प्रात", "प्राय", "प्रायश", "फलत", "बलत", "बहुश", "बाह्यत", "भागत", "भूय", "मुख्यत", "मूलत",
    "यथार्थत", "रूपत", "लक्षणत", "वंशत", "वस्तुत", "विधित", "विशेषत", "विस्तारत", "व्यक्तित", "शतश", "शनै", "शब्दश",
    "शास्त्रत", "संक्षेपत", "संपूर्णत", "सम्पूर्णत", "संभवत", "सम्भवत", "समग्रत", "सर्वत", "सहस्रश", "साधारणत", "सामान्यत",
    "सारत", "सिद्धांतत", "सिद्धान्तत", "स्थूलत", "स्पष्टत", "स्वत", "स्वभावत", "हठत", "हृदयत", "ज्येष्ठत", "विचारत", "नम",
    "तत", "यत", "सहजत", "निम्नत", "कुशलत", "न्यूनत", "उच्चत", "वास्तविकत", "विधानत", "नीतित", "दृष्टित", "बुद्धित", "जातित",
    "कर्मत", "वचनत", "भावत", "नामत", "कालत", "द्रव्यत", "क्षेत्रत", "स्वरूपत", "प्रमाणत", "उद्देश्यत", "कारणत", "प्रयोजनत", "शरीरत",
    "परंपरात",
    "अल्पश", "कोटिश", "एकश", "अनेकश", "पंक्तिश", "वर्गश", "पदश", "वर्णश", "भागश", "गुणश", "समूहश", "लक्षश",
)
# Endings of adjectives and nouns to which -तः is added freely: सैद्धांतिकतः, उदाहरणतः; and the words that look so.
PRODUCTIVE = ("िकत", "त्वत", "णत", "र्थत", "र्मत", "र्णत", "र्यत", "र्गत")
NOT_PRODUCED = ("परिणत", "प्रणत", "अंतर्गत", "अन्तर्गत", "स्वर्गत",)
# Words in a consonant and -त or -श that stand before a colon as they are; others may be adverbs. Without nukta.
PLAIN = (
    "भारत", "महाभारत", "मत", "औरत", "अदालत", "हालत", "प्रतिशत", "शिकायत", "मुहब्बत", "मोहब्बत", "गलत", "तहत",
    "राहत", "पर्वत", "छत", "सूरत", "खूबसूरत", "बदसूरत", "मेहनत", "स्वागत", "इमारत", "हिम्मत", "पंचायत", "सहमत",
    "बढ़त", "हैरत", "कीमत", "हिरासत", "इजाजत", "आदत", "नफरत", "मुसीबत", "सेहत", "मरम्मत", "निहायत", "जगत",
    "हरकत", "पेशकश", "जमानत", "बहुमत", "भगत", "तबीयत", "तबियत", "इज्जत", "ताकत", "परंपरागत", "विरासत", "खिदमत",
    "दौलत", "व्यक्तिगत", "सियासत", "दावत", "दिक्कत", "हकीकत", "परत", "हैसियत", "हताहत", "फुर्सत", "फुरसत",
    "आहत", "बाबत", "रियायत", "सत", "रिश्वत", "व्रत", "जन्नत", "किस्मत", "रावत", "शिद्दत", "हिफाजत", "जरूरत",
    "जरुरत", "बचत", "कहावत", "शरारत", "गत", "औसत", "दहशत", "भरत", "विवश", "सलामत", "खत", "ब्रश", "भागवत",
    "बदौलत", "चाहत", "लानत", "बरकत", "चपत", "हजरत", "रियासत", "हिदायत", "मन्नत", "मिन्नत", "अनवरत", "जुर्रत",
    "कुदरत", "तिब्बत", "वकालत", "नियत", "नीयत", "वसीयत", "परिणत", "तुरत", "संयत", "वश", "गणपत", "कशमकश",
    "अहमियत", "एकमत", "इंसानियत", "खासियत", "दिवंगत", "अनगिनत", "हुकूमत", "कलश", "खपत", "पानीपत", "लागत",
    "दुर्भाग्यवश", "शाश्वत", "असलियत", "नसीहत", "हिमायत", "एकादश", "पूर्ववत", "विगत", "बगावत", "क्षत", "दस्तखत",
    "भुगत", "रजत", "रंगत", "कर्कश", "हुज्जत", "खिलाफत", "नजाकत", "कसरत", "किफायत", "शोहरत", "पारंगत", "अंतर्गत",
    "अन्तर्गत", "अमृत", "शरबत", "शर्बत", "जनमत", "गफलत", "सोहबत", "हजामत", "कयामत", "मुरव्वत", "तिजारत",
    "जहालत", "यश", "रश", "कैश", "क्रश", "फ्लश", "दश", "चौदश",
)
# Stems whose visarga stays in compounds: Sanskrit's neuters in -as, -is and -us, and its indeclinables. Both classes
# are closed.
INSIDE = (
    "मन", "तप", "यश", "रज", "पय", "वय", "तेज", "उर", "वक्ष", "सर", "छंद", "छन्द", "नभ", "तम", "चेत", "ओज", "वच", "स्रोत",
    "शिर", "श्रेय", "प्रेय", "मह", "रह", "अंह", "वर्च", "रेत", "मेद", "अह", "अहन", "ज्योति", "हवि", "बर्हि", "अर्चि", "आयु", "चक्षु",
    "धनु", "यजु", "वपु", "दु", "नि", "अंत", "अन्त", "अध", "बहि", "स्वत", "अत", "इत", "तत", "यत", "प्राय", "मिथ", "आवि", "प्रादु",
    "तिर", "पुर",
)
# Stems that are no words, so that their colon is a visarga before every letter.
BEFORE_ALL = ("पुन", "प्रात", "चतु")
# fmt: on
WIDE_COLON = "\uff1a"
_LETTER = "\u0900-\u0963\u0971-\u097f"
_CONSONANT = "[\u0915-\u0939]\u093c?"
_SANDHI = "कखपफशषस"  # the letters before which a visarga inside a word can stay
_COLON_SIGN = f"[:{WIDE_COLON}]"
_FINAL = "|".join(sorted(FINAL, key=len, reverse=True))
_INSIDE = "|".join(INSIDE)
_BEFORE_ALL = "|".join(BEFORE_ALL)


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(unicodedata.normalize("NFC", pattern))


def _any_of(words: tuple[str, ...]) -> str:
    return rf"(?:{'|'.join(words)}){_COLON_SIGN}"


_PLAIN = _any_of(tuple(re.sub("[कखगजडढफ]", "\\g<0>\u093c?", word) for word in PLAIN))
_COLON = _compile(
    rf"(?<![{_LETTER}])(?:(?:{_FINAL}){_COLON_SIGN}(?![{_LETTER}])|(?:{_INSIDE}):(?=[{_SANDHI}])|(?:{_BEFORE_ALL}):(?=[{_LETTER}])"
    rf"|(?!{_any_of(NOT_PRODUCED)})[{_LETTER}]+(?:{'|'.join(PRODUCTIVE)}){_COLON_SIGN}(?![{_LETTER}]))"
)
_UNCLEAR = _compile(rf"(?<![{_LETTER}])(?!{_PLAIN})(?:[{_LETTER}]*{_CONSONANT}[तश]{_COLON_SIGN}(?![{_LETTER}]))")


def restore_visarga(text: str) -> str:
    """Write the visarga that was typed as a colon; every other colon stays.

    Args:
        text: A text in NFC with its punctuation.
    """
    if not holds_colon(text):
        return text
    return _COLON.sub(lambda match: match[0][:-1] + "\u0903", text)


def find_unclear_colons(text: str) -> list[re.Match[str]]:
    """Find the words whose colon may be a visarga and may be a colon, with the colon.

    Args:
        text: A text in NFC with its punctuation.
    """
    return (
        [match for match in _UNCLEAR.finditer(text) if not _COLON.match(text, match.start())]
        if holds_colon(text)
        else []
    )


def holds_colon(text: str) -> bool:
    """Whether a text has a colon."""
    return ":" in text or WIDE_COLON in text
