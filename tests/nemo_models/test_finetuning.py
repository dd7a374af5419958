import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from omegaconf import OmegaConf

from nemo_models.checkpoint import EncoderCheckpoint
from nemo_models.finetuning import _take_settings, check_manifests

CONF = Path(__file__).resolve().parents[2] / "conf"
LABELS = [" ", "क", "ा", "म"]


def write_manifest(path: Path, *rows: tuple[str, str, float]) -> str:
    lines = [json.dumps({"audio_filepath": audio, "text": text, "duration": s}) for audio, text, s in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.fixture
def good(tmp_path: Path) -> str:
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    return write_manifest(tmp_path / "good.json", ("a.wav", "काम", 1.0))


def config(train: object, validation: object) -> OmegaConf:
    return OmegaConf.create(
        {
            "train_ds": {"manifest_filepath": train, "min_duration": 0.1, "max_duration": 30},
            "validation_ds": {"manifest_filepath": validation},
        }
    )


def test_good_manifests_pass_alone_and_as_a_list(good: str):
    check_manifests(config(good, good), LABELS)
    check_manifests(config([good, good], f"{good},{good}"), LABELS)


def test_every_problem_is_named_at_once(good: str, tmp_path: Path):
    bad = write_manifest(
        tmp_path / "bad.json",
        ("a.wav", "काम 5", 1.0),
        ("a.wav", "काम 7", 1.0),
        ("gone.wav", "काम", 1.0),
        ("a.wav", " ", 1.0),
        ("a.wav", "काम", 31.0),
        ("a.wav", "काकाकाकाकाकाकाकाकाकाकाकाकाकाका", 0.4),
    )
    empty = write_manifest(tmp_path / "empty.json")
    with pytest.raises(ValueError, match="cannot be trained on") as caught:
        check_manifests(config(bad, empty), LABELS)
    message = str(caught.value)
    for part in (
        "2 × text outside the alphabet, e.g. a.wav (U+0035 DIGIT FIVE)",
        "1 × missing audio",
        "1 × empty text",
        "1 × longer than max_duration, which would leave it out",
        "1 × too short for its text",
        f"{empty}: no utterance in it",
    ):
        assert part in message


def test_missing_manifest_is_named(good: str, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.json"):
        check_manifests(config(good, str(tmp_path / "nothing.json")), LABELS)


@pytest.mark.parametrize(
    ("config_name", "kind", "other"),
    [("xlsr_hi", "wav2vec2", "wav2vec2-bert"), ("w2v_bert_hi", "wav2vec2-bert", "wav2vec2")],
)
def test_checkpoint_fixes_front_end_and_architecture_of_its_own_kind_only(config_name: str, kind: str, other: str):
    model = OmegaConf.load(CONF / f"{config_name}.yaml").model
    fields = {**OmegaConf.to_container(model.encoder.architecture), "hidden_size": 64}
    masks = model.encoder.mask_time_prob
    checkpoint = EncoderCheckpoint("x", fields, {}, normalize=False, epsilon=1e-7, left_out=(), kind=kind)
    _take_settings(model, checkpoint)
    assert model.encoder.architecture.hidden_size == 64
    assert model.encoder.mask_time_prob == masks
    assert model.preprocessor.get("normalize", False) is False
    with pytest.raises(ValueError, match="--config-name xlsr_hi is for wav2vec2, w2v_bert_hi for wav2vec2-bert"):
        _take_settings(model, replace(checkpoint, kind=other))
