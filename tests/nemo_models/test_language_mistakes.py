"""What a user gets wrong about languages is one clear line in each job: what was found, and what to set."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import evaluate
from data_prep.languages.characters import describe_character
from data_prep.languages.language import load_language
from data_prep.prepare.validation import check_manifest
from data_prep.text.alphabet import load_alphabet
from data_prep.text.files import format_report, normalize_file
from data_prep.text.policy import TextPolicy
from nemo_models.checkpoints.model_building import model_config
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.language_models.ngram_lm import train_ngram_lm
from nemo_models.training.preflight import check_data_sets
from topology import architecture


@pytest.fixture
def hindi(tmp_path: Path) -> Path:
    """A Hindi text."""
    path = tmp_path / "hindi.txt"
    path.write_text("\n".join(load_language("hi").sentences) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("labels", "language", "message"),
    [
        ("ta", "ta", "language=ta: expected texts in Tamil, found Devanagari; set language=hi or brx or doi"),
        ("ta", "hi", "the labels are Tamil letters, the text is Devanagari; choose the alphabet or model of hi"),
        ("ur", "ur", "language=ur: expected texts in Arabic, found Devanagari; set language=hi"),
    ],
)
def test_a_language_model_of_text_in_another_script(
    tmp_path: Path, hindi: Path, labels: str, language: str, message: str
):
    with pytest.raises(ValueError, match=rf"hindi\.txt: found no usable line \(.*\); {message}"):
        train_ngram_lm(
            [hindi], load_alphabet(language=labels), tmp_path / "lm.nemo", order=2, language=language, num_workers=1
        )
    assert not (tmp_path / "lm.nemo").exists()


def test_an_alphabet_file_of_another_script(tmp_path: Path):
    path = tmp_path / "tamil.txt"
    path.write_text("\n".join(map(describe_character, load_alphabet(language="ta"))), encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"expected letters of Devanagari with language=hi, found Tamil; set language=ta"
    ):
        load_alphabet(path)
    assert load_alphabet(path, "ta") == load_alphabet(language="ta")


def test_a_text_in_another_script_and_one_that_mixes_two(tmp_path: Path, hindi: Path):
    outputs = tmp_path / "out.txt", tmp_path / "rejected.jsonl"
    report = normalize_file(hindi, *outputs, policy=TextPolicy(language="ta"), num_workers=1)
    (note,) = report.notes
    assert note == "language=ta: expected texts in Tamil, found Devanagari in 3 of 3; set language=hi or brx or doi"
    assert f"\n{note}\n" in format_report(report, "ta")
    hindi.write_text("यह hello है\nयह घर है\n", encoding="utf-8")
    (note,) = normalize_file(hindi, *outputs, num_workers=1).notes
    assert note.startswith("language=hi: expected texts in Devanagari, found 1 of 2 that mix it with another script")


def test_a_row_whose_lang_is_not_the_jobs_is_rejected_by_the_check(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(32000), 16000)
    row = {"audio_filepath": "a.wav", "duration": 2.0, "text": "कमल खिला"}
    lines = [json.dumps({**row, **more}, ensure_ascii=False) for more in ({"lang": "mr"}, {"lang": "hi"})]
    (tmp_path / "m.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    report = check_manifest(tmp_path / "m.json", num_workers=1)
    assert report["rejected_by_reason"] == {"other_language": 1}
    report = check_manifest(tmp_path / "m.json", num_workers=1, language="mr")
    assert report["rejected_by_reason"] == {"other_language": 1}


def test_a_text_that_is_not_in_the_language_of_its_lang_ends_a_training_before_it_begins(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.zeros(32000), 16000)
    row = {"audio_filepath": "a.wav", "duration": 2.0, "text": "कमल खिला", "lang": "ta"}
    (tmp_path / "m.json").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    labels = load_alphabet(language="ta")
    cfg = model_config(architecture(), labels, normalize=True, epsilon=1e-5, language="ta")
    cfg.train_ds = {"manifest_filepath": str(tmp_path / "m.json")}
    problems = check_data_sets(cfg, labels, language="ta")
    assert any("outside_alphabet" in problem and "DEVANAGARI LETTER KA" in problem for problem in problems)


def test_a_model_is_scored_in_its_own_language_only(tmp_path: Path):
    torch.manual_seed(0)
    labels = load_alphabet(language="ta")
    model = XLSRCTCModel(cfg=model_config(architecture(), labels, normalize=True, epsilon=1e-5, language="ta"))
    model.save_to(str(tmp_path / "model.nemo"))
    assert evaluate.choose_model_language(None, tmp_path / "model.nemo") == "ta"
    with pytest.raises(ValueError, match=r"language=hi: expected ta, the language of .*model\.nemo"):
        evaluate.choose_model_language("hi", tmp_path / "model.nemo")


def test_several_languages_are_compared_with_the_fold_of_all(tmp_path: Path):
    from data_prep.selection.leak_index import fold_text

    assert fold_text("यहाँ கி চাঁদ", normalized=True, language="hi,ta,bn") == "यहां கி চাদ"
