"""Units of measure and signs of currency, as they are written after or before a number, and the words for them.

Sources: BIS and SI symbols; Unicode CLDR, locale hi, for the Hindi names; nemo_text_processing's Hindi grammars for the
Latin symbols that they know.
"""

import re
import unicodedata
from collections.abc import Iterable

from data_prep.text.grammars import say_span

# Sign → one, several, one of the small unit, several. The grammars put लाख after the currency and read ₹1.5 as पाँच पैसे.
CURRENCIES = {
    "₹": ("रुपया", "रुपये", "पैसा", "पैसे"),
    "$": ("डॉलर", "डॉलर", "सेंट", "सेंट"),
    "€": ("यूरो", "यूरो", "सेंट", "सेंट"),
    "£": ("पाउंड", "पाउंड", "पेनी", "पेंस"),
    "¥": ("येन", "येन", "", ""),
    "₩": ("वॉन", "वॉन", "", ""),
    "₽": ("रूबल", "रूबल", "", ""),
    "₺": ("लीरा", "लीरा", "", ""),
    "৳": ("टका", "टका", "पैसा", "पैसे"),
    "₪": ("शेकेल", "शेकेल", "", ""),
    "฿": ("बाट", "बाट", "", ""),
}
CURRENCY_SIGN = f"[{''.join(CURRENCIES)}]"
# Units that the grammars say: as written → as they know it.
_KNOWN_UNITS = "km m cm mm kg g mg ml mL l L ha ft km/h km² m² cm² GB MB KB TB W MW V Hz GHz dB °C °F"
GRAMMAR_UNITS = {unit: unit for unit in _KNOWN_UNITS.split()}
GRAMMAR_UNITS |= {"kW": "KW", "kmph": "km/h", "KM": "km", "Km": "km", "Kg": "kg", "KG": "kg", "° C": "°C"}
GRAMMAR_UNITS |= {"kms": "km", "Kms": "km", "kgs": "kg", "Kgs": "kg", "gm": "g", "gms": "g", "ltr": "l", "Km/h": "km/h"}
# Units that they do not know, or say otherwise.
NAMED_UNITS = {
    "कि.मी.": "किलोमीटर",
    "कि.मी": "किलोमीटर",
    "किमी": "किलोमीटर",
    "कि मी": "किलोमीटर",
    "से मी": "सेंटीमीटर",
    "कि ग्रा": "किलोग्राम",
    "मी.टन": "मीट्रिक टन",
    "मी टन": "मीट्रिक टन",
    "मी.": "मीटर",
    "मी": "मीटर",
    "से.मी.": "सेंटीमीटर",
    "सेमी": "सेंटीमीटर",
    "मि.मी.": "मिलीमीटर",
    "मिमी": "मिलीमीटर",
    "कि.ग्रा.": "किलोग्राम",
    "किग्रा": "किलोग्राम",
    "ग्रा.": "ग्राम",
    "मि.ग्रा.": "मिलीग्राम",
    "मिग्रा": "मिलीग्राम",
    "ग्रा": "ग्राम",
    "माइक्रोग्रा": "माइक्रोग्राम",
    "क्विं.": "क्विंटल",
    "ली.": "लीटर",
    "मि.ली.": "मिलीलीटर",
    "हे.": "हेक्टेयर",
    "घं.": "घंटे",
    "कि.वा.": "किलोवाट",
    "प्र.श.": "प्रतिशत",
    "डिग्री": "डिग्री",
    "°": "डिग्री",
    "ac": "एकड़",
    "gal": "गैलन",
    "km/hr": "किलोमीटर प्रति घंटा",
    "min": "मिनट",
    "sec": "सेकंड",
    "hr": "घंटे",
    "hrs": "घंटे",
    "lb": "पाउंड",
    "lbs": "पाउंड",
    "oz": "औंस",
    "mi": "मील",
    "mph": "मील प्रति घंटा",
    "yd": "गज",
    "µm": "माइक्रोमीटर",
    "μm": "माइक्रोमीटर",
    "nm": "नैनोमीटर",
    "µg": "माइक्रोग्राम",
    "μg": "माइक्रोग्राम",
    "cc": "सीसी",
    "kHz": "किलोहर्ट्ज़",
    "MHz": "मेगाहर्ट्ज़",
    "kWh": "किलोवाट घंटा",
    "GW": "गीगावाट",
    "mA": "मिलीएम्पियर",
    "kV": "किलोवोल्ट",
    "kPa": "किलोपास्कल",
    "hp": "हॉर्सपावर",
    "HP": "हॉर्सपावर",
    "rpm": "आरपीएम",
    "Mbps": "एमबीपीएस",
    "kbps": "केबीपीएस",
    "sq ft": "वर्ग फुट",
    "sq.ft": "वर्ग फुट",
    "sqft": "वर्ग फुट",
    "sq km": "वर्ग किलोमीटर",
    "sq m": "वर्ग मीटर",
}
_COMPOSED = {unicodedata.normalize("NFC", unit): said for unit, said in NAMED_UNITS.items()}
_SIGN = re.compile(r"\s?[.॰]\s?")


def _spell(unit: str) -> str:
    """A pattern for a unit, in tokenised text too (कि .मी .) and with either abbreviation sign."""
    *first, last = (re.escape(piece) for piece in unit.split("."))
    if not first:
        return last
    return r"\s?[.॰]\s?".join(first) + r"\s?[.॰]" + (rf"\s?{last}" if last else "")


def _join(units: Iterable[str]) -> str:
    return "|".join(_spell(unit) for unit in sorted(units, key=len, reverse=True))


UNIT = f"(?:{_join([*GRAMMAR_UNITS, *NAMED_UNITS])})"


def name_unit(written: str) -> str:
    """Give the words for a unit as `UNIT` finds it: कि .मी . → किलोमीटर."""
    if written in GRAMMAR_UNITS:
        return say_span(f"2 {GRAMMAR_UNITS[written]}").removeprefix("दो ")
    return _COMPOSED[_SIGN.sub(".", written)]
