"""The pieces that the number rules are built from: digits, signs, borders of a number, words around it."""

import re
import unicodedata
from collections.abc import Callable, Collection

from data_prep.text.number_words import DIGIT

D = DIGIT
LETTER = "A-Za-z\u0900-\u0963\u0971-\u097f"
NO_LETTER = rf"(?![{LETTER}])"
NEW_WORD = rf"(?<![{LETTER}])"
DASHES = "-‐‑–—−"
DASH = f"[{DASHES}]"
JOIN = rf"(?:{DASH}| {DASH} )"
# Signs that join the numbers on their two sides into one, a lone space too (1 9वें is a slip for 19वें): where no rule
# has read all of it, none may read half of it.
BOND = r"[.·,:/\\^<>*_|~#'’′″‐‑–—−-]"
UNBOUND = rf"(?<!{D})(?<![{LETTER}])(?<!{D}{BOND})(?<!{D}\s)(?<!{D}\s[–—−-]\s)"
# Tokenised groups whose spaces no rule has removed: ३ , २०० मी
UNBOUND += rf"(?!(?<={D}\s,\s){D}{{3}}(?!{D}))"
# A year without its century: जून'23
UNBOUND += rf"(?<![{LETTER}]['’])"
# A list's dash and a minus, a decimal point and the stop of the sentence before look the same; >50 and <5 are rejected.
UNSIGNED = r"(?<!\A[-−+.])(?<![\s(][-−+.])(?<![<>≈])(?<![<>≈]\s)"
# The lookahead comes first because it fails soonest: these patterns are tried at every character of a line.
START = rf"(?={D})" + UNBOUND + UNSIGNED
END = rf"(?!{D}|{BOND}+{D}|\s{D}|\s[–—−-]\s{D}|\s?[<>^*~+=×]|\s,\s?{D}{{3}}(?!{D}))"
WHOLE = rf"(?:{D}{{1,2}}(?:,{D}{{2}})*,{D}{{3}}|{D}{{1,3}}(?:,{D}{{3}})+|{D}+)"
NUMBER = rf"{WHOLE}(?:\.{D}+)?"
SIGNED = rf"(?=[-−0-9०-९])(?:(?P<minus>(?<![^\s(])[-−])|{UNSIGNED}){UNBOUND}(?P<number>{NUMBER})"
SCALE_WORDS = "सौ|हज़ार|हजार|लाख|करोड़|करोड|अरब|खरब|मिलियन|बिलियन|ट्रिलियन"
SCALE = rf"(?:\s?(?:{SCALE_WORDS}){NO_LETTER})"
RUPEE = r"(?:रु|रू|Rs)(?:\s?[.॰])?"
CURRENCY_WORD = rf"(?:रुपये|रुपए|रुपया|रूपये|रूपए|रुपयों|डॉलर|यूरो|पाउंड|येन){NO_LETTER}"
POSTPOSITION = rf"(?:का|की|के|को|में|से|पर|तक|वाला|वाली|वाले){NO_LETTER}"
MONTH = "(?:जनवरी|फ़रवरी|फरवरी|मार्च|अप्रैल|मई|जून|जुलाई|अगस्त|सितंबर|सितम्बर|सितंम्बर|अक्टूबर|अक्तूबर|नवंबर|नवम्बर|दिसंबर|दिसम्बर)"
COUNTED = (
    "वर्ष|वर्षों|वर्षीय|साल|सालों|दिन|दिनों|महीने|महीनों|माह|सप्ताह|हफ़्ते|हफ्ते|घंटे|घंटों|मिनट|मिनटों|सेकंड|लोग|लोगों|बार|"
    "किलोमीटर|किमी|मीटर|सेमी|सेंटीमीटर|फुट|फीट|इंच|किलो|किलोग्राम|ग्राम|लीटर|टन|क्विंटल|प्रतिशत|फ़ीसदी|फीसदी|डिग्री|बच्चे|बच्चों|छात्र|छात्रों|"
    f"रुपये|रुपए|{SCALE_WORDS}"
)

Say = Callable[["re.Match[str]"], "str | None"]
Rule = tuple[str, Callable[[str], str]]


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile over composed text, which every line is when the rules see it."""
    return re.compile(unicodedata.normalize("NFC", pattern))


def read(pattern: str, say: Say, needs: Collection[str] = ()) -> Callable[[str], str]:
    """Make a rule: words take the place of a match, with spaces around them; `None` leaves the match as it is.

    Args:
        pattern: Where the numbers are.
        say: Gives the words.
        needs: Characters or words of which a text has one if the pattern can match; empty: unknown. It saves time.
    """

    def replace(match: re.Match[str]) -> str:
        words = say(match)
        return match[0] if words is None else f" {words} "

    return rewrite(pattern, replace, needs)


def rewrite(
    pattern: str, replacement: str | Callable[[re.Match[str]], str], needs: Collection[str] = ()
) -> Callable[[str], str]:
    """Make a rule that rewrites each match; see `read`."""
    compiled = compile_pattern(pattern)
    if not needs:
        return lambda text: compiled.sub(replacement, text)
    needles = tuple(unicodedata.normalize("NFC", needle) for needle in needs)
    return lambda text: compiled.sub(replacement, text) if any(needle in text for needle in needles) else text
