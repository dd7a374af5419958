import logging
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from nemo_models.training import preflight
from nemo_models.training.preflight import check_data_sets
from nemo_models.training.row_checks import frame_counter
from nemo_models.w2v_bert_features import LogMelFeatures
from nemo_models.xlsr_encoder import XLSREncoder
from preflight_data import LABELS, W2V_BERT, XLSR, config, write_audio, write_corpus, write_manifest
from topology import architecture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_corpus(tmp_path)


def test_frame_counter_equals_the_encoder():
    xlsr, bert = frame_counter(OmegaConf.create(XLSR)), frame_counter(OmegaConf.create(W2V_BERT))
    encoder, features = XLSREncoder(architecture()), LogMelFeatures()
    lengths = torch.tensor([1, 399, 400, 719, 720, 1039, 1040, 8000, 16000, 16079, 16080, 160000])
    _, pairs = features(input_signal=torch.randn(len(lengths), 160000), length=lengths)
    assert [xlsr(n) for n in lengths.tolist()] == encoder.frame_count(lengths).tolist()
    assert [bert(n) for n in lengths.tolist()] == pairs.tolist()
    assert any(xlsr(n) != bert(n) for n in lengths.tolist())  # or one function would do


def test_an_utterance_that_only_one_encoder_can_align_is_refused_for_the_other(folder: Path):
    write_audio(folder / "short.wav", seconds=1040 / 16000)  # three frames of XLSR's, two of Wav2Vec2-BERT's
    train = write_manifest(folder / "short.json", ("short.wav", "काम", 1040 / 16000))
    limits = {"min_duration": 0.01}
    assert check_data_sets(config(train, str(folder / "valid.json"), **limits), LABELS) == []
    problems = check_data_sets(config(train, str(folder / "valid.json"), W2V_BERT, **limits), LABELS)
    assert "e.g. short.wav (2 frames, 3 needed)" in problems[0]


def test_copies_at_another_speed_that_are_left_out_are_a_warning(folder: Path, caplog: pytest.LogCaptureFixture):
    limits = {"perturb_speed": True, "min_duration": 0.5, "max_duration": 1.0}
    rows = [("a.wav", "का", 0.52), ("a.wav", "काम", 0.95), ("a.wav", "काम", 1.0), ("a.wav", "काम", 0.8)]
    train = write_manifest(folder / "t.json", *rows)
    for speed, count in ((False, 0), (True, 2)):
        with caplog.at_level(logging.WARNING, logger=preflight.__name__):
            data = config(train, str(folder / "valid.json"), **{**limits, "perturb_speed": speed})
            assert check_data_sets(data, LABELS) == []
        assert caplog.text.count("_copy_too_") == count
    assert "2 × slow_copy_too_long (its copy at 0.9 times the speed" in caplog.text
    assert "1 × fast_copy_too_short (its copy at 1.1 times the speed" in caplog.text
    assert "e.g. a.wav (1.06 s)" in caplog.text and "e.g. a.wav (0.47 s)" in caplog.text
