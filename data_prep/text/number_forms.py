"""The words for each way of writing a number; `number_rules.py` finds them. `None`: not sure, so it stays as it is."""

import re
from datetime import date

from data_prep.text.ambiguous_numbers import is_ambiguous, is_cited
from data_prep.text.grammars import say_span
from data_prep.text.number_words import is_sayable, say_cardinal, say_digits, say_number, say_year
from data_prep.text.units import CURRENCIES, name_unit

# Irregular ordinals: stem, and the suffixes that are written after the digit for its three endings.
SPECIAL_ORDINALS = {
    1: ("पहल", ("ला", "ली", "ले")),
    2: ("दूसर", ("रा", "री", "रे")),
    3: ("तीसर", ("रा", "री", "रे")),
    4: ("चौथ", ("था", "थी", "थे")),
    6: ("छठ", ("ठा", "ठी", "ठे")),
}
ORDINAL_ENDINGS = {"वां": "ा", "वाँ": "ा", "वाॅं": "ा", "वॉं": "ा", "वीं": "ी", "वी": "ी", "वें": "े", "वे": "े"}


def say_date(match: re.Match[str]) -> str | None:
    """Say 25/05/2019, 4-9-2004, 2019-05-25."""
    day, month, year = (int(match[name]) for name in ("day", "month", "year"))
    try:
        date(year, month, day)
    except ValueError:
        return None
    return say_span(f"{day:02d}/{month:02d}/{year}") if 1000 <= year < 2100 else None


def say_amount(match: re.Match[str]) -> str | None:
    """Say ₹1,25,000, ₹2.5 लाख, $5-10 करोड़, ₹10.05, 500 रु."""
    first, second, scale = match["first"], match["second"], " ".join((match["scale"] or "").split())
    one, many, small_one, small_many = CURRENCIES[match["sign"] or "₹"]
    if not is_sayable(first) or (second and not is_sayable(second)):
        return None
    whole, _, decimals = first.replace(",", "").partition(".")
    if decimals and not scale and not second and (not small_one or (len(decimals) > 2 and decimals.endswith("0"))):
        return None
    if second or scale or len(decimals) > 2:
        said = say_number(first) + (f" से {say_number(second)}" if second else "")
        return " ".join(filter(None, (said, scale, many)))
    main, small = int(whole), int(decimals.ljust(2, "0") or 0)
    is_one = main == 1 and match["postposition"] is None  # एक रुपया, but एक रुपये का
    words = [say_cardinal(main), one if is_one else many] if main or not small else []
    words += [say_cardinal(small), small_one if small == 1 else small_many] if small else []
    return " ".join(words)


def say_percent(match: re.Match[str]) -> str | None:
    """Say 50%, -2.5 %."""
    return _say_signed(match, "प्रतिशत")


def say_percent_bound(match: re.Match[str]) -> str | None:
    """Say >50% and <5%."""
    if not is_sayable(match["number"]):
        return None
    return f"{say_number(match['number'])} प्रतिशत से {'अधिक' if match['sign'] == '>' else 'कम'}"


def say_measure(match: re.Match[str]) -> str | None:
    """Say 5 km, 25°C, 60 किमी/घंटा."""
    per_hour = " प्रति घंटा" if match["per_hour"] else ""
    return _say_signed(match, name_unit(match["unit"]) + per_hour)


def say_ordinal(match: re.Match[str]) -> str | None:
    """Say 70वीं → सत्तरवीं, 6वें → छठे, 2रा → दूसरा; वां or वाँ stays as written."""
    value, suffix = int(match["number"].replace(",", "")), match["suffix"].removeprefix("स")
    stem, suffixes = SPECIAL_ORDINALS.get(value, ("", ()))
    if suffix in suffixes:
        return stem + "ाीे"[suffixes.index(suffix)]
    if suffix not in ORDINAL_ENDINGS or not value or not is_sayable(match["number"]):
        return None
    if 1100 <= value < 2000:  # ग्यारह सौ पचासवीं or एक हज़ार एक सौ पचासवीं
        return None
    if stem:
        return stem + ORDINAL_ENDINGS[suffix]
    return ("सौ" if value == 100 else say_cardinal(value)) + {"वी": "वीं", "वे": "वें", "वाॅं": "वाँ", "वॉं": "वाँ"}.get(
        suffix, suffix
    )


def say_range_start(match: re.Match[str]) -> str | None:
    """Say the first number of 10-15 with its से, or of the score 6-4; the second is left to the rules that follow."""
    first, second = match["first"], match["second"]
    if (
        not is_sayable(first)
        or not is_sayable(second)
        or match["ordinal"]
        or is_cited(match.string, match.start("first"), first)
    ):
        return None
    low, high = (float(written.replace(",", "")) for written in (first, second))
    if low < 100 and 1900 <= high < 2100 and not match["counted"]:  # 11-2024: a number of a file, month and year
        return None
    if match["before_christ"] and low > high:
        return f"{say_year(int(low))} से"
    if low < high and match["result"] is None and (low or match["counted"]):
        return f"{say_number(first)} से"
    return say_number(first) if max(low, high) < 1000 else None


def say_minus(match: re.Match[str]) -> str | None:
    """Say −5 and -1.61."""
    return f"माइनस {say_number(match['number'])}" if is_sayable(match["number"]) else None


def say_plain(match: re.Match[str]) -> str | None:
    """Say a number by itself: 09 जुलाई as nine, 007 digit by digit; - 1.5 may be a minus or a dash."""
    number, dash = match["number"], match["dash"] or ""
    if (dash and "." in number) or is_ambiguous(match):
        return None
    if is_sayable(number):
        return dash + say_number(number)
    if len(number) == 2 and int(number):
        return dash + say_cardinal(int(number)) if match["word"] is not None else None
    return None if set(number) & {".", ","} else dash + say_digits(number)


def _say_signed(match: re.Match[str], unit: str) -> str | None:
    if not is_sayable(match["number"]):
        return None
    return f"{'माइनस ' if match['minus'] else ''}{say_number(match['number'])} {unit}"
