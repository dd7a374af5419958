"""Which search is taken where a language model is named, or not."""

import pytest

from nemo_models.decoding import strategy as strategy_module
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
