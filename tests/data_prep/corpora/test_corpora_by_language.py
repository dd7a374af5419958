"""Corpora whose folders are named by language are read for each language that has them."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest

from data_prep.corpora import CORPORA, get_reader
from data_prep.corpora.rows import MalformedRow
from data_prep.languages.language import find_refusal, list_languages, load_language
from layout_files import TEXTS, write_lines, write_tone
from layouts import LAYOUTS, make_indictts, make_openslr_indic, make_vaani

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


def test_mucs_reads_microsofts_folders_for_its_other_three_languages(tmp_path: Path):
    for part, name, text in (("Train", "001990001", TEXTS[0]), ("Test", "002990001", TEXTS[1])):
        write_tone(tmp_path / f"ta-in-{part}/Audios/{name}.wav", text)
        write_lines(tmp_path / f"ta-in-{part}/transcription.txt", f"{name}\t{text}")
    write_lines(tmp_path / "ta-in-Measurement/transcription.txt", f"003990001\t{TEXTS[2]}")
    rows = list(get_reader("mucs", language="ta")(tmp_path))
    found = [(row.text, row.speaker, row.split) for row in rows]
    assert found == [(TEXTS[0], "unknown", "train"), (TEXTS[1], "unknown", "test")]
    assert all(Path(row.audio).is_file() for row in rows)
    assert list(get_reader("mucs", language="ta")(tmp_path / "ta-in-Test")) == [
        replace(rows[1], path="test/Audios/002990001.wav")
    ]
    with pytest.raises(FileNotFoundError, match="te-in-Train/ and Audios/"):
        get_reader("mucs", language="te")(tmp_path)


def test_indictts_reads_the_folders_of_the_language(tmp_path: Path):
    make_indictts(tmp_path)
    for speaker in ("tamil_female_mono", "IndicTTS_Phase3_Tamil_fem_Speaker1_mono", "my_voice"):
        write_tone(tmp_path / speaker / "wav/a.wav", TEXTS[0])
        write_lines(tmp_path / speaker / "txt.done.data", f'( a " {TEXTS[0]} " )')
    speakers = {
        code: {row.speaker for row in get_reader("indictts", language=code)(tmp_path)} for code in ("hi", "ta", "en")
    }
    assert speakers == {
        "hi": {"hindi_female_mono", "hindi_male_mono", "my_voice"},
        "ta": {"tamil_female_mono", "IndicTTS_Phase3_Tamil_fem_Speaker1_mono", "my_voice"},
        "en": {"hindi_male_english", "my_voice"},
    }


def test_two_archives_of_openslr_in_one_folder_lose_no_recording_silently(tmp_path: Path):
    make_openslr_indic(tmp_path)
    for index in tmp_path.glob("line_index_*.tsv"):
        index.unlink()
    for file in (tmp_path / "ml_in_male").iterdir():  # its line_index.tsv replaces the other
        file.replace(tmp_path / "ml_in_female" / file.name)
    rows = list(CORPORA["openslr_indic"](tmp_path))
    assert [row.text for row in rows if not isinstance(row, MalformedRow)] == [TEXTS[2]]
    lost = [row for row in rows if isinstance(row, MalformedRow)]
    assert len(lost) == 2 and all("unpack each archive into a separate folder" in row.detail for row in lost)


def test_vaani_counts_what_is_not_transcribed_or_in_another_language(tmp_path: Path):
    make_vaani(tmp_path / "hub")
    file = tmp_path / "hub/audio/Bihar/Gaya/train-00000-of-00001.parquet"
    rows = pyarrow.parquet.read_table(file).to_pylist()
    rows[0] |= {"isTranscriptionAvailable": "No", "transcript": None}
    rows[1] |= {"language": "Magahi"}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    first, second, *others = get_reader("vaani", language="hi")(tmp_path / "hub")
    assert (first.reason, first.detail) == ("excluded_by_corpus", "isTranscriptionAvailable is No")
    assert (second.reason, second.detail) == ("excluded_by_corpus", "language is Magahi, not Hindi")
    assert [row.text for row in others] == list(TEXTS[2:4])


def test_vaani_by_language_has_official_splits(tmp_path: Path):
    make_vaani(tmp_path / "hub")
    (tmp_path / "audio/Hindi").mkdir(parents=True)
    for name, place in (("train", "Bihar/Gaya"), ("validation", "UttarPradesh/Etah")):
        (tmp_path / f"hub/audio/{place}/train-00000-of-00001.parquet").rename(
            tmp_path / f"audio/Hindi/{name}-00000-of-00001.parquet"
        )
    rows = list(get_reader("vaani", language="hi")(tmp_path))
    assert [row.split for row in rows] == ["train", "train", "dev", "dev"]
