"""Hindi spellings of the same word: one small rule for each kind of difference, each with a switch.

A rule maps a word to a key; words with equal keys count as equal if the rule is on. Keys are compared, never shown or
written. No rule removes a vowel sign or the virama between two letters. Only gemination removes a consonant with its
virama, where doubling it is a matter of style (कर्त्तव्य, महत्त्व).

Rules apply in a fixed order, each to the keys of the one before, so that a further rule only adds equalities. A rule
does not change the words that `stay_apart_hi.tsv` lists for it: राज and राज़ are two words.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path

from data_prep.arguments import require_choice
from data_prep.text.normalizer import normalize_text

# To be raised with every change of what a rule or a list of this folder makes equal.
SPELLING_RULES_VERSION = 1

STAY_APART_PATH = Path(__file__).with_name("stay_apart_hi.tsv")
NUKTA, VIRAMA, ANUSVARA, CHANDRABINDU, VISARGA = "\u093c", "\u094d", "\u0902", "\u0901", "\u0903"

# क़ ख़ ग़ ज़ फ़ only: ड़ and ढ़ are sounds of Hindi, so that a missing nukta there is a wrong letter.
_LOAN_NUKTA = re.compile(f"(?<=[कखगजफ]){NUKTA}")
# न् before any stop or sibilant is heard as its nasal (लन्दन, कॉन्फ़्रेंस); the others only before their own class.
_NASALS = re.compile("ङ्(?=[कखगघ])|ञ्(?=[चछजझ])|ण्(?=[टठडढ])|म्(?=[पफबभ])|न्(?=[कखगघचछजझटठडढतथदधपफबभशषस])")
_VOWEL_BEFORE = "[\u0915-\u0939\u0958-\u095f\u093c\u093e-\u094c\u0905-\u0914]"
_GLIDES = {"यी": "ई", "ये": "ए"}
_GLIDE = re.compile(f"(?<={_VOWEL_BEFORE})(?:यी|ये)(?=[{ANUSVARA}{CHANDRABINDU}]?(?:$|ग))")
# Adverbs that are no words without their visarga; दुःख and निःशुल्क; छः is written छह by the standard.
# fmt: off
_VISARGA_ADVERBS = (
    "अंशतः", "अतः", "अधिकांशतः", "अंततः", "क्रमशः", "प्रातः", "प्रायः", "फलतः", "मुख्यतः", "मूलतः", "पूर्णतः", "वस्तुतः",
    "विशेषतः", "शब्दशः", "संभवतः", "साधारणतः", "सामान्यतः", "स्पष्टतः", "स्वतः", "अक्षरशः", "पुनः",
)
# fmt: on
_VISARGA_WORDS = {"छः": "छह", **{word: word[:-1] for word in _VISARGA_ADVERBS if word != "पुनः"}}
# दुःख, निःशुल्क = निश्शुल्क = निशुल्क: before a sibilant the visarga may be written as that sibilant, or not at all.
_VISARGA_PREFIX = re.compile(f"^(नि|दु)(?:{VISARGA}|([शषस]){VIRAMA}(?=\\2))(?=[शषसख])")
# A visarga after a vowel sign at the end of a word is a colon: no word of Hindi is written so.
_COLON_VISARGA = re.compile(f"(?<=[\u093e\u0940\u0942\u0947\u0948\u094b\u094c{ANUSVARA}]){VISARGA}$")
_ASPIRATES = dict(zip("खघछझठढथधफभ", "कगचजटडतदपब", strict=True))
_AFTER_R = re.compile(f"(?<=र{VIRAMA})([क-ह]){VIRAMA}(?=(\\1|[खघछझठढथधफभ]))")
_DOUBLED_IN_CLUSTER = re.compile(f"(?<=.)([क-ह]){VIRAMA}(?=\\1{VIRAMA}[यरव])")
_DOUBLED_ASPIRATE = re.compile(f"([खघछझठढथधफभ])(?={VIRAMA}\\1)")


def _remove_loan_nukta(word: str) -> str:
    return _LOAN_NUKTA.sub("", word) if NUKTA in word else word


def _write_anusvara(word: str) -> str:
    return _NASALS.sub(ANUSVARA, word) if VIRAMA in word else word


def _write_anusvara_for_chandrabindu(word: str) -> str:
    return word.replace(CHANDRABINDU, ANUSVARA)


def _remove_glide(word: str) -> str:
    return _GLIDE.sub(lambda match: _GLIDES[match[0]], word) if "य" in word else word


def _settle_visarga(word: str) -> str:
    if word in _VISARGA_WORDS:
        return _VISARGA_WORDS[word]
    return _COLON_VISARGA.sub("", _VISARGA_PREFIX.sub(r"\1", word))


def _settle_gemination(word: str) -> str:
    if VIRAMA not in word:
        return word
    word = _DOUBLED_ASPIRATE.sub(lambda match: _ASPIRATES[match[1]], word)
    word = _AFTER_R.sub(lambda match: "" if match[2] in (match[1], _aspirate(match[1])) else match[0], word)
    return _DOUBLED_IN_CLUSTER.sub("", word)


def _aspirate(consonant: str) -> str | None:
    return next((aspirate for aspirate, plain in _ASPIRATES.items() if plain == consonant), None)


Rule = Callable[[str], str]
# The rules in the order in which they apply.
SPELLING_RULES: Mapping[str, Rule] = {
    "nukta": _remove_loan_nukta,  # ज़िंदगी = जिंदगी
    "anusvara": _write_anusvara,  # हिन्दी = हिंदी, सम्बन्ध = संबंध
    "chandrabindu": _write_anusvara_for_chandrabindu,  # यहाँ = यहां
    "y_glide": _remove_glide,  # चाहिये = चाहिए, गयी = गई
    "visarga": _settle_visarga,  # छः = छह, दुःख = दुख
    "gemination": _settle_gemination,  # महत्त्व = महत्व, कर्त्ता = कर्ता
}


@cache
def load_stay_apart(path: Path = STAY_APART_PATH) -> Mapping[str, frozenset[str]]:
    """Read the words that each rule leaves alone.

    Args:
        path: A table of rule, word, other word and meanings, divided by tabs.

    Returns:
        Rule → words, as they are written and as the rules before it leave them.

    Raises:
        ValueError: A line does not have these columns, or names no rule.
    """
    words: dict[str, set[str]] = {rule: set() for rule in SPELLING_RULES}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        columns = line.split("\t")
        if len(columns) < 3:
            raise ValueError(
                f"{path}:{number}: found {len(columns)} columns, expected rule, word, other word, meanings"
            )
        require_choice(f"{path}:{number}: rule", columns[0], SPELLING_RULES)
        for word in map(normalize_text, columns[1:3]):
            words[columns[0]].update((word, _apply_rules_before(columns[0], word)))
    return {rule: frozenset(listed) for rule, listed in words.items()}


def _apply_rules_before(rule: str, word: str) -> str:
    for name, earlier in SPELLING_RULES.items():
        if name == rule:
            break
        word = earlier(word)
    return word


def make_keys(rules: Collection[str] = tuple(SPELLING_RULES)) -> list[tuple[str, Rule]]:
    """Return the rules that are on, in their order, each as a function from a word's key to its next key.

    Args:
        rules: Names of the rules to use.

    Raises:
        ValueError: There is no such rule.
    """
    for rule in rules:
        require_choice("spelling_rules", rule, SPELLING_RULES)
    apart = load_stay_apart()
    return [(name, _guard(rule, apart[name])) for name, rule in SPELLING_RULES.items() if name in rules]


def make_pair_key(pairs: Mapping[str, str]) -> Rule:
    """Return the rule that takes the two spellings of each pair for equal.

    Args:
        pairs: Spelling → the spelling in its place, as a language file has them under `spelling`.
    """

    def key(word: str) -> str:
        for one, other in pairs.items():
            word = word.replace(one, other)
        return word

    return key


def _guard(rule: Rule, apart: frozenset[str]) -> Rule:
    return lambda word: word if word in apart else rule(word)


@cache
def _all_keys() -> list[tuple[str, Rule]]:
    return make_keys()


@cache
def spelling_key(word: str) -> str:
    """Return a word's key with all rules on."""
    for _, rule in _all_keys():
        word = rule(word)
    return word
