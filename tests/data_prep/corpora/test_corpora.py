"""Every corpus in its native layout, from its own folder to manifests."""

import inspect
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_prep.corpora import CORPORA, Utterance
from data_prep.manifest import read_manifest, resolve_audio_path
from data_prep.text.normalizer import normalize_text
from layout_files import SECONDS, TEXTS
from layouts import LAYOUTS, make_common_voice, make_fleurs
from preparing import prepare_corpus


def test_every_corpus_has_a_layout_here_and_says_what_it_is():
    assert LAYOUTS.keys() == CORPORA.keys()
    for name, reader in CORPORA.items():
        description = inspect.getmodule(reader).__doc__
        assert re.search(r"Licence:\s", description) and "`corpus" in description, name
        assert "Layout" in description or "Columns, in any order" in description, name


@pytest.mark.parametrize("corpus", LAYOUTS)
def test_rows_are_read_as_they_are(tmp_path: Path, corpus: str):
    expected = LAYOUTS[corpus](tmp_path / "corpus")
    rows = list(CORPORA[corpus](tmp_path / "corpus"))
    assert all(isinstance(row, Utterance) for row in rows), rows
    found = [(normalize_text(row.text), row.speaker, row.split, row.subset) for row in rows]
    assert sorted(found, key=str) == sorted(
        ((row.text, row.speaker, row.split, row.subset) for row in expected), key=str
    )
    assert len({row.key for row in rows}) == len(rows)
    for row in rows:
        assert (
            Path(row.audio).is_absolute() and Path(row.audio).is_file() and Path(row.file).is_file() and row.line >= 1
        )
    assert list(CORPORA[corpus](tmp_path / "corpus")) == rows  # the pipeline reads twice


@pytest.mark.parametrize("corpus", LAYOUTS)
def test_every_utterance_gets_its_own_audio(tmp_path: Path, corpus: str):
    expected = {row.text: row for row in LAYOUTS[corpus](tmp_path / "corpus")}
    options = {"split_by": "utterance", "num_workers": 1, "shard_size": 2, "splits": {"train": 1.0}}
    report = prepare_corpus(corpus, tmp_path / "corpus", tmp_path / "out", **options)
    assert (report["in"], report["rejected"]) == (len(expected), 0), (tmp_path / "out/rejected.jsonl").read_text()
    for split in ("train", "dev", "test"):
        manifest = tmp_path / f"out/{split}_manifest.json"
        for row in read_manifest(manifest) if manifest.exists() else []:
            utterance = expected.pop(row["text"])
            assert split == (utterance.split or "train")
            assert (row["speaker"], row.get("subset")) == (utterance.speaker, utterance.subset)
            samples, rate = soundfile.read(resolve_audio_path(row["audio_filepath"], manifest))
            # MP3 and AAC add up to four coder frames of 1152 samples at 8 kHz or more.
            lossy = corpus in ("common_voice", "gramvaani", "huggingface", "kathbath")
            assert rate == 16000 and SECONDS <= row["duration"] + 1e-9 <= SECONDS + (0.6 if lossy else 1e-3)
            peak = np.abs(np.fft.rfft(samples, 16000 * 4)).argmax() / 4
            assert peak == pytest.approx(utterance.pitch, abs=2), row
    assert not expected


@pytest.mark.parametrize("corpus", [name for name in LAYOUTS if name not in ("tsv", "csv")])
def test_another_layout_is_refused_with_what_was_expected_and_found(tmp_path: Path, corpus: str):
    (tmp_path / "strange.doc").touch()
    (tmp_path / "Marathi").mkdir()
    with pytest.raises(FileNotFoundError, match=rf"corpus={corpus}; expected .+; found Marathi/, strange\.doc$"):
        CORPORA[corpus](tmp_path)
    with pytest.raises(FileNotFoundError, match=r"corpus_dir=.*absent: no such folder"):
        CORPORA[corpus](tmp_path / "absent")


