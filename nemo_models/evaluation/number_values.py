"""Numbers and abbreviations in either form: which spans of words say the same value (25 = पच्चीस, किमी = किलोमीटर).

No text is rewritten. Spans of each text that have an exact value get this value, and spans of reference and hypothesis
with equal values match. If neither side writes a number in digits, its words are compared as usual.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from data_prep.text.number_words import say_cardinal, say_year
from nemo_models.evaluation.number_tokens import (
    EDGES,
    LETTER_NAMES,
    PLAIN_WORDS,
    Token,
    abbreviations,
    number_words,
    read_token,
)
from nemo_models.evaluation.spelling import spelling_key

LONGEST_NUMBER = 12
"""Words in the longest number that is read as one."""
_MONTHS = "जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर"


@dataclass(frozen=True)
class Span:
    """Words that say a value.

    Attributes:
        start: First word.
        end: After the last word.
        value: What they say, in a form that is equal for every way of writing it.
        written: Whether digits, signs or abbreviations are used.
    """

    start: int
    end: int
    value: str
    written: bool


def number_key(key: str) -> str:
    """Return one key for every spelling of a number word: उन्यासी = उनासी."""
    number = number_words().get(key)
    return key if number is None else f"#{number}"


def says_number(word: str) -> bool:
    """Tell whether a raw word may be part of a number or an abbreviation."""
    return read_token(word) is not None or spelling_key(word.strip(EDGES) or word) in LETTER_NAMES


def is_short_form(word: str) -> bool:
    """Tell whether a raw word is written in digits or signs, or is an abbreviation or a letter's name."""
    token = read_token(word)
    key = spelling_key(word.strip(EDGES) or word)
    return (token is not None and token.written) or (key in LETTER_NAMES and key not in PLAIN_WORDS)


def find_spans(words: Sequence[str]) -> list[Span]:
    """Find every span of raw words that says a value, spans within spans included."""
    tokens = [read_token(word) for word in words]
    spans = [
        Span(at, at + 1, value, token.written) for at, token in enumerate(tokens) if token for value in token.others
    ]
    for start, token in enumerate(tokens):
        if token is not None and _begins_number(tokens, start):
            spans += _read_numbers(tokens, start)
    spans += _find_letters(words)
    spans += _find_split_units(words)
    return spans


def _begins_number(tokens: Sequence[Token | None], start: int) -> bool:
    """Tell whether a number may be read from a word on: not from the सौ of दो सौ."""
    token, before = tokens[start], tokens[start - 1] if start else None
    if token is None or (token.scale and before is not None and before.value >= 0):
        return False
    return token.value >= 0 or token.scale > 0 or token.quarters != 0


def _read_numbers(tokens: Sequence[Token | None], start: int) -> Iterator[Span]:
    """Read all numbers that begin at one word: with their units, as clock times, dates and digits said one by one."""
    run: list[Token] = []
    for token in tokens[start : start + LONGEST_NUMBER]:
        if token is None or not (token.value >= 0 or token.scale or token.is_point or token.quarters):
            break
        run.append(token)
        end, written = start + len(run), any(part.written for part in run)
        value = _evaluate(run)
        if value is not None:
            units = run[-1].units
            for said in units or ("",):
                yield Span(start, end, f"number {value} {said}".strip(), written)
            following = tokens[end] if end < len(tokens) else None
            if not units and following is not None and following.value < 0:
                for said in following.units:
                    yield Span(start, end + 1, f"number {value} {said}", written or following.written)
        if len(run) > 1 and all(0 <= part.value <= 9 and not part.written for part in run):
            yield Span(start, end, "digits " + "".join(str(part.value) for part in run), written)
        if run[-1].units:
            break


