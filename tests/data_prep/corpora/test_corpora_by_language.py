"""Corpora whose folders are named by language are read for each language that has them."""

from pathlib import Path

import pytest

from data_prep.corpora import CORPORA, get_reader
from data_prep.languages.language import find_refusal, list_languages, load_language
from layouts import LAYOUTS

BY_LANGUAGE = {"common_voice": "hi", "fleurs": "hi_in", "indicvoices": "Hindi", "kathbath": "hindi", "mucs": "Hindi",
               "shrutilipi": "hindi"}  # fmt: skip
LANGUAGES = [code for code in list_languages() if not find_refusal(code)]


def rename(root: Path, old: str, new: str) -> None:
    """Give the folder of a language another name."""
    for path in sorted(root.rglob(old), key=lambda path: -len(path.parts)):
        if path.is_dir():
            path.rename(path.with_name(new))


@pytest.mark.parametrize("corpus", BY_LANGUAGE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_folder_of_the_language_is_read(tmp_path: Path, corpus: str, language: str):
    name = load_language(language).corpora.get(corpus)
    if name is None:
        with pytest.raises(ValueError, match=rf"language={language}: expected a language that corpus={corpus} has"):
            get_reader(corpus, language=language)
        return
    if language not in ("hi", "mr", "ta", "or"):
        assert callable(get_reader(corpus, language=language))
        return  # one call for each is enough; the folders of a few are read
    LAYOUTS[corpus](tmp_path)
    expected = [(row.text, row.speaker, row.split) for row in CORPORA[corpus](tmp_path)]
    rename(tmp_path, BY_LANGUAGE[corpus], name)
    rows = list(get_reader(corpus, language=language)(tmp_path))
    assert [(row.text, row.speaker, row.split) for row in rows] == expected


def test_every_corpus_that_a_language_names_exists():
    for code in LANGUAGES:
        assert set(load_language(code).corpora) <= set(CORPORA)
