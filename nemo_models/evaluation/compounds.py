"""Words that may be written together or apart, matched within the alignment.

Any two words can run together in a hypothesis, and joining them can make another word (की मत / कीमत). So a join is
forgiven only if both forms are in use: compounds of a list, pronouns with their postposition (उस ने / उसने), verb stems
with कर (देख कर / देखकर), and words with वाला.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from data_prep.text.normalizer import normalize_text
from nemo_models.evaluation.spelling import spelling_key

COMPOUNDS_PATH = Path(__file__).with_name("compounds_hi.tsv")
MOST_PIECES = 4
_PRONOUNS = "आप उस इस किस जिस उन इन किन जिन सब"
_PERSONAL_PRONOUNS = "मुझ तुझ हम तुम"  # without का: मेरा, हमारा
_SUBJECT_PRONOUNS = "मैं तू उन्हों इन्हों किन्हों जिन्हों"  # with ने only
_POSTPOSITIONS = "ने को से का के की में पर"
_POSSESSIVE = "का के की"
_CONJUNCTIVE = "कर करके"
_AGENT = "वाला वाले वाली वालों वालियों"
# Stems of verbs that take कर; a noun before कर is an object (काम कर), and no compound.
# fmt: off
_VERB_STEMS = (
    "देख सुन कह बोल पूछ सोच समझ जान मान ले दे खा पी जा आ ला चल दौड़ भाग उठ बैठ लेट सो जाग रो हँस खेल कूद नाच गा लिख पढ़ सीख "
    "बना बन कर हो रख पकड़ छोड़ फेंक डाल निकाल निकल लगा लग मिला मिल मार पीट काट तोड़ जोड़ खोल बाँध उतार उतर चढ़ चढ़ा "
    "गिर गिरा उठा बैठा सुला जगा हटा हट बचा बच छिपा छिप छुप दिखा सुना बुला भेज पहुँच पहुँचा लौट लौटा मुड़ मोड़ झुक झुका घूम घुमा हिला "
    "मर जी रह भर बह डूब तैर उड़ उड़ा फैला फैल सजा चुरा छीन खींच धकेल दबा रगड़ धो पोंछ झाड़ पका उबाल भून तल चख निगल चबा चूस चाट "
    "सूँघ छू पहन ओढ़ बुन कात नाप तौल गिन चुन बाँट खरीद बेच कमा गँवा जीत हार लड़ झगड़ डाँट डरा डर घबरा चौंक शरमा मुस्करा "
    "मुस्कुरा चिल्ला पुकार रुक रोक थक टूट फूट फट फाड़ जल जला बुझा पिघल जम सूख भीग टकरा लिपट चिपक लटक लटका पटक उछल फिसल खिसक "
    "सरक लाँघ लांघ घुस झाँक ताक घूर निहार खोज ढूँढ़ ढूँढ टटोल परख जाँच बदल बढ़ बढ़ा घट घटा जुट जुटा बता सिखा समझा बहला फुसला "
    "चुका लूट ठग अपना त्याग सींच बो उगा काढ़ लाद पलट उलट लपक लपेट सिकोड़ बिछा कस जुड़ ठहर ठान पा लड़ चढ़ मिटा मचा नहा"
)
# fmt: on


@cache
def load_compounds(path: Path = COMPOUNDS_PATH) -> Mapping[str, frozenset[str]]:
    """Read the list of compounds.

    Args:
        path: A table of kind (`word`, `first`, `last`) and words, divided by tabs.

    Returns:
        Kind → spelling keys; the pieces of a `word` are divided by spaces.

    Raises:
        ValueError: A line names another kind or no words.
    """
    kinds: dict[str, set[str]] = {"word": set(), "first": set(), "last": set()}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        kind, _, words = line.partition("\t")
        if kind not in kinds or not words.strip():
            raise ValueError(f"{path}:{number}: found {line!r}, expected one of {', '.join(kinds)}, a tab, and words")
        kinds[kind].add(" ".join(map(spelling_key, normalize_text(words).split())))
    return {kind: frozenset(words) for kind, words in kinds.items()}


@cache
def _closed_class(words: str) -> frozenset[str]:
    return frozenset(spelling_key(normalize_text(word)) for word in words.split())


@cache
def _pronoun_joins(pronoun: str, postposition: str) -> bool:
    """उस ने = उसने; हम का is not Hindi."""
    if postposition not in _closed_class(_POSTPOSITIONS):
        return False
    if pronoun in _closed_class(_PERSONAL_PRONOUNS):
        return postposition not in _closed_class(_POSSESSIVE)
    return pronoun in _closed_class(_PRONOUNS) or (pronoun in _closed_class(_SUBJECT_PRONOUNS) and postposition == "ने")


@cache
def may_join(pieces: tuple[str, ...]) -> bool:
    """Tell whether words may be written as one.

    Args:
        pieces: Normalised words, two or more.
    """
    keys = tuple(map(spelling_key, pieces))
    compounds, postpositions = load_compounds(), _closed_class(_POSTPOSITIONS)
    first, last = keys[0], keys[-1]
    if " ".join(keys) in compounds["word"]:
        return True
    if len(keys) > 2:
        return may_join(pieces[:-1]) or may_join(pieces[1:])
    if last in _closed_class(_AGENT) or _pronoun_joins(first, last):
        return True
    if last in _closed_class(_CONJUNCTIVE):
        return first in _closed_class(_VERB_STEMS)
    is_word = len(first) > 2 and len(last) > 2 and first not in postpositions and last not in postpositions
    return is_word and (first in compounds["first"] or last in compounds["last"])


def find_joins(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Find words of one side that are written together on the other.

    Args:
        reference: Normalised words of a stretch in which the two sides differ.
        hypothesis: The same stretch of the hypothesis.

    Returns:
        Spans (from and to in the reference, from and to in the hypothesis), one side of each being one word.
    """
    found = [(start, end, at, at + 1) for start, end, at in _find(reference, hypothesis)]
    return found + [(at, at + 1, start, end) for start, end, at in _find(hypothesis, reference)]


def _find(pieces: Sequence[str], wholes: Sequence[str]) -> list[tuple[int, int, int]]:
    if len(pieces) < 2 or not wholes:
        return []
    by_key: dict[str, list[int]] = {}
    for at, word in enumerate(wholes):
        by_key.setdefault(spelling_key(word), []).append(at)
    found = []
    for start in range(len(pieces) - 1):
        for end in range(start + 2, min(start + MOST_PIECES, len(pieces)) + 1):
            places = by_key.get(spelling_key("".join(pieces[start:end])))
            if places and may_join(tuple(pieces[start:end])):
                found += [(start, end, at) for at in places]
    return found
