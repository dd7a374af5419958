"""Notes in a transcript that nobody speaks: [हँसी], (खाँसते हुए), {संगीत}, <noise>, SIL, *विराम*.

Square brackets, braces, double parentheses and tags hold notes only, in their wide forms too. Parentheses, asterisks
and other signs around a word also hold spoken words, so what they hold counts as a note only if it is built from the
closed lists below. Pauses in seconds, (0.5), and numbered speakers at the start, वक्ता 1:, are notes. The lists hold the
event names of the corpora's transcription guides (IndicVoices, GramVaani, LDC, CMU Sphinx, Kaldi) and their Hindi
equivalents.
"""

import re
import unicodedata

# Events; a note needs one of them.
_EVENTS = """
हँसी हंसी हँसना हंसना हँसते हंसते हँसता हंसता हँसती हंसती ठहाका ठहाके मुस्कुराते मुस्कुराहट
खाँसी खांसी खाँसना खांसना खाँसते खांसते खाँसता खांसता खाँसती खांसती छींक छींकना छींकते छींकती डकार हिचकी जम्हाई जँभाई
रोना रोते रोती रोता सिसकी सिसकते सिसकियाँ सिसकियां कराहते कराहना चीख चीखते चिल्लाते चिल्लाना फुसफुसाहट फुसफुसाते फुसफुसाकर
संगीत म्यूज़िक म्यूजिक गीत गाना गाते गुनगुनाते धुन वाद्य ताली तालियाँ तालियां सीटी घंटी हॉर्न बीप धमाका खटखट दस्तक
शोर नॉइज़ नॉइस शोरगुल कोलाहल भनभनाहट खड़खड़ाहट सरसराहट
विराम मौन चुप्पी ख़ामोशी खामोशी सन्नाटा ठहराव साइलेंस पॉज़ पॉज
साँस सांस साँसें सांसें आह उसाँस हाँफते हांफते
अस्पष्ट अश्रव्य अबूझ अनसुना अस्फुट
"""
EVENTS = frozenset(_EVENTS.split())
# Words that describe an event.
_DESCRIPTION_WORDS = """
हुए हुई हुआ का की के को में से और पर कर लेते लेती लेता भरते छोड़ते बजते बजती बजता बजने बजाते बजना बजी बजा
है हैं था थी थे रहा रही रहे आ आता आती आते जाता जाती होता होती सुनाई देता देती दे पीछे आगे दूर पास कहीं बाहर अंदर अन्दर किसी कोई एक
सेकंड सेकेंड सेकण्ड मिनट
आवाज़ आवाज आवाज़ें आवाजें ध्वनि स्वर तेज़ तेज धीमा धीमी धीमे ज़ोर जोर हल्की हल्का लंबी लंबा लम्बी गहरी गहरा छोटा
पृष्ठभूमि बैकग्राउंड भीड़ बच्चे बच्चों लोगों फ़ोन फोन गाड़ी दरवाज़ा दरवाजा पक्षी पक्षियों कुत्ते
"""
_DESCRIPTIONS = frozenset(_DESCRIPTION_WORDS.split())
ENGLISH_EVENTS = (
    "noise|noises|laughter|laughs?|laughing|coughs?|coughing|music|silence|sil|pause|breath|breathing|inhale|exhale|"
    "applause|unintelligible|inaudible|unclear|unknown|unk|spn|nsn|crosstalk|overlap|um+|uh+|hm+|beep|click|sneeze|"
    "sneezing|sigh|sighs|crying|cry|whisper|whispering|singing|horn|ringing|babble|static|hesitation|filler|"
    "(?:background|baby|sp|speaker|vocalized|human|animal|vehicle|mouth|lip|tongue|throat)[ _-]?"
    "(?:noise|speech|music|crying|cry|laughter|smack|click|clearing)"
)
# Tokens of Kaldi's and other lexicons that appear without brackets.
BARE_TOKENS = "(?i:sil|spn|nsn|unk|eps)|NOISE|LAUGHTER|LAUGH|COUGH|BREATH|MUSIC|PAUSE|SILENCE"

# A number after one of them, at the start of a line, names who speaks.
SPEAKERS = "वक्ता|स्पीकर|आवाज़|आवाज|व्यक्ति|एजेंट|कॉलर|प्रतिभागी|[Ss]peaker|SPEAKER|[Ss]pk|S"

