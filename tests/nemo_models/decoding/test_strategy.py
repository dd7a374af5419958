"""Which search is taken where a language model is named, or not."""

import pytest
from nemo.collections.asr.parts.submodules.ctc_decoding import CTCDecodingConfig

from nemo_models.decoding import strategy as strategy_module
from nemo_models.decoding.settings import complete_decoding_config
from nemo_models.decoding.strategy import configure_decoding


@pytest.fixture
def taken(tiny_model, monkeypatch):
    """The settings that a decoder would be made with."""
    configs = []
    for check in ("check_lm_matches", "check_word_lm"):
        monkeypatch.setattr(strategy_module, check, lambda path, *_: path)
    monkeypatch.setattr(tiny_model, "use_decoding", configs.append)
    return configs


@pytest.mark.parametrize(
    ("settings", "strategy"),
    [
        ({}, "greedy_batch"),
        ({"strategy": "greedy"}, "greedy_batch"),
        ({"beam": {"ngram_lm_model": "tokens.nemo"}}, "beam_batch"),
        ({"strategy": None, "beam": {"ngram_lm_model": "words.arpa"}}, "pyctcdecode"),
        ({"beam": {"ngram_lm_model": "words.arpa.gz"}}, "pyctcdecode"),
        ({"beam": {"beam_size": 4, "ngram_lm_model": None}}, "greedy_batch"),
    ],
)
def test_a_named_language_model_is_used(tiny_model, taken, settings, strategy):
    configure_decoding(tiny_model, settings)
    assert taken[0].strategy == strategy
    assert taken[0].beam.ngram_lm_model == settings.get("beam", {}).get("ngram_lm_model")


def test_a_named_language_model_that_is_not_there_is_said(tiny_model):
    for name in ("absent.nemo", "absent.arpa"):
        with pytest.raises(FileNotFoundError, match=name):
            configure_decoding(tiny_model, {"beam": {"ngram_lm_model": name}})


@pytest.mark.parametrize("strategy", ["greedy", "greedy_batch"])
def test_greedy_with_a_language_model_is_refused(tiny_model, strategy):
    with pytest.raises(ValueError, match=r"strategy=greedy_batch: .*ngram_lm_model=lm\.nemo"):
        configure_decoding(tiny_model, {"strategy": strategy, "beam": {"ngram_lm_model": "lm.nemo"}})


def test_nemos_dataclass_is_accepted_as_nemo_documents(tiny_model):
    config = CTCDecodingConfig(strategy="beam_batch")
    config.beam.beam_size, config.beam.beam_beta = 3, 0.0
    tiny_model.change_decoding_strategy(config, verbose=False)
    assert tiny_model.decoding.decoding.search_algorithm.beam_size == 3
    tiny_model.change_decoding_strategy({"strategy": "greedy_batch"}, verbose=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "beam_batch", "beam": {"beam_sise": 8}}, "did you mean ctc_decoding.beam.beam_size"),
        ({"stratgy": "beam_batch"}, "did you mean ctc_decoding.strategy"),
        ({"greedy": {"boosting_tree": {"key_phrases_list": ["क"]}}}, "greedy decoding does not use them"),
        ({"beam": {"beam_size": "wide"}}, "ctc_decoding: Value 'wide'"),
        (3, "expected a mapping, or NeMo's CTCDecodingConfig"),
    ],
)
def test_wrong_settings_are_named_in_python_too(tiny_model, settings, message):
    with pytest.raises(ValueError, match=message):
        tiny_model.change_decoding_strategy(settings, verbose=False)


def test_settings_of_another_version_of_nemo_are_kept_in_a_file(tiny_model):
    config = complete_decoding_config({"strategy": "greedy_batch", "of_another_version": 1}, strict=False)
    assert config.of_another_version == 1
    tiny_model.use_decoding(config)
    tiny_model.change_decoding_strategy({"strategy": "greedy_batch"}, verbose=False)
