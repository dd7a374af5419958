"""Looking up a language: by code, by path, and the errors of a wrong code or file."""

from pathlib import Path

import pytest

from data_prep.languages import language
from data_prep.languages.language import load_language


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("tamil", r"language=tamil: expected one of .*; did you mean ta \(Tamil\)\?"),
        ("oriya", r"did you mean or \(Odia\)\?|or give the path"),
        ("malayalm", r"did you mean ml \(Malayalam\)\?"),
        ("hin", r"did you mean hi \(Hindi\)\?"),
        ("kokk", r"did you mean kok \(Konkani\)\?"),
        ("ks", r"language=ks: expected a language with a checked alphabet; Kashmiri has none: CLDR"),
    ],
)
def test_an_unknown_or_refused_language_is_one_clear_line(asked: str, message: str):
    with pytest.raises(ValueError, match=message) as error:
        load_language(asked)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a list", "found list, expected keys and values"),
        ("code: xx\ncolour: blue", "found the key colour"),
        ("code: xx", "found no key name, expected one"),
        ("{", "found no YAML"),
        ("code: xx\nname: X\nscripts: [LATIN]\ndirection: up\nsources: [me]", "found direction up"),
        (
            "code: xx\nname: X\nscripts: [LATIN]\ndirection: ltr\nsources: [me]\nalphabet: |\n  U+0041 LATIN B",
            "found 'LATIN B', expected U\\+0041 LATIN CAPITAL LETTER A",
        ),
        ("code: xx\nname: X\nscripts: [LATIN]\ndirection: ltr\nsources: [me]\nreplace: {a: b}", "expected code points"),
    ],
)
def test_a_wrong_language_file_is_refused_with_its_place(tmp_path: Path, content: str, message: str):
    path = tmp_path / "xx.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        load_language(str(path))
    assert str(error.value).startswith(str(path))


def test_a_missing_language_file_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"language=.*none\.yaml: found no file"):
        load_language(str(tmp_path / "none.yaml"))


def test_a_code_is_looked_up_in_the_folder_once(monkeypatch):
    # judge() asks for the language of every text; a look into the folder each time halved its speed
    load_language("hi")
    monkeypatch.setattr(language, "list_languages", lambda: pytest.fail("the folder was read again"))
    assert load_language("hi").code == "hi"
