"""Every way of writing a number, and how it is said; the expected words were written for this project."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.text import grammars
from data_prep.text.alphabet import load_alphabet
from data_prep.text.normalizer import normalize_text
from data_prep.text.number_rules import NUMBER_RULES
from data_prep.text.number_words import MAX_CARDINAL, say_cardinal, say_digits, say_year
from data_prep.text.policy import TextPolicy
from data_prep.text.verdict import judge
from project import ROOT

pytest.importorskip("nemo_text_processing", reason="the extra [numbers] is not installed")

# The Central Hindi Directorate's list, in this project's spelling.
TO_NINETY_NINE = re.findall(
    r"\S+",
    """
    शून्य एक दो तीन चार पाँच छह सात आठ नौ
    दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस
    बीस इक्कीस बाईस तेईस चौबीस पच्चीस छब्बीस सत्ताईस अट्ठाईस उनतीस
    तीस इकतीस बत्तीस तैंतीस चौंतीस पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस
    चालीस इकतालीस बयालीस तैंतालीस चवालीस पैंतालीस छियालीस सैंतालीस अड़तालीस उनचास
    पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ
    साठ इकसठ बासठ तिरसठ चौंसठ पैंसठ छियासठ सड़सठ अड़सठ उनहत्तर
    सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर अठहत्तर उनासी
    अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी अठासी नवासी
    नब्बे इक्यानवे बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे अट्ठानवे निन्यानवे
    """,
)

SAID = """
₹1,25,000 | एक लाख पच्चीस हज़ार रुपये
1,00,00,000 | एक करोड़
70वीं | सत्तरवीं
कोविड19 | कोविड उन्नीस
1,000 | एक हज़ार
10,000 लोग | दस हज़ार लोग
१,००,००० | एक लाख
12,34,56,789 | बारह करोड़ चौंतीस लाख छप्पन हज़ार सात सौ नवासी
1,000,000 | दस लाख
1,00,00,00,000 | एक अरब
12345678901 | बारह अरब चौंतीस करोड़ छप्पन लाख अठहत्तर हज़ार नौ सौ एक
2500000000 | दो अरब पचास करोड़
100 | एक सौ
101 | एक सौ एक
999 | नौ सौ निन्यानवे
1000 | एक हज़ार
2500 रन | दो हज़ार पाँच सौ रन
५३६१२ मुक़दमे | तिरपन हज़ार छह सौ बारह मुक़दमे
0 | शून्य
1० | दस
5. चीनी | पाँच चीनी
(5) | पाँच
"5" | पाँच
5। | पाँच
5, 6 और 7 | पाँच छह और सात
1,2,3 | एक दो तीन
10 ,500 से ऊपर | दस हज़ार पाँच सौ से ऊपर
1 ,20 ,000 वर्षों | एक लाख बीस हज़ार वर्षों
१० , ००० फ़ीट | दस हज़ार फ़ीट
007 | शून्य शून्य सात
००५ | शून्य शून्य पाँच
3.14 | तीन दशमलव एक चार
0.5 | शून्य दशमलव पाँच
१.२५ | एक दशमलव दो पाँच
100.001 | एक सौ दशमलव शून्य शून्य एक
1,234.5 | एक हज़ार दो सौ चौंतीस दशमलव पाँच
2 .5 करोड़ डॉलर | दो दशमलव पाँच करोड़ डॉलर
7 .16 प्रतिशत | सात दशमलव एक छह प्रतिशत
98.6 | अट्ठानवे दशमलव छह
1ला | पहला
1ली | पहली
2रा | दूसरा
2री | दूसरी
3रे | तीसरे
4था | चौथा
4थी | चौथी
5वाँ | पाँचवाँ
5वां | पाँचवां
5वीं | पाँचवीं
6ठा | छठा
6वीं | छठी
6वें | छठे
7वाँ | सातवाँ
8वें | आठवें
9वीं | नौवीं
१०वाँ | दसवाँ
21वीं सदी | इक्कीसवीं सदी
50वां जन्मदिन | पचासवां जन्मदिन
100वें | सौवें
200वीं | दो सौवीं
24 वीं बाज़ी | चौबीसवीं बाज़ी
20-वीं | बीसवीं
9वीं-10वीं | नौवीं दसवीं
12वी कक्षा | बारहवीं कक्षा
1947 में | उन्नीस सौ सैंतालीस में
सन् 1857 | सन् अठारह सौ सत्तावन
सन १९९९ | सन उन्नीस सौ निन्यानवे
वर्ष 2004 | वर्ष दो हज़ार चार
1990 के दशक | उन्नीस सौ नब्बे के दशक
1900 से | उन्नीस सौ से
1980 से 1985 तक | उन्नीस सौ अस्सी से उन्नीस सौ पचासी तक
2019 में | दो हज़ार उन्नीस में
(1986) | उन्नीस सौ छियासी
नवम्बर1987 | नवम्बर उन्नीस सौ सत्तासी
दिसंबर,1984 | दिसंबर उन्नीस सौ चौरासी
1984-1994 | उन्नीस सौ चौरासी से उन्नीस सौ चौरानवे
( 1872 - 1948 ई. ) | अठारह सौ बहत्तर से उन्नीस सौ अड़तालीस ईस्वी
2019-20 | दो हज़ार उन्नीस बीस
1990-91 | उन्नीस सौ नब्बे इक्यानवे
1728-52 | सत्रह सौ अट्ठाईस से बावन
2008/09 | दो हज़ार आठ नौ
1862 वोट | एक हज़ार आठ सौ बासठ वोट
25 मई 2019 | पच्चीस मई दो हज़ार उन्नीस
15 अगस्त 1947 | पंद्रह अगस्त उन्नीस सौ सैंतालीस
15 अगस्त, 1947 को | पंद्रह अगस्त उन्नीस सौ सैंतालीस को
अगस्त 15, 1947 | अगस्त पंद्रह उन्नीस सौ सैंतालीस
२५ मई २०१९ को 10:30 बजे | पच्चीस मई दो हज़ार उन्नीस को साढ़े दस बजे
25/05/2019 | पच्चीस मई दो हज़ार उन्नीस
२५-०५-२०१९ | पच्चीस मई दो हज़ार उन्नीस
25.05.2019 | पच्चीस मई दो हज़ार उन्नीस
4-9-2004 | चार सितंबर दो हज़ार चार
2019-05-25 | पच्चीस मई दो हज़ार उन्नीस
१५/०८/१९४७ | पंद्रह अगस्त उन्नीस सौ सैंतालीस
6 अक्टूबर 1930 – 3 जून 2011 | छह अक्टूबर उन्नीस सौ तीस से तीन जून दो हज़ार ग्यारह
12 से 27 नवंबर | बारह से सत्ताईस नवंबर
9/11 | नौ ग्यारह
26/11 के हमले | छब्बीस ग्यारह के हमले
10:30 बजे | साढ़े दस बजे
10:15 बजे | सवा दस बजे
1:30 बजे | डेढ़ बजे
2:30 बजे | ढाई बजे
12:00 बजे | बारह बजे
10:45 बजे पहुँचा | दस बजकर पैंतालीस मिनट पर पहुँचा
10:20 बजे से | दस बजकर बीस मिनट से
०५:२० बजे तक | पाँच बजकर बीस मिनट तक
18:05 | अठारह बजकर पाँच मिनट
18:30 | अठारह बजकर तीस मिनट
9:00 | नौ बजे
10:30:45 | दस बजकर तीस मिनट पैंतालीस सेकंड
8.30 बजे | साढ़े आठ बजे
10:30-11:30 बजे | साढ़े दस से साढ़े ग्यारह बजे
11 बजे | ग्यारह बजे
₹1 | एक रुपया
₹ 50 | पचास रुपये
₹1.50 | एक रुपया पचास पैसे
₹10.05 | दस रुपये पाँच पैसे
₹2.5 | दो रुपये पचास पैसे
₹0.50 | पचास पैसे
₹5 करोड़ | पाँच करोड़ रुपये
₹2.5 लाख | दो दशमलव पाँच लाख रुपये
₹5-10 लाख | पाँच से दस लाख रुपये
₹1,500/- | एक हज़ार पाँच सौ रुपये
₹500 रुपये | पाँच सौ रुपये
₹१,२५,००० | एक लाख पच्चीस हज़ार रुपये
रु. 500 | पाँच सौ रुपये
रु 500 | पाँच सौ रुपये
Rs. 1,000 | एक हज़ार रुपये
500 रु. की | पाँच सौ रुपये की
२,००० रू | दो हज़ार रुपये
10 लाख रु. | दस लाख रुपये
100₹ | एक सौ रुपये
500 रुपये | पाँच सौ रुपये
$5 | पाँच डॉलर
$5.50 | पाँच डॉलर पचास सेंट
$1 मिलियन | एक मिलियन डॉलर
€20 | बीस यूरो
£3 | तीन पाउंड
¥100 | एक सौ येन
50% | पचास प्रतिशत
12.5 % | बारह दशमलव पाँच प्रतिशत
९५% लोग | पचानवे प्रतिशत लोग
10-15% | दस से पंद्रह प्रतिशत
-2.5% | माइनस दो दशमलव पाँच प्रतिशत
50 प्रतिशत | पचास प्रतिशत
1/2 | एक बटा दो
3/4 कप | तीन बटा चार कप
२/३ | दो बटा तीन
1/100 | एक बटा सौ
1 1/2 | डेढ़
2½ | ढाई
5 1/2 | साढ़े पाँच
1 1/4 | सवा
3¼ | सवा तीन
2 3/4 | पौने तीन
2 2/3 | दो सही दो बटा तीन
½ | एक बटा दो
5-6 | पाँच से छह
10-15 लोग | दस से पंद्रह लोग
10–12 | दस से बारह
११५ - १२० किलोमीटर | एक सौ पंद्रह से एक सौ बीस किलोमीटर
200-300 | दो सौ से तीन सौ
2.5-3 | दो दशमलव पाँच से तीन
10-15 से अधिक | दस पंद्रह से अधिक
20-20 हज़ार | बीस बीस हज़ार
3-2 | तीन दो
1-0 की बढ़त | एक शून्य की बढ़त
6-4 से | छह चार से
5 से 6 | पाँच से छह
9876543210 | नौ आठ सात छह पाँच चार तीन दो एक शून्य
98765 43210 | नौ आठ सात छह पाँच चार तीन दो एक शून्य
९८७६५४३२१० | नौ आठ सात छह पाँच चार तीन दो एक शून्य
+91 9876543210 | प्लस नौ एक नौ आठ सात छह पाँच चार तीन दो एक शून्य
+91-98765-43210 | प्लस नौ एक नौ आठ सात छह पाँच चार तीन दो एक शून्य
011-23456789 | शून्य एक एक दो तीन चार पाँच छह सात आठ नौ
1800-180-1551 | एक आठ शून्य शून्य एक आठ शून्य एक पाँच पाँच एक
हेल्पलाइन नंबर 1098 | हेल्पलाइन नंबर एक शून्य नौ आठ
पिन कोड 110001 | पिन कोड एक एक शून्य शून्य शून्य एक
1234 5678 9012 | एक दो तीन चार पाँच छह सात आठ नौ शून्य एक दो
123456789012345 | एक दो तीन चार पाँच छह सात आठ नौ शून्य एक दो तीन चार पाँच
9,87,65,43,210 | नौ अरब सत्तासी करोड़ पैंसठ लाख तैंतालीस हज़ार दो सौ दस
(0522) 2234567 | शून्य पाँच दो दो दो दो तीन चार पाँच छह सात
पिन-110001 | पिन एक एक शून्य शून्य शून्य एक
500/- रुपये | पाँच सौ रुपये
₹10-₹20 | दस से बीस रुपये
5%-10% | पाँच प्रतिशत से दस प्रतिशत
ई. 1869 | ईस्वी अठारह सौ उनहत्तर
१०० मी० दौड़ | एक सौ मीटर दौड़
-10 डिग्री | माइनस दस डिग्री
5वाॅं | पाँचवाँ
1999-2000 | उन्नीस सौ निन्यानवे से दो हज़ार
कोविड-19 | कोविड उन्नीस
टी-20 | टी ट्वेंटी
ट्वेन्टी-20मैच | ट्वेन्टी ट्वेंटी मैच
एच1एन1 | एच एक एन एक
एके-47 | एके सैंतालीस
4जी | चार जी
17वर्ष | सत्रह वर्ष
153ए | एक सौ तिरपन ए
सुपर- 8 | सुपर आठ
बी०ए० पास | बी ए पास
5 km | पाँच किलोमीटर
5km | पाँच किलोमीटर
5 किमी | पाँच किलोमीटर
5 कि.मी. दूर | पाँच किलोमीटर दूर
१ .५ कि .मी . | एक दशमलव पाँच किलोमीटर
60 किमी/घंटा | साठ किलोमीटर प्रति घंटा
30 km/h | तीस किलोमीटर प्रति घंटा
2.5 kg | दो दशमलव पाँच किलोग्राम
10-15 kg | दस से पंद्रह किलोग्राम
500 ml | पाँच सौ मिलीलीटर
5 m² | पाँच वर्ग मीटर
10 MB | दस मेगाबाइट
100 kW | एक सौ किलोवाट
25°C | पच्चीस डिग्री सेल्सियस
-5°C | माइनस पाँच डिग्री सेल्सियस
−5 °C | माइनस पाँच डिग्री सेल्सियस
45° | पैंतालीस डिग्री
समय: 5 बजे | समय पाँच बजे
राम 5 बजे आया | राम पाँच बजे आया
छ: 6 | छः छह
रिकॉर्ड 4:51 मिनट का है | रिकॉर्ड चार मिनट इक्यावन सेकंड का है
1:05 घंटे | एक घंटा पाँच मिनट
2:30:15 घंटे | दो घंटे तीस मिनट पंद्रह सेकंड
सुबह 9:15 से शाम 6:45 तक | सुबह सवा नौ से शाम छह बजकर पैंतालीस मिनट तक
दुकान 9:30 से खुलती है | दुकान साढ़े नौ से खुलती है
7/8 बजे | सात आठ बजे
1962, 1965 और 1971 के युद्ध | उन्नीस सौ बासठ उन्नीस सौ पैंसठ और उन्नीस सौ इकहत्तर के युद्ध
सन् 1950, 1960 | सन् उन्नीस सौ पचास उन्नीस सौ साठ
1975 से 1977 | उन्नीस सौ पचहत्तर से उन्नीस सौ सतहत्तर
1250 से 1275 रुपये | एक हज़ार दो सौ पचास से एक हज़ार दो सौ पचहत्तर रुपये
1600 ईसा पूर्व | सोलह सौ ईसा पूर्व
1996 ओलंपिक | उन्नीस सौ छियानवे ओलंपिक
राव (1940 – 31 जुलाई 2013) | राव उन्नीस सौ चालीस से इकतीस जुलाई दो हज़ार तेरह
2003-वर्तमान | दो हज़ार तीन से वर्तमान
15 मार्च - 20 अप्रैल | पंद्रह मार्च से बीस अप्रैल
09 जुलाई | नौ जुलाई
0-5 वर्ष | शून्य से पाँच वर्ष
1-3 से हार | एक तीन से हार
~10 लोग | लगभग दस लोग
>50% | पचास प्रतिशत से अधिक
<5% | पाँच प्रतिशत से कम
₹50/किलो | पचास रुपये प्रति किलो
₹1 का सिक्का | एक रुपये का सिक्का
200 1/2 | दो सौ सही एक बटा दो
26 /11 | छब्बीस ग्यारह
0 (80) 26411128 | शून्य आठ शून्य दो छह चार एक एक एक दो आठ
1374-309988 | एक तीन सात चार तीन शून्य नौ नौ आठ आठ
आखिरी अंक 1234 | आखिरी अंक एक दो तीन चार
खाता नं. 12345678 | खाता नंबर एक दो तीन चार पाँच छह सात आठ
ओटीपी 4582 | ओटीपी चार पाँच आठ दो
हेल्पलाइन 1091 | हेल्पलाइन एक शून्य नौ एक
112 पर कॉल करें | एक एक दो पर कॉल करें
फ़ोन 500 रुपये का | फ़ोन पाँच सौ रुपये का
गाड़ी संख्या 12560 | गाड़ी संख्या एक दो पाँच छह शून्य
दि. 5/6/2019 | दिनांक पाँच जून दो हज़ार उन्नीस
सन 712 ई. | सन सात सौ बारह ईस्वी
326 ई.पू. | तीन सौ छब्बीस ईसा पूर्व
5 ली. पानी | पाँच लीटर पानी
२९ कि . मी . दूर | उनतीस किलोमीटर दूर
−5 | माइनस पाँच
घटकर -1.61 | घटकर माइनस एक दशमलव छह एक
₩500 | पाँच सौ वॉन
1200 sq ft | एक हज़ार दो सौ वर्ग फुट
30 min | तीस मिनट
1920 और 30 के दशक | उन्नीस सौ बीस और तीस के दशक
3½ साल | साढ़े तीन साल
"""
CASES = [tuple(part.strip() for part in line.split(" | ")) for line in SAID.strip().splitlines()]

# More than one reading, or none: the line has to be rejected.
UNSAID = """
4:3 | 5.2.1 | 11/2 | 22/7 | 36-24-36 | 2+2=4 | 5×3 | 5 > 3 | 2^3 | 5*3 | 10 # 5 | #1 | @5 | -5 | .5 | 5/6/19 | 31/12/99
32/01/2019 | 25:61 | 1,00,00 | इड०४ | १ ९०७ | 1 9वें | 192.168.1.1 | ₹ | % | 5'6 | 12/0 | 5 & 6 | ٣ | 5² | 25/13/2019
30/02/2020 | 10:99 बजे | 2000-01 | 1999-00 | 250/7 | 1:1
बाइबल 3:16 में | गीता 2:47 का श्लोक | 9:58 सेकंड | >50 वर्ष | < 5 | 11-2024 | 2024-11 | 2/3 दिन | 5/6 को | 3/8 बजे | 5/12 को
11 / 2 मील | 10-12वीं | 10:75
10-12वीं कक्षा | १ , १०० सीढ़ियाँ | घटकर - 1.61 तक | 5:75 मिनट | >₹500 | 30 से. तक | 15 मि. में | 5 in
"""
REJECTED = [text.strip() for text in re.split(r"[|\n]", UNSAID.strip())]


VERBALIZE = TextPolicy(numbers="verbalize")


def say(text: str) -> str:
    return normalize_text(text, VERBALIZE)


def test_the_table_is_long_enough():
    assert len(CASES) == len({written for written, _ in CASES}) >= 150


@pytest.mark.parametrize(("written", "said"), CASES)
def test_said(written: str, said: str):
    assert say(written) == normalize_text(said)
    assert judge(say(written), policy=VERBALIZE) is None and not set(say(written)) - set(load_alphabet())


@pytest.mark.parametrize("written", REJECTED)
def test_numbers_with_several_readings_are_rejected(written: str):
    fault = judge(say(written), policy=VERBALIZE)
    assert fault and fault.reason in ("numbers", "outside_alphabet", "abbreviation", "latin") and fault.offending


def test_cardinals_to_ninety_nine():
    assert [say_cardinal(value) for value in range(100)] == TO_NINETY_NINE


def compose(value: int) -> str:
    """The reference: scales from the largest down, below a hundred from the list."""
    words = []
    for scale, name in (
        (10**11, "खरब"),
        (10**9, "अरब"),
        (10**7, "करोड़"),
        (10**5, "लाख"),
        (1000, "हज़ार"),
        (100, "सौ"),
    ):
        count, value = divmod(value, scale)
        words += [TO_NINETY_NINE[count], name] if count else []
    return " ".join([*words, TO_NINETY_NINE[value]] if value or not words else words)


@given(st.integers(0, MAX_CARDINAL) | st.integers(0, 100_000))
@settings(max_examples=500, deadline=None)
def test_cardinals_of_any_size(value: int):
    assert say_cardinal(value) == compose(value)
    with pytest.raises(ValueError, match="expected 0"):
        say_cardinal(MAX_CARDINAL + 1 + value)


def test_cardinals_agree_with_the_grammars():
    generator = random.Random(0)
    for value in [*range(0, 100, 7), *(generator.randrange(10**size) for size in range(3, 12) for _ in range(3))]:
        assert grammars.say_span(str(value)) == say_cardinal(value)


def test_years_agree_with_the_grammars():
    for year in (1100, 1526, 1857, 1900, 1905, 1947, 1999, 2000, 2019, 2024):
        assert grammars.say_span(f"सन् {year}") == f"सन् {say_year(year)}"


@given(st.text(st.sampled_from("0123456789०१२५९,.:/-–+₹%° कमवीं½")))
@settings(max_examples=1000, deadline=None)
def test_said_once_or_rejected(text: str):
    once = say(text)
    if not judge(once, policy=VERBALIZE):
        assert say(once) == once
        assert not set(once) - set(load_alphabet())


@given(st.text(st.sampled_from("अआकखमरवाीोंँ़् ।,!?-")))
@settings(max_examples=500, deadline=None)
def test_text_without_numbers_is_left_alone(text: str):
    assert say(text) == normalize_text(text, TextPolicy())
    for _, rule in NUMBER_RULES:
        assert rule(text) == text


def test_digits_one_by_one():
    assert say_digits("1०-9") == "एक शून्य नौ"


def test_missing_grammars_are_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grammars.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"numbers=verbalize: expected nemo_text_processing.*pip install"):
        grammars.check_grammars()


FAKE_BUILD = """
import sys, time
from pathlib import Path
from data_prep.text import grammars

def make(folder):
    if not (folder / grammars.ARCHIVES[-1]).exists():
        with open("{log}", "a") as log:
            print("build", file=log)
        for name in grammars.ARCHIVES:
            (folder / name).write_text("far")
            time.sleep(0.2)

grammars._make_normalizer = make
grammars._load_normalizer()
"""


def test_many_processes_build_the_grammars_once(tmp_path: Path):
    code = FAKE_BUILD.format(log=tmp_path / "log")
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": ""}
    arguments = {"env": environment, "cwd": ROOT, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", code], **arguments) for _ in range(4)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert (tmp_path / "log").read_text() == "build\n"
    assert sum("building the Hindi number grammars" in text for text in said) == 1
    folder = next((tmp_path / "cache/hindi-xlsr-nemo").glob("grammars-*[0-9]"))
    assert sorted(path.name for path in folder.iterdir()) == sorted(grammars.ARCHIVES)
    assert not list(folder.parent.glob(".*"))


def test_a_cache_without_write_access_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match="set XDG_CACHE_HOME to a writable folder"):
        grammars.load_built(grammars.find_grammar_cache(), grammars.ARCHIVES, print)
