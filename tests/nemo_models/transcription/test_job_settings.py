"""Arguments of the job have the type that their key needs, or are refused by Hydra before anything is read."""

import hydra
import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

import hydra_job
from data_prep.job_settings import make_schema, read_settings
from nemo_models.transcription.job_settings import TranscribeSettings
from nemo_models.transcription.options import TranscribeOptions
from nemo_models.transcription.subtitles import SubtitleSettings
from project import ROOT

CONF = OmegaConf.to_container(OmegaConf.load(ROOT / "conf/transcribe_speech.yaml"))
BOOLEANS = [key for key, value in CONF.items() if isinstance(value, bool)]


def compose(*arguments):
    """Compose as the script does."""
    ConfigStore.instance().store("transcribe_speech_schema", make_schema(TranscribeSettings))
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = hydra.compose("transcribe_speech", overrides=list(arguments))
    return read_settings(TranscribeSettings, OmegaConf.to_container(cfg))


def why_refused(argument):
    ConfigStore.instance().store("transcribe_speech_schema", make_schema(TranscribeSettings))
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return hydra_job._composition_error("transcribe_speech", [argument])


def test_defaults_are_those_of_the_options():
    settings, options = compose(), TranscribeOptions()
    for key, name in (
        *(("batch_size", "batch_size"), ("num_workers", "num_workers"), ("window_s", "window_s")),
        *(("channel", "channel_selector"), ("sort_by_duration", "presort_manifest"), ("timestamps", "timestamps")),
    ):
        assert getattr(options, key) == getattr(settings, name)
    assert settings.subtitles == SubtitleSettings()


def test_booleans_are_read_as_omegaconf_reads_them():
    for words, meant in (("true yes on 1 True YES y", True), ("false no off 0 False NO n", False)):
        for value in words.split():
            settings = compose(*(f"{key}={value}" for key in (*BOOLEANS, "timestamps")))
            assert all(getattr(settings, key) is meant for key in (*BOOLEANS, "timestamps"))


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("audio_dir=2024", "2024"),
        ("output_filename=2024", "2024"),
        ("audio_list=a.wav", "a.wav"),
        ("audio_list=[2024,a.wav]", ["2024", "a.wav"]),
        ("output_formats=srt", ["srt"]),
        ("output_formats=null", []),
        ("timestamps=null", None),
        ("cuda=null", None),
        ("cuda=-1", -1),
        ("channel_selector=1", 1),
        ("channel_selector=average", "average"),
    ],
)
def test_values_get_the_type_of_their_key(argument, meant):
    assert getattr(compose(argument), argument.partition("=")[0]) == meant


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("audio_key=null", "a value, not null"),
        ("output_filename=1.0", "a text, or a whole number; quote"),
        ("output_filename=true", "a text, or a whole number; quote"),
        ("warmup_steps=null", "a value, not null"),
        ("cuda=[0]", "a whole number"),
        ("cuda=true", "a whole number"),
        ("batch_size=many", "a whole number"),
        ("window_s=long", "a number"),
        ("amp=maybe", "true or false"),
        ("timestamps=maybe", "true or false"),
        ("ctc_decoding=3", "settings"),
        ("subtitles.lines=two", "a whole number"),
    ],
)
def test_values_of_another_type_are_refused(argument, expected):
    assert why_refused(argument).startswith(f"expected {expected}")


@pytest.mark.parametrize("argument", ["audio_list=true", "audio_list=[1.5]", "output_formats=[true]", 'audio_list=""'])
def test_lists_of_anything_but_texts_are_refused(argument):
    with pytest.raises(ValueError, match=f"^{argument.partition('=')[0]}=.*: expected a text"):
        compose(argument)