_DIGIT = "[0-9०-९]"
_LETTER = "A-Za-z\u0900-\u0963\u0971-\u097f"
_HELD = r"[^\[\]{}()<>*|（）〈〉«»]{1,60}"
_ALWAYS = (
    r"\[\[[^\[\]]{0,80}\]\]|\[[^\[\]]{0,80}\]|\{[^{}]{0,80}\}|\(\([^()]{0,80}\)\)|［[^［］]{0,80}］|【[^【】]{0,80}】|"
    rf"〔[^〔〕]{{0,80}}〕|｛[^｛｝]{{0,80}}｝|<\s?/?[{_LETTER}][^<>]{{0,60}}>|\+\+[{_LETTER}_]+\+\+|"
    rf"\(\s?[0०]?\.{_DIGIT}{{1,2}}\s?\)|\A\s*(?:{SPEAKERS})[ _-]?{_DIGIT}{{1,2}}\s?:"
)
_MAYBE = (
    rf"\(\s*(?P<round>{_HELD})\s*\)|（\s*(?P<wide>{_HELD})\s*）|[〈«]\s*(?P<angled>{_HELD})\s*[〉»]|"
    rf"(?P<stars>\*{{1,2}})\s*(?P<starred>{_HELD})\s*(?P=stars)|"
    rf"(?<![{_LETTER}])(?P<sign>[_~|=#/])(?P<signed>[{_LETTER}]{{1,30}})(?P=sign)(?![{_LETTER}])"
)
_BARE = rf"(?<![{_LETTER}\d])(?:{BARE_TOKENS})(?![{_LETTER}\d])"
_UNBALANCED = r"[\[\]{}]"
_ANNOTATION = re.compile(unicodedata.normalize("NFC", f"{_ALWAYS}|{_MAYBE}|{_BARE}|{_UNBALANCED}"))
_HINT = re.compile(rf"[\[\]{{}}(<*+A-Za-z［【〔｛（〈«]|[_~|=#/][{_LETTER}]|{_DIGIT}\s?:")
_ENGLISH_EVENT = re.compile(rf"(?:{ENGLISH_EVENTS})(?:[\s,]+(?:{ENGLISH_EVENTS}))*", re.IGNORECASE)
_MANNER = re.compile(r"(?:हुए|हुई|(?:आवाज़|आवाज|स्वर) में)\s*$")
_EMPTY = re.compile(r"\A[^\w\u0900-\u0963]*[\]}]|[\[{][^\w\u0900-\u0963]*\Z")
_WORD = re.compile(r"[^\s,;।./_-]+")
MOST_MANNER_WORDS = 4  # (ज़ोर से बोलते हुए), (धीमी आवाज़ में): a longer phrase may be spoken


def find_annotations(text: str) -> list[re.Match[str]]:
    """Find the notes of a text.

    Args:
        text: A text in NFC with its punctuation.

    Returns:
        One match for each note, brackets included, in order; a bracket without its counterpart is one by itself.
    """
    if not may_hold_annotations(text):
        return []
    return [match for match in _ANNOTATION.finditer(text) if _is_note(match)]


def may_hold_annotations(text: str) -> bool:
    """Whether a text can hold a note: a quick look that spares most texts the patterns."""
    return _HINT.search(text) is not None


def strip_annotations(text: str) -> str:
    """Put a space in place of each note.

    A bracket without its counterpart stays, because where its note ends is unknown; at the text's own end, where it can
    hold nothing, it is removed.
    """
    for match in reversed(find_annotations(text)):
        if len(match[0]) > 1:
            text = f"{text[: match.start()]} {text[match.end() :]}"
    return _EMPTY.sub(" ", text) if may_hold_annotations(text) else text


def _is_note(match: re.Match[str]) -> bool:
    held = match["round"] or match["wide"] or match["angled"] or match["starred"] or match["signed"]
    if held is None:
        return True
    words = _WORD.findall(held)
    if not words or _ENGLISH_EVENT.fullmatch(held.strip()):
        return bool(words)
    if len(words) <= MOST_MANNER_WORDS and match["round"] and _MANNER.search(held):
        return True
    return EVENTS.isdisjoint(words) is False and all(map(_describes, words))


def _describes(word: str) -> bool:
    return word in EVENTS or word in _DESCRIPTIONS or re.fullmatch(f"{_DIGIT}{{1,3}}", word) is not None