def _add_quarters(run: Sequence[Token]) -> Sequence[Token]:
    """साढ़े तीन → 3.5, सवा सौ → 1.25 × 100."""
    if len(run) > 1 and run[0].quarters and run[1].scale:
        whole = 100 + 25 * run[0].quarters
        return [Token(value=whole // 100, decimals=f"{whole % 100:02d}".rstrip("0")), *run[1:]]
    if len(run) < 2 or not run[0].quarters or run[1].value < 1 or run[1].decimals:
        return run
    hundredths = 100 * run[1].value + 25 * run[0].quarters
    decimals = f"{hundredths % 100:02d}".rstrip("0")
    return [Token(value=hundredths // 100, decimals=decimals, written=run[1].written), *run[2:]]


def _evaluate(run: Sequence[Token]) -> str | None:
    """Return the value of number words and numerals in a row, or `None` if they are not one number."""
    if run[0].scale and len(run) > 1:  # लाख पच्चीस
        return None
    run = _add_quarters(run)
    if any(token.quarters for token in run):
        return None
    point = next((at for at, token in enumerate(run) if token.is_point), None)
    decimals = ""
    if point is not None:
        said = run[point + 1 :]
        if not said or not all(0 <= token.value <= 9 and not token.decimals for token in said):
            return None
        decimals, run = "".join(str(token.value) for token in said), run[:point]
    if len(run) == 2 and run[0].decimals and run[1].scale:
        return _scale_decimals(run, decimals)
    total, hundreds, current, last_scale = 0, 0, None, 10**13
    for at, token in enumerate(run):
        if token.scale:
            if token.scale == 100:
                if current is None and hundreds == 0 and at > 0 and total == 0:
                    return None
                hundreds += 100 * (1 if current is None else current)
                if current is not None and current > 99:
                    return None
                current = None
            else:
                if token.scale >= last_scale:
                    return None
                amount = hundreds + (current or 0)
                total += (amount or 1) * token.scale
                hundreds, current, last_scale = 0, None, token.scale
        elif token.decimals:
            return f"{token.value}.{token.decimals}".rstrip("0").rstrip(".") if len(run) == 1 and not decimals else None
        else:
            if current is not None:
                return None
            current = token.value
            if at > 0 and current > 99:
                return None
    whole = total + hundreds + (current or 0)
    if not run or (not decimals and point is not None):
        return None
    return f"{whole}.{decimals}".rstrip("0").rstrip(".") if decimals else str(whole)


def _scale_decimals(run: Sequence[Token], decimals: str) -> str | None:
    """2.5 लाख → 2.5 × 100000."""
    if decimals:
        return None
    scaled = int(f"{run[0].value}{run[0].decimals}") * run[1].scale
    divisor: int = 10 ** len(run[0].decimals)
    return str(scaled // divisor) if scaled % divisor == 0 else None


def _find_letters(words: Sequence[str]) -> Iterator[Span]:
    keys = [spelling_key(word.strip(EDGES) or word).replace("ज़", "ज") for word in words]
    names = LETTER_NAMES
    for start in range(len(words)):
        for end in range(start + 1, min(start + 6, len(words)) + 1):
            if keys[end - 1] not in names:
                break
            run = keys[start:end]
            if len(run) > 1 and not set(run) <= PLAIN_WORDS:
                yield Span(start, end, "letters " + "".join(run), True)


def _find_split_units(words: Sequence[str]) -> Iterator[Span]:
    """कि मी, as normalising leaves कि.मी."""
    for at in range(len(words) - 1):
        pair = " ".join(word.strip(EDGES) for word in words[at : at + 2])
        if pair in abbreviations():
            yield Span(at, at + 2, f"abbreviation {abbreviations()[pair]}", True)


def _say_times(hour: int, minute: int) -> list[str]:
    """10:30 → साढ़े दस, दस बजकर तीस मिनट, दस तीस."""
    said = [f"{say_cardinal(hour)} बजकर {say_cardinal(minute)} मिनट", f"{say_cardinal(hour)} {say_cardinal(minute)}"]
    quarters = {15: f"सवा {say_cardinal(hour)}", 30: f"साढ़े {say_cardinal(hour)}", 0: say_cardinal(hour)}
    if minute == 45:
        said.append(f"पौने {say_cardinal(hour % 12 + 1)}")
    return said + ([quarters[minute]] if minute in quarters else [])


def list_spoken_forms(value: str) -> list[str]:
    """Return the wordings of a value that no span of words is recognised for: times, dates, years, larger ordinals."""
    kind, *parts = value.split(" ")
    if kind == "time":
        hour, minute = map(int, parts[0].split(":"))
        return _say_times(hour, minute)
    if kind == "date":
        day, month, year = map(int, parts)
        return [
            f"{say_cardinal(day)} {_MONTHS.split()[month - 1]} {said}" for said in {say_year(year), say_cardinal(year)}
        ]
    if kind == "ordinal" and int(parts[0]) > 99:
        suffix = {"ा": "वां", "ी": "वीं", "े": "वें"}[parts[1]]
        return [say_cardinal(int(parts[0])) + suffix]
    return []


def find_equal_spans(
    reference: Sequence[str], hypothesis: Sequence[str], key: Callable[[str], str] = spelling_key
) -> list[tuple[int, int, int, int]]:
    """Find spans of two texts that say the same number or abbreviation, at least one of them in a written form.

    Args:
        reference: Raw words.
        hypothesis: Raw words.
        key: What makes words equal.

    Returns:
        Spans (from and to in the reference, from and to in the hypothesis).
    """
    found = set()
    left, right = find_spans(reference), find_spans(hypothesis)
    by_value: dict[str, list[Span]] = {}
    for span in right:
        by_value.setdefault(span.value, []).append(span)
    for span in left:
        for other in by_value.get(span.value, ()):
            if span.written or other.written:
                found.add((span.start, span.end, other.start, other.end))
    for spans, words, swap in ((left, hypothesis, False), (right, reference, True)):
        for span in spans:
            for start, end in _find_wordings(span.value, words, key):
                found.add((start, end, span.start, span.end) if swap else (span.start, span.end, start, end))
    return sorted(found)


def _find_wordings(value: str, words: Sequence[str], key: Callable[[str], str]) -> Iterator[tuple[int, int]]:
    forms = list_spoken_forms(value)
    if not forms:
        return
    keys = [key(word.strip(EDGES) or word) for word in words]
    for form in forms:
        wanted = [key(word) for word in form.split()]
        for start in range(len(words) - len(wanted) + 1):
            if keys[start : start + len(wanted)] == wanted:
                yield start, start + len(wanted)
