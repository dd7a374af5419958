import unicodedata
from pathlib import Path

import pytest

from data_prep.text.alphabet import describe_character, find_outside_alphabet, load_alphabet


def test_hindi_alphabet_holds_what_hindi_is_written_with():
    alphabet = load_alphabet()
    assert alphabet[0] == " " and len(alphabet) == len(set(alphabet)) == 65
    assert all(len(character) == 1 for character in alphabet)
    assert set("अआइईउऊऋएऐओऔऑऍ") | set("ँंः़्ािीुूृेैोौॉॅ") <= set(alphabet)
    assert {chr(code) for code in range(0x0915, 0x093A)} - set("ऩऱऴ") <= set(alphabet)
    assert not [character for character in alphabet if unicodedata.category(character)[0] in "NPSC"]


def test_outside_characters_are_named_once_in_order():
    assert find_outside_alphabet("क१a१ ख", load_alphabet()) == [
        "U+0967 DEVANAGARI DIGIT ONE",
        "U+0061 LATIN SMALL LETTER A",
    ]
    assert find_outside_alphabet("कल", load_alphabet()) == []
    assert describe_character("\x00") == "U+0000 <no name>"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("0905 DEVANAGARI LETTER A", "expected .*LETTER A.* or the like"),
        ("U+XYZ WRONG", "expected .*LETTER A.* or the like"),
        ("U+110000 TOO LARGE", "expected .*LETTER A.* or the like"),
        ("U+0905 DEVANAGARI LETTER AA", "expected U\\+0905 DEVANAGARI LETTER A"),
        ("U+0020 SPACE", "twice, expected it once"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, fault: str):
    path = tmp_path / "alphabet.txt"
    path.write_text(f"# comment\nU+0020 SPACE\n\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"alphabet.txt:4: .*{fault}"):
        load_alphabet(path)


def test_an_empty_or_missing_file_is_an_error(tmp_path: Path):
    (tmp_path / "empty.txt").write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(ValueError, match="found no character"):
        load_alphabet(tmp_path / "empty.txt")
    with pytest.raises(FileNotFoundError, match="found no file, expected an alphabet"):
        load_alphabet(tmp_path / "absent.txt")
