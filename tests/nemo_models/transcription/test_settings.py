"""Arguments of a job are what their keys hold, or refused."""

import pytest
from omegaconf import OmegaConf

from nemo_models.transcription.settings import TYPES, check_types
from project import ROOT

CONF = OmegaConf.to_container(OmegaConf.load(ROOT / "conf/transcribe_speech.yaml"))


def test_defaults_are_of_their_types():
    assert check_types(CONF) == CONF
    assert set(TYPES) <= set(CONF)
    assert {key for key, value in CONF.items() if isinstance(value, bool)} <= set(TYPES)


@pytest.mark.parametrize("key", [key for key, value in CONF.items() if isinstance(value, bool)] + ["timestamps"])
def test_booleans_are_read_as_omegaconf_reads_them(key):
    for words, meant in (("true yes on 1 True YES y", True), ("false no off 0 False NO n", False)):
        for value in (*words.split(), meant, int(meant)):
            assert check_types({key: value})[key] is meant
    for value in ("maybe", 2, 1.0, [], "", {}):
        with pytest.raises(ValueError, match=f"^{key} is .*, expected true or false"):
            check_types({key: value})


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        ("audio_dir", 2024, "2024"),
        ("output_filename", 2024, "2024"),
        ("audio_list", "a.wav", "a.wav"),
        ("audio_list", [2024, "a.wav"], ["2024", "a.wav"]),
        ("output_formats", "srt", ["srt"]),
        ("output_formats", None, []),
        ("timestamps", None, None),
        ("cuda", None, None),
        ("cuda", -1, -1),
        ("another", "no", "no"),
    ],
)
def test_values_become_what_the_key_holds(key, value, meant):
    assert check_types({key: value}) == {key: meant}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("audio_key", None),
        ("audio_key", ""),
        ("output_filename", 1.0),
        ("output_filename", True),
        ("output_formats", {"srt": 1}),
        ("audio_list", [None]),
        ("warmup_steps", None),
        ("warmup_steps", -1),
        ("cuda", [0]),
        ("cuda", True),
        ("devices", 0),
        ("batch_size", 0),
        ("num_workers", "two"),
    ],
)
def test_what_cannot_be_names_its_key(key, value):
    with pytest.raises(ValueError, match=f"^{key} is .*expected "):
        check_types({key: value})
