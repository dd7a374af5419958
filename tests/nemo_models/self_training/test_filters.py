"""Each filter leaves out what it is for, says what it measured, and keeps the rest."""

import json
import shutil
from pathlib import Path

import pytest

from data_prep.corpora.rows import EXCLUSIONS
from data_prep.manifest import write_jsonl
from data_prep.text.policy import TextPolicy
from nemo_models.self_training.filters import (
    EvaluationLeaks,
    check_agreement,
    check_confidence,
    check_perplexity,
    count_error_rate,
)
from nemo_models.self_training.labels import Label, make_labels
from nemo_models.self_training.settings import CutSettings, FilterSettings
from nemo_models.transcription.inputs import AudioInput

TEXT = "आज मौसम बहुत अच्छा है और कल भी"


def label(text: str = TEXT, confidences: tuple[float, ...] = (), path: str = "a.wav", start_s: float = 0.0) -> Label:
    words = tuple({"word": word, "confidence": value} for word, value in zip(text.split(), confidences, strict=False))
    return Label(AudioInput(Path(path), start_s), 2.0, text, words)


def filters(**changes) -> FilterSettings:
    return FilterSettings(evaluation=[], **changes)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({}, None),
        ({"min_confidence": 0.7, "min_word_confidence": 0.5}, None),
        ({"min_confidence": 0.71}, "mean 0.700"),
        ({"min_word_confidence": 0.6}, "0.500 of 'मौसम'"),
    ],
    ids=["off", "passes", "mean", "word"],
)
def test_confidence(changes: dict, detail: str | None):
    one = label(confidences=(0.9, 0.5))
    found = check_confidence(one, filters(**changes))
    assert found is None if detail is None else found[0] == "low_confidence" and found[1].startswith(detail)
    assert one.measures == pytest.approx({"confidence": 0.7, "lowest_confidence": 0.5})


def test_agreement_with_the_greedy_text_and_with_texts_under_dropout():
    one = label("दो चार")
    assert check_agreement(one, ["दो चार"], "greedy", 0.0) is None
    assert check_agreement(one, ["दो चाय"], "greedy", 0.1) == (
        "greedy_disagrees",
        "CER 0.167, 'दो चाय'; filters.max_greedy_cer is 0.1",
    )
    assert check_agreement(one, ["दो चार", "दो चाय"], "dropout", 0.1) is None  # the mean
    found = check_agreement(one, ["", "दो चाय"], "dropout", 0.1)
    assert found is not None and found[0] == "dropout_disagrees"
    assert one.measures == pytest.approx({"greedy_cer": 1 / 6, "dropout_cer": (1 + 1 / 6) / 2})
    assert [count_error_rate("", ""), count_error_rate("", "x")] == [0, 1]


def test_perplexity():
    one = label()
    assert check_perplexity(one, 8.0, 8.0) is None and check_perplexity(one, None, 8.0) is None
    found = check_perplexity(one, 8.1, 8.0)
    assert found == ("unlikely_text", "8.1 per character, filters.max_perplexity is 8")


def test_recordings_of_evaluation_data_their_parts_and_copies_are_left_out(tmp_path: Path):
    for name, content in {"dev.wav": b"one", "other.wav": b"two"}.items():
        (tmp_path / name).write_bytes(content)
    shutil.copy(tmp_path / "dev.wav", tmp_path / "copy.wav")
    rows = [
        {"audio_filepath": "dev.wav", "offset": 10.0, "duration": 5.0, "text": "नमस्ते"},
        {"audio_filepath": "gone.wav", "duration": 5.0, "text": "नमस्ते"},
    ]
    write_jsonl(tmp_path / "dev.json", rows)
    leaks = EvaluationLeaks([str(tmp_path / "dev.json")], TextPolicy())
    for name, start_s, is_leak in (
        ("dev.wav", 13.0, True),
        ("copy.wav", 8.5, True),
        ("dev.wav", 8.0, False),
        ("dev.wav", 15.0, False),
        ("other.wav", 13.0, False),
        ("missing.wav", 13.0, False),
    ):
        found = leaks.check_recording(label(path=str(tmp_path / name), start_s=start_s))
        assert (found is not None) == is_leak, (name, start_s)
        assert found is None or found == ("evaluation_leak", f"the recording {tmp_path / 'dev.wav'}")


def test_sentences_of_evaluation_data_are_left_out_with_recognition_errors_too(tmp_path: Path):
    write_jsonl(tmp_path / "dev.json", [{"audio_filepath": "a.wav", "duration": 1.0, "text": f"{TEXT}।"}])
    leaks = EvaluationLeaks([str(tmp_path / "dev.json")], TextPolicy())
    texts = (TEXT, TEXT.replace("भी", "भि"), "आज मौसम कैसा है", "कल भी")
    found = leaks.check_texts([label(text) for text in texts])
    assert [one is not None for one in found] == [True, True, False, False]
    assert found[1] == ("evaluation_leak", f"88% of the words are in {tmp_path / 'dev.json'}:1")
    assert EvaluationLeaks([], TextPolicy()).check_texts([label()]) == [None]


def test_without_a_pause_a_piece_is_left_out_and_broken_input_is_kept_for_the_report(tmp_path: Path):
    inputs = [AudioInput(tmp_path / "long.wav"), AudioInput(tmp_path / "bad.wav"), AudioInput(Path(), error="manifest")]
    words = [{"word": "क", "start": at, "end": at + 0.9, "confidence": 1.0} for at in range(10)]
    rows = [{"duration": 10.0, "words": words}, {"error": "unreadable_audio"}, {"error": "manifest"}]
    long, bad, malformed = make_labels(inputs, rows, 5.0, CutSettings(pause_s=0.3))
    assert isinstance(long, Label) and long.excluded is not None and long.excluded[0] == "no_pause"
    assert long.as_row()["excluded"].startswith("no_pause: 10.0 s without a pause of 0.3 s")
    assert isinstance(bad, Label) and bad.text == "" and bad.is_whole
    assert malformed == {"error": "manifest"}
    with pytest.raises(ValueError, match="expected a model over characters"):
        list(make_labels(inputs[:1], [{"duration": 1.0, "pred_text": "x"}], 5.0, CutSettings()))


def test_a_row_has_a_place_only_where_it_is_a_part_of_its_file():
    whole = Label(AudioInput(Path("/a.wav"), fields={"speaker": "s1", "text": "old"}), 2.0, "नया")
    assert whole.as_row() == {"audio_filepath": "/a.wav", "text": "नया", "speaker": "s1"}
    part = Label(AudioInput(Path("/a.wav"), 1.5, channel=1), 2.0, "नया", is_whole=False, measures={"confidence": 0.5})
    row = {"audio_filepath": "/a.wav", "offset": 1.5, "duration": 2.0, "text": "नया", "channel": 1, "confidence": 0.5}
    assert json.loads(json.dumps(part.as_row())) == row


def test_every_reason_of_a_filter_is_one_of_the_reports():
    reasons = {"low_confidence", "greedy_disagrees", "dropout_disagrees", "unlikely_text", "no_pause"}
    assert reasons | {"evaluation_leak"} <= EXCLUSIONS.keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_confidence": 1.2}, "filters.min_confidence=1.2: expected a number, 0 or more, 1 or less, or null"),
        ({"dropout": 0}, "filters.dropout=0: expected a number, above 0"),
        ({"max_perplexity": 0.5}, "filters.max_perplexity=0.5"),
    ],
    ids=["confidence", "dropout", "perplexity"],
)
def test_a_setting_out_of_range_is_one_line(changes: dict, message: str):
    with pytest.raises(ValueError, match=message):
        filters(**changes)
