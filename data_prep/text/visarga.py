"""A visarga typed as a colon, अत: for अतः: a list of words decides which colons are visargas.

At a word's end: adverbs in -तः and -शः and some others, none of which is a word without its visarga (समय: has a colon).
Inside a word: a stem that takes visarga in compounds, before क ख प फ श ष स (and त, थ for अंतः), the only letters before
which Sanskrit sandhi leaves it as it is: अध:पतन, मन:स्थिति, but देश:मोदी. Source of the rule: M. R. Kale, A Higher
Sanskrit Grammar, rules of visarga sandhi.
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
# Stem → the letters before which its compounds keep the visarga.
INSIDE = {
    "दु": "खशसष", "नि": "शसष", "प्रात": "क", "अंत": "कपसशत", "अन्त": "कपसशत", "अध": "प", "मन": "सशक", "तप": "स",
    "पुन": "पसक", "यश": "शक", "रज": "कस", "पय": "प", "वय": "स", "चतु": "षसपश", "बहि": "सकश", "स्वत": "स", "अत": "प",
    "शिर": "शप", "तेज": "प", "उर": "स", "अह": "प", "वक्ष": "स", "सर": "प", "छंद": "श", "पुर": "स", "ज्योति": "प",
}
# fmt: on
WIDE_COLON = "\uff1a"
_LETTER = "\u0900-\u0963\u0971-\u097f"
_FINAL = "|".join(sorted(FINAL, key=len, reverse=True))
_INSIDE = "|".join(f"{stem}:(?=[{letters}])" for stem, letters in INSIDE.items() if letters)
_COLON = re.compile(
    unicodedata.normalize("NFC", rf"(?<![{_LETTER}])(?:(?:{_FINAL})[:{WIDE_COLON}](?![{_LETTER}])|{_INSIDE})")
)


def restore_visarga(text: str) -> str:
    """Write the visarga that was typed as a colon; every other colon stays.

    Args:
        text: A text in NFC with its punctuation.
    """
    if ":" not in text and WIDE_COLON not in text:
        return text
    return _COLON.sub(lambda match: match[0][:-1] + "\u0903", text)
