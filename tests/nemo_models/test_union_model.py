"""A model of several languages knows which labels belong to which, wherever it goes."""

import json
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from data_prep.languages.union import list_labels
from data_prep.text.alphabet import load_alphabet
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.checkpoints.model_building import model_config, model_from_checkpoint
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.export.huggingface import write_huggingface
from nemo_models.export.onnx import write_onnx
from nemo_models.files.nemo_file import read_nemo_config
from nemo_models.training.row_checks import row_checks
from nemo_models.transcription.audio_reader import AudioError
from nemo_models.transcription.inputs import AudioInput
from nemo_models.transcription.languages import InputLanguages
from topology import architecture

LANGUAGES = "hi,mr,ta"


def build_model(language: str = LANGUAGES) -> XLSRCTCModel:
    torch.manual_seed(0)
    config = model_config(architecture(), load_alphabet(language=language), True, 1e-5, language=language)
    return XLSRCTCModel(cfg=config).eval()


def languages_of(model: XLSRCTCModel) -> dict:
    return OmegaConf.to_container(model.cfg.languages)


def test_the_file_of_a_model_and_a_restored_model_know_the_languages(tmp_path: Path):
    build_model().save_to(str(tmp_path / "union.nemo"))
    config = read_nemo_config(tmp_path / "union.nemo")
    assert config["languages"] == list_labels(LANGUAGES) and config["normalizer_fingerprint"].startswith("hi,mr,ta-1-")
    assert languages_of(XLSRCTCModel.restore_from(str(tmp_path / "union.nemo"))) == config["languages"]
    # imported again with its head
    again = model_from_checkpoint(load_checkpoint(str(tmp_path / "union.nemo")))
    assert languages_of(again) == config["languages"]
    # a new head over other labels
    again.change_vocabulary(load_alphabet())
    assert "languages" not in again.cfg


def test_a_model_of_one_language_has_no_such_key(tmp_path: Path, tiny_model: XLSRCTCModel):
    tiny_model.save_to(str(tmp_path / "hi.nemo"))
    assert "languages" not in read_nemo_config(tmp_path / "hi.nemo")
    (tmp_path / "hf").mkdir()
    write_huggingface(tiny_model, tmp_path / "hf")
    assert not {"languages", "normalizer_fingerprint"} & set(json.loads((tmp_path / "hf/config.json").read_text()))


def test_hugging_faces_folder_carries_the_languages_there_and_back(tmp_path: Path):
    model = build_model()
    (tmp_path / "hf").mkdir()
    write_huggingface(model, tmp_path / "hf")
    back = model_from_checkpoint(load_checkpoint(str(tmp_path / "hf")))
    assert languages_of(back) == languages_of(model)
    assert back.cfg.normalizer_fingerprint == model.cfg.normalizer_fingerprint
    assert list(back.decoder.vocabulary) == list(model.decoder.vocabulary)


@pytest.mark.slow
def test_onnx_carries_the_languages_in_its_metadata(tmp_path: Path):
    import onnx

    write_onnx(build_model(), tmp_path)
    assert json.loads((tmp_path / "metadata.json").read_text(encoding="utf-8"))["languages"] == list_labels(LANGUAGES)
    inside = {entry.key: entry.value for entry in onnx.load(str(tmp_path / "model.onnx")).metadata_props}
    assert json.loads(inside["languages"]) == list_labels(LANGUAGES)


def problems_of(row: dict, language: str = LANGUAGES) -> list[str]:
    checks = row_checks(OmegaConf.create({}), frozenset(load_alphabet(language=language)), lambda n: n, language)
    return [str(problem) for problem in checks.check({"audio_filepath": "a.wav", "duration": 1.0, **row})]


def test_each_row_is_judged_by_its_own_language():
    assert problems_of({"text": "कमल"}) == problems_of({"text": "कमळ", "lang": "mr"}) == []
    assert problems_of({"text": "தமிழ்", "lang": "ta"}) == []
    (problem,) = problems_of({"text": "தமிழ்"})  # a row without `lang` is Hindi
    assert "outside_alphabet" in problem and "TAMIL LETTER TA" in problem and "lang is hi" in problem
    (problem,) = problems_of({"text": "कमळ", "lang": "ta"})
    assert "outside_alphabet" in problem and "DEVANAGARI LETTER KA" in problem and "lang is ta" in problem
    (problem,) = problems_of({"text": "কমল", "lang": "bn"})
    assert "other_language" in problem and "lang is bn, language is hi,mr,ta" in problem
    (problem,) = problems_of({"text": "தமிழ்"}, "mr,ta")  # no row can be Hindi there
    assert "lang is hi, language is mr,ta" in problem


def test_rows_of_hindi_and_of_english_belong_to_hindi_with_english_words():
    for row in ({"text": "कल OFFICE में", "lang": "hi+en"}, {"text": "कल"}, {"text": "OFFICE", "lang": "en"}):
        assert problems_of(row, "hi+en,ta") == []
    assert problems_of({"text": "कल OFFICE", "lang": "hi"}, "hi+en,ta") == []  # by the rules of its member
    (problem,) = problems_of({"text": "कल OFFICE", "lang": "hi"}, "hi,hi+en")  # the language itself comes first
    assert "latin" in problem and "lang is hi" in problem
    (problem,) = problems_of({"text": "कमळ", "lang": "mr"}, "hi+en,ta")
    assert "lang is mr, language is hi+en,ta" in problem


def test_an_input_of_hindi_or_of_english_is_written_as_hindi_with_english_words():
    model = build_model("hi+en,ta")
    languages = InputLanguages(model, None)
    for code, chosen in [("hi", "hi+en"), ("en", "hi+en"), ("ta", "ta"), (None, None)]:
        audio = AudioInput(Path("a.wav"), fields={"lang": code} if code else {})
        languages.check(audio)
        assert languages.choose(audio) == chosen
        assert code is None or InputLanguages(model, code).choose(AudioInput(Path("a.wav"))) == chosen
    with pytest.raises(AudioError, match=r"language: a\.wav: found lang mr, expected one of hi\+en, ta, the model's"):
        languages.check(AudioInput(Path("a.wav"), fields={"lang": "mr"}))