@pytest.mark.parametrize(
    ("corpus", "place", "count"),
    [
        ("common_voice", "cv-corpus-17.0-2024-03-15/hi", 4),
        ("common_voice", "cv-corpus-17.0-2024-03-15", 4),
        ("fleurs", "hi_in", 3),
        ("mucs", "Hindi", 4),
        ("mucs", "Hindi/test", 2),
        ("shrutilipi", "hindi", 3),
        ("kathbath", "kb_data_clean_m4a", 4),
        ("kathbath", "kb_data_noisy_m4a/hindi", 1),
        ("kathbath", "kb_data_clean_m4a/hindi/test_unknown", 1),
        ("indicvoices", "Hindi/v1", 6),
        ("indicvoices", "Hindi/v1/valid", 3),
        ("indictts", "hindi_male_mono", 1),
        ("gramvaani", "GV_Dev_5h", 1),
        ("librispeech", "LibriSpeech/dev-clean", 1),
        ("an4", "an4", 3),
        ("openslr_indic", "ml_in_male", 1),
        ("huggingface", "data", 6),
        ("vaani", "audio", 4),
        ("vaani", "audio/Bihar", 2),
        ("kaldi", "train", 2),
        ("nemo", "valid_manifest.json", 3),
    ],
)
def test_a_part_of_a_corpus_can_be_read(tmp_path: Path, corpus: str, place: str, count: int):
    root = tmp_path / "corpus"
    LAYOUTS[corpus](root)
    rows = list(CORPORA[corpus](root / place))
    assert len(rows) == count and all(isinstance(row, Utterance) and Path(row.audio).is_file() for row in rows)
    if corpus == "kathbath" and count == 1:
        assert rows[0].subset in ("test_known_noisy", "test_unknown")


def test_common_voice_agrees_with_lhotse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from lhotse.recipes import commonvoice

    make_common_voice(tmp_path)
    folder = tmp_path / "cv-corpus-17.0-2024-03-15"
    # lhotse would start processes for what is four clips.
    monkeypatch.setattr(commonvoice, "ProcessPoolExecutor", lambda max_workers, mp_context: ThreadPoolExecutor(1))
    theirs = commonvoice.prepare_commonvoice(folder, tmp_path / "lhotse", languages=["hi"])["hi"]
    for split, manifests in theirs.items():
        found = {(row.text, row.speaker, row.recording_id) for row in manifests["supervisions"]}
        rows = [row for row in CORPORA["common_voice"](folder) if row.split == split]
        assert found == {(row.text, row.speaker, Path(row.path).stem) for row in rows} and found


def test_fleurs_as_lhotse_lays_it_out(tmp_path: Path):
    from lhotse.recipes import fleurs

    make_fleurs(tmp_path / "hub")
    for split in ("train", "dev", "test"):
        (tmp_path / "lhotse/metadata/hi_in").mkdir(parents=True, exist_ok=True)
        (tmp_path / "hub/hi_in" / f"{split}.tsv").rename(tmp_path / f"lhotse/metadata/hi_in/{split}.tsv")
        (tmp_path / "lhotse/hi_in").mkdir(exist_ok=True)
        (tmp_path / "hub/hi_in/audio" / split).rename(tmp_path / "lhotse/hi_in" / split)
    theirs = fleurs.prepare_single_fleurs_language(tmp_path / "lhotse/hi_in", language="hi_in")
    for folder in (tmp_path / "lhotse", tmp_path / "lhotse/hi_in"):
        rows = list(CORPORA["fleurs"](folder))
        for split, manifests in theirs.items():
            found = {(row.custom["raw_text"], row.recording_id) for row in manifests["supervisions"]}
            assert found == {(row.text, Path(row.audio).stem) for row in rows if row.split == split} and found
        assert all(Path(row.audio).is_file() for row in rows)


def test_reading_a_corpus_loads_no_heavy_library():
    """`--help` of the job must stay quick: Parquet's library is loaded by those who read Parquet."""
    import subprocess

    code = (
        "import sys, data_prep.prepare.pipeline; print({'pyarrow', 'pandas', 'lhotse', 'datasets'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
    assert len(set(TEXTS)) == len(TEXTS)
