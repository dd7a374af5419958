"""The model card against the hub's own parser."""

import json

import pytest
from huggingface_hub import ModelCard

from nemo_models.export.model_card import choose_system, make_model_card, read_report

LAYERS = [
    {"name": "raw", "wer": 0.2141, "errors": 2141, "words": 10000, "forgiven": 0, "interval": [0.2, 0.23]},
    {"name": "compounds", "wer": 0.1724, "errors": 1724, "words": 10000, "forgiven": 106, "interval": [0.16, 0.18]},
]
REPORT = {
    "test_set": {"utterances": 3000, "words": 10000, "hours": 1.5, "speakers": 12},
    "settings": {"drawn": "speakers", "replicates": 10000, "seed": 0},
    "systems": [
        {
            "name": "model",
            "wer": 0.2141,
            "cer": 0.09,
            "layers": LAYERS,
            "analysis": {"confidence": {"words": 9000, "ece": 0.031, "auc": 0.88, "bins": []}},
        }
    ],
}
ABOUT = {
    "language": "hi",
    "license": "cc-by-4.0",
    "base_model": "facebook/wav2vec2-large-xlsr-53",
    "datasets": ["Shrutilipi"],
    "hours": 100,
}


def test_the_hubs_parser_reads_the_card_back(tmp_path):
    card = make_model_card({"sample_rate": 16000, "model_card": ABOUT}, "model", REPORT)
    (tmp_path / "README.md").write_text(str(card), encoding="utf-8")
    data = ModelCard.load(tmp_path / "README.md").data
    assert (data.language, data.license, data.base_model) == ("hi", "cc-by-4.0", "facebook/wav2vec2-large-xlsr-53")
    assert (data.library_name, data.pipeline_tag) == ("nemo", "automatic-speech-recognition")
    results = {result.metric_name: result.metric_value for result in data.eval_results}
    assert results == {"WER, raw": 21.41, "WER, words joined or split": 17.24, "CER, after normalising": 9.0}


def test_the_card_tells_what_a_reader_needs():
    text = str(make_model_card({"model_card": ABOUT}, "model", REPORT))
    for part in (
        "100 hours of Shrutilipi",
        "| raw | 21.41 | 20.00 to 23.00 | 0 |",
        "calibration error is 0.031",
        "AUC",
    ):
        assert part in text
    for usage in ("transcribe_speech.py", "ASRModel.restore_from", "transformers import pipeline"):
        assert usage in text
    assert "## Limits" in text


def test_what_is_not_recorded_is_said():
    text = str(make_model_card({}, "model", REPORT))
    assert "Base model: not recorded" in text
    assert "an amount that the model does not record" in text


def test_an_unknown_field_is_refused():
    with pytest.raises(ValueError, match=r"model_card.licence: expected one of name, language, license"):
        make_model_card({"model_card": {"licence": "x"}}, "model", REPORT)


def test_several_systems_need_the_models_name():
    report = {"systems": [{"name": "a"}, {"name": "b"}]}
    assert choose_system(report, "b") == {"name": "b"}
    with pytest.raises(ValueError, match="report: found systems a, b, expected model"):
        choose_system(report, "model")


@pytest.mark.parametrize("text", ["[]", "{}", '{"systems": []}', "no json"])
def test_another_file_is_no_report(tmp_path, text):
    path = tmp_path / "report.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"expected report.json of evaluate.py"):
        read_report(path)
    path.write_text(json.dumps(REPORT), encoding="utf-8")
    assert read_report(path) == REPORT
