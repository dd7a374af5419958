"""Numbers and abbreviations in either form, and those that are not the same."""

import pytest

from nemo_models.evaluation.number_values import find_equal_spans, number_key
from nemo_models.evaluation.spelling import spelling_key

SAME = """
25|पच्चीस
२५|पच्चीस
1,25,000|एक लाख पच्चीस हज़ार
82,24,633|बयासी लाख चौबीस हज़ार छह सौ तैंतीस
2,500,000|पच्चीस लाख
25 लाख|पच्चीस लाख
2.5 लाख|ढाई लाख
3500|साढ़े तीन हज़ार
1,75,000|पौने दो लाख
150|डेढ़ सौ
125|सवा सौ
3.5|तीन दशमलव पाँच
1947|उन्नीस सौ सैंतालीस
1947|एक हज़ार नौ सौ सैंतालीस
2019|दो हज़ार उन्नीस
98765|नौ आठ सात छः पाँच
007|शून्य शून्य सात
₹500|पाँच सौ रुपये
500 रुपए|पाँच सौ रुपये
50%|पचास प्रतिशत
50 %|पचास प्रतिशत
5 किमी|पाँच किलोमीटर
5वां|पाँचवां
21वीं|इक्कीसवीं
1ली|पहली
101वें|एक सौ एकवें
10:30|साढ़े दस
10:20|दस बजकर बीस मिनट
25/05/2019|पच्चीस मई दो हज़ार उन्नीस
₹500|500 रु
50%|50 फ़ीसदी
1 रुपया|₹1
डॉ.|डॉक्टर
कि.मी.|किलोमीटर
BBC|बीबीसी
बी बी सी|बीबीसी
बी.बी.सी.|बीबीसी
""".strip().splitlines()
OTHER = """
25|छब्बीस
125|दो सौ पच्चीस
1947|उन्नीस सौ सैंतीस
2.5 लाख|पच्चीस लाख
5वां|पाँचवीं
10:30|साढ़े नौ
50%|पचास
₹500|पाँच सौ
एक सौ पच्चीस|एक सौ छब्बीस
के जी|केजी
5 रुपये|5 रुपया
50 प्रतिशत|पचास फ़ीसदी
पच्चीस|पच्चीस
""".strip().splitlines()


def covers(reference, hypothesis):
    ones, others = reference.split(), hypothesis.split()
    return (0, len(ones), 0, len(others)) in find_equal_spans(ones, others)


@pytest.mark.parametrize("line", SAME)
def test_both_forms_say_the_same(line):
    one, other = line.split("|")
    assert covers(one, other)
    assert covers(other, one)


@pytest.mark.parametrize("line", OTHER)
def test_other_numbers_do_not(line):
    one, other = line.split("|")
    assert not covers(one, other)
    assert not covers(other, one)


def test_spellings_of_number_words_share_a_key():
    for one, other in (("उन्यासी", "उनासी"), ("छः", "छह"), ("पाँच", "पांच"), ("अट्ठारह", "अठारह")):
        assert number_key(spelling_key(one)) == number_key(spelling_key(other))
    assert number_key(spelling_key("सात")) != number_key(spelling_key("साठ"))
    assert number_key("किताब") == "किताब"
