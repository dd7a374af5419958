"""What is said for each way of writing a number; `numbers.py` finds them. `None`: not sure, so it stays unsaid."""

import re
from collections.abc import Callable
from datetime import date

from data_prep.text.grammars import say_span
from data_prep.text.number_words import MAX_CARDINAL, say_cardinal, say_digits, say_number, say_year

# Sign → one, several, one of the small unit, several. The grammars put लाख after the currency and read ₹1.5 as पाँच पैसे.
CURRENCIES = {
    "₹": ("रुपया", "रुपये", "पैसा", "पैसे"),
    "$": ("डॉलर", "डॉलर", "सेंट", "सेंट"),
    "€": ("यूरो", "यूरो", "सेंट", "सेंट"),
    "£": ("पाउंड", "पाउंड", "पेनी", "पेंस"),
    "¥": ("येन", "येन", "", ""),
}
# Units that are asked of the grammars: as written → as they know it.
_UNITS = "km m cm mm kg g mg ml mL l L ha ft km/h km² m² cm² GB MB KB TB W MW V Hz GHz dB °C °F"
GRAMMAR_UNITS = {unit: unit for unit in _UNITS.split()}
GRAMMAR_UNITS |= {"kW": "KW", "kmph": "km/h", "KM": "km", "Km": "km", "Kg": "kg", "KG": "kg", "° C": "°C"}
# Devanagari abbreviations, which the grammars do not know.
ABBREVIATED_UNITS = {
    "किमी": "किलोमीटर",
    "कि.मी.": "किलोमीटर",
    "कि.मी": "किलोमीटर",
    "कि .मी .": "किलोमीटर",
    "मी.": "मीटर",
    "सेमी": "सेंटीमीटर",
    "से.मी.": "सेंटीमीटर",
    "से .मी .": "सेंटीमीटर",
    "मिमी": "मिलीमीटर",
    "मि.मी.": "मिलीमीटर",
    "किग्रा": "किलोग्राम",
    "कि.ग्रा.": "किलोग्राम",
    "ग्रा.": "ग्राम",
    "मि.ग्रा.": "मिलीग्राम",
    "मि.ली.": "मिलीलीटर",
    "डिग्री": "डिग्री",
    "°": "डिग्री",
}
ABBREVIATED_UNITS |= {unit.replace(".", "॰"): said for unit, said in ABBREVIATED_UNITS.items()}
# The ordinals that are words of their own: stem, and the suffixes that are written after the digit for its endings.
SPECIAL_ORDINALS = {
    1: ("पहल", ("ला", "ली", "ले")),
    2: ("दूसर", ("रा", "री", "रे")),
    3: ("तीसर", ("रा", "री", "रे")),
    4: ("चौथ", ("था", "थी", "थे")),
    6: ("छठ", ("ठा", "ठी", "ठे")),
}
ORDINAL_ENDINGS = {"वां": "ा", "वाँ": "ा", "वाॅं": "ा", "वॉं": "ा", "वीं": "ी", "वी": "ी", "वें": "े", "वे": "े"}
VULGAR_FRACTIONS = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "⅛": "1/8"}
# Dates that are names.
NAMED_DATES = {"9/11": "नौ ग्यारह", "26/11": "छब्बीस ग्यारह"}
PHONE_SHAPES = re.compile(
    r"\+91[ -]?[6-9]\d{4}[ -]?\d{5}|0?[6-9]\d{9}|[6-9]\d{4}[ -]\d{5}|[6-9]\d{2,3}[ -]\d{3}[ -]\d{3,4}|"
    r"0\d{2,4}[ -]\d{6,8}|\(0\d{2,4}\)[ -]?\d{6,8}|1[89]00[ -]?\d{3}[ -]?\d{3,4}|\d{4}([ -])\d{4}\1\d{4}(\1\d{4})?"
)

Say = Callable[["re.Match[str]"], "str | None"]


def is_sayable(written: str) -> bool:
    """Tell whether a number can be counted out: not 007, and not longer than anyone counts."""
    whole = written.replace(",", "").partition(".")[0]
    return int(whole) <= MAX_CARDINAL and (len(whole) == 1 or int(whole[0]) != 0)


def say_phone(match: re.Match[str]) -> str | None:
    """98765 43210 → digit by digit, if it has the shape of a telephone or card number."""
    number = _to_ascii(match[0])
    if not PHONE_SHAPES.fullmatch(number):
        return None
    return ("प्लस " if number.startswith("+") else "") + say_digits(number)


def say_named_phone(match: re.Match[str]) -> str:
    """हेल्पलाइन नंबर 1098 → its digits."""
    return f"{match['name']} {say_digits(match['phone'])}"


def say_date(match: re.Match[str]) -> str | None:
    """25/05/2019, 4-9-2004, 2019-05-25."""
    day, month, year = (int(match[name]) for name in ("day", "month", "year"))
    try:
        date(year, month, day)
    except ValueError:
        return None
    return say_span(f"{day:02d}/{month:02d}/{year}") if 1000 <= year < 2100 else None


def say_time(match: re.Match[str]) -> str | None:
    """10:30 बजे, 18:05, 10:30:45; 10:20 बजे has no बजे when said, but पर."""
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    if hour > 24 or minute > 59 or second > 59 or (second and not minute):
        return None
    if hour > 12 and minute in (15, 30) and not second:
        words = f"{say_cardinal(hour)} बजकर {say_cardinal(minute)} मिनट"  # quarters belong to the twelve-hour clock
    else:
        words = say_span(f"{hour}:{minute:02d}" + (f":{second:02d}" if second else ""))
    if not match["oclock"] or words.endswith("बजे"):
        return words
    if "बजकर" not in words:
        return f"{words} बजे"
    return words if match["postposition"] is not None else f"{words} पर"


