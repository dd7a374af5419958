"""Text that nobody wrote for this project: CLDR's names of languages, places, scripts and currencies in each language.

Babel carries them. The normaliser has to be idempotent on them, and what is refused has to have one of few reasons.
"""

from collections import Counter

import pytest

from data_prep.languages.language import find_refusal, list_languages
from data_prep.text.normalizer import normalize_text
from data_prep.text.policy import TextPolicy
from data_prep.text.verdict import judge

babel = pytest.importorskip("babel", reason="babel is not installed")
LANGUAGES = [code for code in list_languages() if not find_refusal(code)]
LOCALES = {"pa": "pa_Guru", "sd": "sd_Deva"}
LARGEST_SHARE = {"sa": 0.02, "sd": 0.12}
"""Of names outside the alphabet, for the languages that have few names: Sindhi's implosives are written there with a
bar below another letter, which is refused, and a Sanskrit name has a vowel of the south."""


def read_names(code: str) -> list[str]:
    """List CLDR's names in a language, without the dates and signs of old currencies."""
    locale = babel.Locale.parse(LOCALES.get(code, code))
    tables = (locale.languages, locale.territories, locale.scripts, locale.currencies)
    return sorted({name for table in tables for name in table.values()})


@pytest.mark.slow
@pytest.mark.parametrize("code", LANGUAGES)
def test_names_are_written_in_one_way_or_refused_for_a_reason(code: str):
    policy, names, reasons = TextPolicy(language=code), read_names(code), Counter()
    assert len(names) >= 50
    for name in names:
        text = normalize_text(name, policy)
        assert normalize_text(text, policy) == text, name
        if fault := judge(text, None, policy):
            reasons[fault.reason] += 1
            assert fault.offending
    assert set(reasons) <= {"latin", "numbers", "annotation", "abbreviation", "outside_alphabet"}
    assert reasons["outside_alphabet"] <= LARGEST_SHARE.get(code, 0.006) * len(names)
    assert reasons.total() <= 0.12 * len(names)