def say_amount(match: re.Match[str]) -> str | None:
    """₹1,25,000; ₹2.5 लाख; $5-10 करोड़; ₹10.05; 500 रु."""
    first, second, scale = match["first"], match["second"], " ".join((match["scale"] or "").split())
    one, many, small_one, small_many = CURRENCIES[match["sign"] or "₹"]
    if not is_sayable(first) or (second and not is_sayable(second)):
        return None
    whole, _, decimals = first.replace(",", "").partition(".")
    if second or scale or len(decimals) > 2 or (decimals and not small_one):
        said = say_number(first) + (f" से {say_number(second)}" if second else "")
        return " ".join(filter(None, (said, scale, many)))
    main, small = int(whole), int(decimals.ljust(2, "0") or 0)
    words = [say_cardinal(main), one if main == 1 else many] if main or not small else []
    words += [say_cardinal(small), small_one if small == 1 else small_many] if small else []
    return " ".join(words)


def say_percent(match: re.Match[str]) -> str | None:
    """50%, -2.5 %."""
    return _say_signed(match, "प्रतिशत")


def say_measure(match: re.Match[str]) -> str | None:
    """5 km, 25°C, 60 किमी/घंटा."""
    written = match["unit"]
    if written in ABBREVIATED_UNITS:
        return _say_signed(match, ABBREVIATED_UNITS[written] + (" प्रति घंटा" if match["per_hour"] else ""))
    return _say_signed(match, say_span(f"2 {GRAMMAR_UNITS[written]}").removeprefix("दो "))


def say_fraction(match: re.Match[str]) -> str | None:
    """3/4, and the quarters' own words: 1 1/2 → डेढ़. 11/2 may be a badly set 1 1/2 and stays."""
    whole, top, bottom = (_to_ascii(match[name] or "") for name in ("whole", "top", "bottom"))
    if not whole and f"{top}/{bottom}" in NAMED_DATES:
        return NAMED_DATES[f"{top}/{bottom}"]
    if "0" in (top[0], bottom[0], whole[:1]) or int(top) >= int(bottom):
        return None
    fraction = say_span(f"{top}/{bottom}").replace("बटा एक सौ", "बटा सौ")
    if not whole:
        return fraction
    count = int(whole)
    if (top, bottom) == ("1", "2"):
        return {1: "डेढ़", 2: "ढाई"}.get(count, f"साढ़े {say_cardinal(count)}")
    if (top, bottom) == ("1", "4"):
        return "सवा" if count == 1 else f"सवा {say_cardinal(count)}"
    if (top, bottom) == ("3", "4"):
        return f"पौने {say_cardinal(count + 1)}"
    return f"{say_cardinal(count)} सही {fraction}"


def say_ordinal(match: re.Match[str]) -> str | None:
    """70वीं → सत्तरवीं, 6वें → छठे, 2रा → दूसरा; वां or वाँ stays as written."""
    value, suffix = int(match["number"].replace(",", "")), match["suffix"]
    stem, suffixes = SPECIAL_ORDINALS.get(value, ("", ()))
    if suffix in suffixes:
        return stem + "ाीे"[suffixes.index(suffix)]
    if suffix not in ORDINAL_ENDINGS or not value or not is_sayable(match["number"]):
        return None
    if stem:
        return stem + ORDINAL_ENDINGS[suffix]
    return ("सौ" if value == 100 else say_cardinal(value)) + {"वी": "वीं", "वे": "वें", "वाॅं": "वाँ", "वॉं": "वाँ"}.get(
        suffix, suffix
    )


def say_years(match: re.Match[str]) -> str | None:
    """1984-1994 with से; 2019-20, a season or budget year, without; 2000-01 would sound like 2001."""
    first, second = int(match["first"]), int(match["second"])
    if len(match["second"]) == 4:
        return f"{say_year(first)} से {say_year(second)}" if first < second < 2200 else None
    if second == first % 100 + 1 and first % 100:
        return f"{say_year(first)} {say_cardinal(second)}"
    return f"{say_year(first)} से {say_cardinal(second)}" if second > first % 100 + 1 and not match["slash"] else None


def say_range_start(match: re.Match[str]) -> str | None:
    """The first number of 10-15 with its से, or of the score 6-4; the second is left to the rules that follow."""
    first, second = match["first"], match["second"]
    if not is_sayable(first) or not is_sayable(second):
        return None
    low, high = (float(written.replace(",", "")) for written in (first, second))
    return say_number(first) + (" से" if 0 < low < high and match["from"] is None else "")


def say_plain(match: re.Match[str]) -> str | None:
    """A number by itself; 007 and numbers too long to count digit by digit."""
    if is_sayable(match[0]):
        return say_number(match[0])
    return None if set(match[0]) & {".", ","} else say_digits(match[0])


def _to_ascii(written: str) -> str:
    return re.sub("[०-९]", lambda match: str(int(match[0])), written)


def _say_signed(match: re.Match[str], unit: str) -> str | None:
    if not is_sayable(match["number"]):
        return None
    return f"{'माइनस ' if match['minus'] else ''}{say_number(match['number'])} {unit}"
